"""Rules on the reference backend, written by the one way that the admin API has."""

from collections.abc import Callable
from typing import Any

from reference_table import ReferenceTable

from headgate.core.flag import flag_document, parse_flag
from headgate.store.items import PROFILE_KEY, ROUTES_KEY, flag_key
from headgate.store.port import Key
from headgate.store.record import Actor, Answer, Call, Change, Current, Record

ACTOR = Actor("arn:aws:iam::123456789012:role/ops", "ops", "203.0.113.7")


class WrittenRules:
    """A table, and changes to it that bump the revision."""

    def __init__(self, clock: Any) -> None:
        self.table = ReferenceTable()
        self._record = Record(self.table, clock=clock, pause=clock.pause)
        self._count = 0

    def write(self, target: Key, action: str, document: dict[str, Any], flag: str | None = None) -> None:
        """One change."""
        self._count += 1

        def plan(current: Current) -> Change:
            version = 1 + (current.stored.version if current.stored else 0)
            held = current.stored.document if current.stored else None
            after = {**document, "version": version, "revision": current.stamp.revision}
            return Change(action, version, held, after, Answer(200), flag)

        call = Call(ACTOR, "test", f"r{self._count}", "caller", f"k{self._count}", "print")
        assert isinstance(self._record.change(target, plan, call), Answer)

    def flag(self, key: str, *, killed: str | None = None, drain_until: str | None = None, **members: Any) -> None:
        """Write a flag as a manifest has it; `killed` names the reach."""
        document = flag_document(parse_flag({"key": key, **members}, salt="s"))
        kill = {"reach": killed, "reason": "test", "at": "", "by": ""} if killed else None
        if kill is not None and drain_until is not None:
            kill["drain_until"] = drain_until
        self.write(flag_key(key), "flag.replace", {**document, "killed": kill, "updated_at": "", "updated_by": ""}, key)

    def profile(self, access: str | None = None, max_stale: int = 60, **token: Any) -> None:
        """Write the token profile."""
        self.write(PROFILE_KEY, "profile.replace", {"access": access, "max_stale": max_stale, "token": token})

    def routes(self, *policies: dict[str, Any]) -> None:
        """Write all route policies."""
        self.write(ROUTES_KEY, "routes.replace", {"routes": list(policies)})

    def reads_of(self, act: Callable[[], object]) -> int:
        """How many calls the table gets from an act."""
        before = len(self.table.calls)
        act()
        return len(self.table.calls) - before
