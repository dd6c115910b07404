"""An in-process OpenFeature provider, for services that may read the table: no network call per evaluation.

The rules are refreshed like the evaluate function's: at most every 4 to 5 s, during an evaluation. A change of the
rules emits PROVIDER_CONFIGURATION_CHANGED with the flags that differ. If the table does not answer, the last known good
rules are used up to the manifest's `max_stale` (`stale` in the metadata, and a PROVIDER_STALE event). After that, every
evaluation is an error, so OpenFeature returns the caller's default.

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
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
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


class HeadgateProvider(AbstractProvider):
    """Evaluates flags with the rules in one table, given by its name. Thread-safe."""

    def __init__(
        self, table: str | Table, *, clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random
    ) -> None:
        super().__init__()
        self._snapshots = Snapshots(open_table(table), watch=self, clock=clock, jitter=jitter)
        self._refreshing = threading.Lock()
        self._held: View | None = None
        self._before: Snapshot | None = None

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="headgate")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Load the rules. Raises `ProviderNotReadyError` if the table does not answer."""
        if self._view().standing is Standing.EXPIRED:
            raise ProviderNotReadyError("the rules are not available")

    def changed(self, snapshot: Snapshot) -> None:
        """See `Watch.changed`. Emits an event with the flags that differ."""
        before, self._before = self._before, snapshot
        if before is not None:
            old, new = before.rules.flags, snapshot.rules.flags
            names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=names))

    def failed(self, failure: Exception) -> None:
        """See `Watch.failed`. Emits an event: the rules may be stale."""
        self.emit_provider_stale(ProviderEventDetails(message=type(failure).__name__))

    def _view(self) -> View:
        """Return the rules. While one thread refreshes them, the others use those that are held."""
        if self._refreshing.acquire(blocking=self._held is None):
            try:
                was_stale = self._held is not None and self._held.standing is not Standing.FRESH
                view = self._held = self._snapshots.soft()
            finally:
                self._refreshing.release()
            if was_stale and view.standing is Standing.FRESH:
                self.emit_provider_ready(ProviderEventDetails())
            return view
        return self._held or self._snapshots.soft()

    def _resolve(
        self, key: str, kind: type[Any] | tuple[type[Any], ...], context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        """Return the details of one flag. Raises OpenFeature's errors; the client then returns the caller's default."""
        view = self._view()
        if view.standing is Standing.EXPIRED:
            raise GeneralError("the rules are not available")
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
            raise FlagNotFoundError("flag not found")
        value = made["value"]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeMismatchError("the flag's values have another type")
        if kind == (int, float):
            value = float(value)  # the client accepts no int as a float
        return FlagResolutionDetails(
            value=value, variant=made["variant"], reason=made["reason"], flag_metadata=metadata(decision, view)
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
