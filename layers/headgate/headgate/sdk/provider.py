"""An in-process OpenFeature provider, for services that may read the table: no call per evaluation.

The rules are refreshed like the evaluate function's: at most every 4 to 5 s, on the path of an evaluation. A change
of them is a PROVIDER_CONFIGURATION_CHANGED event with the flags that differ. When the table does not answer, the last
known good rules are used up to the manifest's `max_stale` (`stale` in the metadata, and an event); after that every
evaluation is an error, and so gives the caller's default.

The evaluation context is trusted, as it comes from the service itself: `targeting_key` is the user, `orgs` and `admin`
are strict, everything else is an attribute. OpenFeature gives the caller's default for a flag that does not exist; a
gate must not rely on that and asks `Gate` instead.

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
    """Evaluates from the rules of one table, given by its name. Safe to use from many threads."""

    def __init__(
        self, table: str | Table, *, clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random
    ) -> None:
        super().__init__()
        self._snapshots = Snapshots(open_table(table), watch=self, clock=clock, jitter=jitter)
        self._refreshing = threading.Lock()
        self._held: View | None = None
        self._before: Snapshot | None = None

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="headgate")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Load the rules. Raises `ProviderNotReadyError` when the table does not answer."""
        if self._view().standing is Standing.EXPIRED:
            raise ProviderNotReadyError("the rules are not available")

    def changed(self, snapshot: Snapshot) -> None:
        """See `Watch.changed`: tell which flags differ."""
        before, self._before = self._before, snapshot
        if before is not None:
            old, new = before.rules.flags, snapshot.rules.flags
            names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=names))

    def failed(self, failure: Exception) -> None:
        """See `Watch.failed`: the rules may be old from now on."""
        self.emit_provider_stale(ProviderEventDetails(message=type(failure).__name__))

    def _view(self) -> View:
        """The rules; while one thread refreshes them, the others use what is held."""
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
        """The details of one flag. Raises OpenFeature's errors; the client then gives the caller's default."""
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
            raise FlagNotFoundError("there is no such flag")
        value = made["value"]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeMismatchError("the flag's values are of another type")
        if kind == (int, float):
            value = float(value)  # the client takes no whole number for a float
        return FlagResolutionDetails(
            value=value, variant=made["variant"], reason=made["reason"], flag_metadata=metadata(decision, view)
        )

    async def _resolve_async(
        self, key: str, kind: type[Any] | tuple[type[Any], ...], context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        """The same, off the event loop where the rules or a long list may have to be fetched."""
        held = self._snapshots.held
        if held is None or self._snapshots.is_due or concerned(held.rules, (key,)):
            return await asyncio.to_thread(self._resolve, key, kind, context)
        return self._resolve(key, kind, context)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Raises OpenFeature's errors, as all of these do; `default_value` is the client's affair."""
        return self._resolve(flag_key, bool, evaluation_context)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """As `resolve_boolean_details`."""
        return await self._resolve_async(flag_key, bool, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A flag whose values are strings."""
        return self._resolve(flag_key, str, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """As `resolve_string_details`."""
        return await self._resolve_async(flag_key, str, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """A flag whose values are whole numbers; a boolean is none."""
        return self._resolve(flag_key, int, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """As `resolve_integer_details`."""
        return await self._resolve_async(flag_key, int, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A flag whose values are numbers; a boolean is none."""
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
        """A flag whose values are objects."""
        return self._resolve(flag_key, dict, evaluation_context)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[Any] | Mapping[str, Any]]:  # fmt: skip
        """As `resolve_object_details`."""
        return await self._resolve_async(flag_key, dict, evaluation_context)
