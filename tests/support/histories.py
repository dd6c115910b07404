"""A random history of a gate, made through the admin API; the table as it was after each revision; and restores that
split transactions."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.session import record_id, start
from headgate.store.items import AUDIT, DENIALS, HEAD_KEY, RULES
from headgate.store.port import Item, Key, Put
from headgate.store.sessions import Sessions

Saved = Mapping[str, Mapping[str, Item]]
FLAGS = ("access", "f", "g", "h")
WHY: dict[str, Any] = {"reason": "a test", "allow_shrink": True}
SESSIONS = tuple((f"u-{number}", f"town:{number}") for number in range(3))


class RecordedTable(ReferenceTable):
    """Keeps a copy after each write of the head: `past[r]` is the table at revision r."""

    def __init__(self) -> None:
        super().__init__()
        self.past: list[Saved] = []

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        super().write(puts)
        if any((put.item["pk"], put.item["sk"]) == HEAD_KEY for put in puts):
            self.past.append(self.saved())


class History:
    """A table with three sessions, and random changes to it."""

    def __init__(self, seed: object) -> None:
        self.table, self.clock, self.dice = RecordedTable(), FakeClock(), Random(str(seed))
        self.desk = Desk(self.table, self.clock)
        for subject, name in SESSIONS:
            Sessions(self.table, clock=self.clock).start(
                start(subject=subject, session_id=name, now=int(self.clock()), orgs=(), admin=False, attributes={},
                      client_id="web")
            )  # fmt: skip
        self.table.past.append(self.table.saved())

    def goes_on(self, deeds: int) -> "History":
        """Make this many more calls; some change nothing, some are refused."""
        with quiet():
            for _ in range(deeds):
                self.clock.advance(self.dice.randrange(2, 90))
                self.desk.answers(self._deed())
        return self

    def _deed(self) -> Ask:
        key = self.dice.choice(FLAGS)
        path, draw = {"key": key}, self.dice.random()
        held = self.desk.answers(Ask("GET /admin/v1/flags/{key}", path=path))
        if held.status == 404:
            return Ask("PUT /admin/v1/flags/{key}", {"stage": "allowlist", **WHY}, path, {"if-none-match": "*"})
        on = {"if-match": held.etag}
        if draw < 0.22:
            body = {"stage": self.dice.choice(("ga", "percentage")), "percent": self.dice.randrange(100), **WHY}
            return Ask("POST /admin/v1/flags/{key}/stage", body, path, on)
        if draw < 0.34:
            users = {"users": [f"u-{self.dice.randrange(50)}"]}
            return Ask("POST /admin/v1/flags/{key}/allow", {"add": users, **WHY}, path, on)
        if draw < 0.54:
            return Ask("POST /admin/v1/flags/{key}/kill", {"reason": "a test"}, path)
        if draw < 0.66:
            return Ask("POST /admin/v1/flags/{key}/restore", {"reason": "a test"}, path)
        if draw < 0.70 and key != "access":
            return Ask("DELETE /admin/v1/flags/{key}", WHY, path, on)
        return self._other(draw)

    def _other(self, draw: float) -> Ask:
        number = self.dice.randrange(3)
        if draw < 0.80:
            policy = {"route": f"GET /{self.dice.randrange(9)}", "class": "observe"}
            manifest = {"access": "access", "max_stale": self.dice.randrange(60), "routes": [policy]}
            return Ask("POST /admin/v1/manifest", {**manifest, **WHY})
        if draw < 0.86:
            return Ask("POST /admin/v1/keys/rotate", {"reason": "a test"})
        if draw < 0.93:
            return Ask("POST /admin/v1/revocations", {"subject": f"u-{number}", "reason": "a test"})
        return Ask("DELETE /admin/v1/sessions/{id}", {"reason": "a test"}, {"id": record_id(*SESSIONS[number])})

    def mixed(self, dice: Random) -> Saved:
        """The table as a restore may return it: each item that the last transactions wrote, from before or after
        any of them."""
        last = len(self.table.past) - 1
        first = max(0, last - dice.randrange(1, 6))
        mixture = {pk: dict(rows) for pk, rows in self.table.past[last].items()}
        for pk, sk in sorted(_touched(self.table.past[first : last + 1])):
            as_of = self.table.past[dice.randrange(first, last + 1)]
            item = as_of.get(pk, {}).get(sk)
            if item is None:
                mixture[pk].pop(sk, None)
            else:
                mixture[pk][sk] = item
        return mixture

    def is_a_cut(self, mixture: Saved) -> bool:
        """Whether this equals the whole table at some revision."""
        return any(_essence(mixture) == _essence(past) for past in self.table.past)


def _touched(states: Sequence[Saved]) -> Iterator[Key]:
    """The keys of items that differ between these states, without idempotency records."""
    places = {(pk, sk) for state in states for pk, rows in state.items() for sk in rows if not pk.startswith("idem#")}
    yield from (
        (pk, sk) for pk, sk in places if len({str(state.get(pk, {}).get(sk)) for state in states}) > 1
    )  # fmt: skip


def _essence(state: Saved) -> dict[str, Any]:
    of_interest = (pk for pk in state if pk in (RULES, DENIALS, AUDIT, HEAD_KEY[0]) or pk.startswith("sessions#"))
    return {pk: dict(state[pk]) for pk in of_interest if state[pk]}
