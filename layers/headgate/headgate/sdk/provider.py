"""An in-process OpenFeature provider, for services that may read the table: no network call per evaluation.

The rules are refreshed like the evaluate function's: at most every 4 to 5 s, during an evaluation. While one thread
refreshes them, the others wait, so that none answers from rules that are too old. The provider's state follows the
rules, with one event for each change of state:

    READY   the rules are at most 5 s old
    STALE   the table does not answer: the last known rules are used, and the metadata says `stale`
    ERROR   they are older than the manifest's `max_stale`: every evaluation is an error, and OpenFeature returns the
            caller's default

PROVIDER_CONFIGURATION_CHANGED names the flags that differ. A list that cannot be read is an error of that evaluation
only. Object values are copies. docs/openfeature.md compares the answers with the specification.

The evaluation context is trusted, because the service itself provides it: `targeting_key` is the user, `orgs` and
`admin` are strictly typed, and everything else is an attribute. For a flag that does not exist, OpenFeature returns the
caller's default, so do not use this as a gate: use `Gate`.

Specification: https://openfeature.dev/specification/sections/providers
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    ProviderNotReadyError,
    TypeMismatchError,
)  # fmt: skip
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider, Metadata

from headgate.core.listing import concerned
from headgate.core.snapshot import Snapshot
from headgate.edge.openfeature import InvalidContext, evaluate, metadata, subject_in
from headgate.sdk.table import open_table
from headgate.store.port import Table
from headgate.store.snapshots import Snapshots, Standing, View

NO_RULES = "the rules are not available: the table does not answer"


class HeadgateProvider(AbstractProvider):
    """Evaluates flags with the rules in one table, given by its name. Thread-safe."""

    def __init__(
        self, table: str | Table, *, clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random
    ) -> None:
        super().__init__()
        self._cold = partial(Snapshots, open_table(table), watch=self, clock=clock, jitter=jitter)
        self._lock = threading.RLock()  # a handler of an event may evaluate
        self._forget()

    def _forget(self) -> None:
        self._snapshots: Snapshots = self._cold()
        self._before: Snapshot | None = None
        self._standing = Standing.FRESH

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="headgate")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Load the rules. Raises `ProviderNotReadyError` if the table does not answer; evaluations then try again."""
        with self._lock:
            if self._snapshots.soft().standing is Standing.EXPIRED:
                self._standing = Standing.EXPIRED
                raise ProviderNotReadyError(NO_RULES)
            self._standing = Standing.FRESH  # the client now takes the provider to be ready

    def shutdown(self) -> None:
        """Forget the rules. The provider may be set again."""
        with self._lock:
            self._forget()

    def changed(self, snapshot: Snapshot) -> None:
        """See `Watch.changed`. Emits an event with the flags that differ, if any."""
        before, self._before = self._before, snapshot
        if before is not None:
            old, new = before.rules.flags, snapshot.rules.flags
            names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            if names:
                self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=names))

    def failed(self, failure: Exception, age: float | None = None) -> None:
        """See `Watch.failed`. The standing of the rules tells whether this matters."""

    def _view(self) -> View:
        with self._lock:
            view = self._snapshots.soft()
            if view.standing is not self._standing:
                self._standing = view.standing
                self._tell(view.standing)
            return view

    def _tell(self, standing: Standing) -> None:
        if standing is Standing.FRESH:
            self.emit_provider_ready(ProviderEventDetails())
        elif standing is Standing.STALE:
            self.emit_provider_stale(
                ProviderEventDetails(message="the table does not answer; the last known rules are used")
            )
        else:
            self.emit_provider_error(ProviderEventDetails(message=NO_RULES, error_code=ErrorCode.GENERAL))

    def _resolve(
        self, key: str, kind: type[Any] | tuple[type[Any], ...], context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        """Return the details of one flag. Raises OpenFeature's errors; the client then returns the caller's default."""
        view = self._view()
        if view.standing is Standing.EXPIRED:
            raise GeneralError(NO_RULES)
        named: dict[str, Any] = dict(context.attributes) if context else {}
        if context is not None and context.targeting_key is not None:
            named["targetingKey"] = context.targeting_key
        try:
            listing = self._snapshots.with_lists(view, subject_in(named), (key,))
        except InvalidContext as fault:
            raise InvalidContextError(str(fault)) from None
        if listing.unsure(view.snapshot.rules, (key,)):
            raise GeneralError("an allowlist is not available")
        decision, made = evaluate(view.snapshot.rules, key, listing.subject)
        if not made:
            raise FlagNotFoundError(f"flag {key} not found")
        value = made["value"]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeMismatchError("the flag's values have another type")
        if kind == (int, float):
            value = float(value)  # the client accepts no int as a float
        return FlagResolutionDetails(
            value=deepcopy(value),
            variant=made["variant"],
            reason=made["reason"],
            flag_metadata=metadata(decision, view),
        )

    async def _resolve_async(
        self, key: str, kind: type[Any] | tuple[type[Any], ...], context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        """Like `_resolve`, but off the event loop if the rules or a long list may need to be read."""
        held = self._snapshots.held
        if held is None or self._snapshots.is_due or concerned(held.rules, (key,)):
            return await asyncio.to_thread(self._resolve, key, kind, context)
        return self._resolve(key, kind, context)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean flag. Like every method here, raises OpenFeature's errors and ignores `default_value`."""
        return self._resolve(flag_key, bool, evaluation_context)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """As `resolve_boolean_details`."""
        return await self._resolve_async(flag_key, bool, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a flag whose values are strings."""
        return self._resolve(flag_key, str, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """As `resolve_string_details`."""
        return await self._resolve_async(flag_key, str, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve a flag whose values are integers. A boolean is not an integer."""
        return self._resolve(flag_key, int, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """As `resolve_integer_details`."""
        return await self._resolve_async(flag_key, int, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a flag whose values are numbers. A boolean is not a number."""
        return self._resolve(flag_key, (int, float), evaluation_context)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """As `resolve_float_details`."""
        return await self._resolve_async(flag_key, (int, float), evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[Any] | Mapping[str, Any]]:  # fmt: skip
        """Resolve a flag whose values are objects."""
        return self._resolve(flag_key, dict, evaluation_context)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[Any] | Mapping[str, Any]]:  # fmt: skip
        """As `resolve_object_details`."""
        return await self._resolve_async(flag_key, dict, evaluation_context)
