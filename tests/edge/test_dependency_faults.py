"""Faults of the table, KMS, and the identity provider: nobody is wrongly admitted, and every answer is well formed.

Each kind of fault at each site, from the first call or a later one, in warm and cold environments; a seed decides what
is damaged and how. After the fault, everything is correct again within two refreshes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest
from desk import quiet
from fake_clock import FakeClock
from in_memory_gate import ADMIN, SITES, Environment, Outcome
from proofs import Tally, many
from reference_table import ReferenceTable
from written_rules import WrittenRules

from headgate.store.port import Item, Key, Page, Put, Throttled, Unavailable
from headgate.store.snapshots import BREAKER, SOFT_TTL

MEMBER, STRANGER = "member", "stranger"
STALE_BOUND = 60
FORMS = {"enter", "observe"}
"""Sites whose answer goes to API Gateway, not to a client."""

Damage = Callable[[Random, dict[str, Any]], Item | None]


def _lost_attribute(source: Random, item: dict[str, Any]) -> Item:
    del item[source.choice([name for name in item if name not in ("pk", "sk")])]
    return item


def _blank_attribute(source: Random, item: dict[str, Any]) -> Item:
    item[source.choice([name for name in item if name not in ("pk", "sk")])] = ""
    return item


def _other_type(source: Random, item: dict[str, Any]) -> Item:
    name = source.choice([name for name in item if name not in ("pk", "sk")])
    return {**item, name: 7 if isinstance(item[name], str) else "seven"}


def _within(change: Callable[[Random, dict[str, Any]], None]) -> Damage:
    """Damage to a flag's document; other items stay unchanged."""

    def damage(source: Random, item: dict[str, Any]) -> Item:
        if not str(item["sk"]).startswith("flag#"):
            return item
        document = json.loads(str(item["body"]))
        change(source, document)
        return {**item, "body": json.dumps(document)}

    return damage


def _lose_member(source: Random, document: dict[str, Any]) -> None:
    del document[source.choice((source.choice(sorted(document)), "requires", "killed"))]


def _blank_member(source: Random, document: dict[str, Any]) -> None:
    document[source.choice(sorted(document))] = source.choice(("", None, 0, {}, True))


def _extra_member(source: Random, document: dict[str, Any]) -> None:
    document[source.choice(("grant", "Stage", "admin", "open"))] = True


DAMAGES: dict[str, Damage] = {
    "an item that is missing": lambda _source, _item: None,
    "an attribute that is lost": _lost_attribute,
    "an attribute that is blank": _blank_attribute,
    "an attribute of another type": _other_type,
    "no JSON": lambda _source, item: {**item, "body": "{"} if "body" in item else {**item, "killed": "{"},
    "JSON of another kind": lambda source, item: {**item, "body": source.choice(("[]", "null", "7", '"x"'))},
    "JSON that is nested deep": lambda _source, item: {**item, "body": "[" * 50_000},
    "an item that is too large": lambda _source, item: {**item, "body": json.dumps({"key": "x" * 400_000})},
    "a flag's member that is lost": _within(_lose_member),
    "a flag's member that is blank": _within(_blank_member),
    "a flag with a member too many": _within(_extra_member),
}
FAILURES: dict[str, Exception] = {
    "no connection": Unavailable("EndpointConnectionError"),
    "no answer": Unavailable("ReadTimeoutError"),
    "an error of the server": Unavailable("InternalServerError"),
    "no permission": Unavailable("AccessDeniedException"),
    "a throttle": Throttled("ThrottlingException"),
}
BESIDE = {
    "KMS denies": lambda environment: setattr(environment.kms, "fault", Unavailable("AccessDeniedException")),
    "KMS throttles": lambda environment: setattr(environment.kms, "fault", Unavailable("ThrottlingException")),
    "KMS answers nonsense": lambda environment: setattr(environment.kms, "fault", b"nonsense"),
    "the identity provider is down": lambda environment: setattr(environment.provider, "is_down", True),
}
OLD_RULES, SLOW = "rules that are older than the head", "slow answers"
KINDS = [*DAMAGES, *FAILURES, *BESIDE, OLD_RULES, SLOW]
OUTAGES = {kind for kind in FAILURES if kind != "a throttle"}


class Faulty:
    """A table that shows one kind of fault from one of its calls on."""

    home = ReferenceTable.home

    def __init__(self, inner: ReferenceTable, clock: FakeClock, source: Random) -> None:
        self._inner, self._clock, self._source = inner, clock, source
        self.kind: str | None = None
        self.after = 0
        self.old: dict[str, dict[str, Item]] = {}

    def get(self, keys: Sequence[Key], **_options: Any) -> dict[Key, Item]:
        """See `Table.get`."""
        found = {key: self._seen(item) for key, item in self._asked(self._inner.get, keys).items()}
        return {key: item for key, item in found.items() if item is not None}

    def query(self, pk: str, **options: Any) -> Page:
        """See `Table.query`."""
        page: Page = self._asked(self._inner.query, pk, **options)
        if self._is_on and self.kind == OLD_RULES and pk == "rules":
            return replace(page, items=tuple(item for _sk, item in sorted(self.old["rules"].items())))
        seen = (self._seen(item) for item in page.items)
        return replace(page, items=tuple(item for item in seen if item is not None))

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        self._asked(self._inner.write, puts)

    @property
    def _is_on(self) -> bool:
        return self.kind is not None and self.after <= 0

    def _asked(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.after -= 1
        if self._is_on and self.kind in FAILURES:
            raise FAILURES[str(self.kind)]
        if self._is_on and self.kind == SLOW:
            self._clock.advance(0.9)
        return call(*arguments, **options)

    def _seen(self, item: Item) -> Item | None:
        if not self._is_on or self.kind not in DAMAGES or self._source.random() < 0.3:
            return item
        return DAMAGES[str(self.kind)](self._source, dict(item))


class Scene:
    """A gate that admits the member and not the stranger, with an open sub-feature."""

    def __init__(self, seed: int, kind: str) -> None:
        self.source, self.clock = Random(f"{seed} {kind}"), FakeClock()
        self.rules = WrittenRules(self.clock)
        self._write_all()
        self.table = Faulty(self.rules.table, self.clock, self.source)
        self.table.old = self.rules.table.saved()
        self.environment = Environment(self.table, self.clock, jitter=self.source.random)  # type: ignore[arg-type]
        self.kind = kind

    def _write_all(self, killed: str | None = None) -> None:
        self.rules.profile("access", STALE_BOUND)
        self.rules.routes({"route": "GET /enter", "class": "entry"}, {"route": "GET /observe", "class": "observe"})
        self.rules.flag("access", stage="allowlist", allow={"users": [MEMBER]}, killed=killed)
        self.rules.flag("child", stage="ga", requires=["access"])

    def kill(self) -> None:
        """Kill the access flag: from now on only admins are admitted."""
        self._write_all(killed="gate")

    def begin(self) -> None:
        """Start the fault, at the next call or a later one."""
        if self.kind in BESIDE:
            BESIDE[self.kind](self.environment)
        else:
            self.table.kind, self.table.after = self.kind, self.source.choice((0, 0, 0, 1, 2))

    def end(self, *, is_killed: bool) -> None:
        """End the fault, write damaged items again, and wait for two refreshes."""
        self.table.kind = self.environment.kms.fault = None
        self.environment.provider.is_down = False
        if self.kind in DAMAGES or self.kind == OLD_RULES:
            self._write_all("gate" if is_killed else None)
        self.clock.advance(BREAKER + 2 * SOFT_TTL)


def has_a_form(site: str, outcome: Outcome) -> None:
    """Check that the answer is a problem, an OAuth error, or an OFREP failure, without internals."""
    assert outcome.status in (200, 400, 401, 403, 404, 503), outcome
    assert isinstance(outcome.body, dict)
    if site not in FORMS and outcome.status != 200:
        assert {"error", "errorDetails", "type"} & outcome.body.keys(), outcome
    assert "Traceback" not in json.dumps(outcome.body)


def is_bound_to_know(kind: str, is_warm: bool) -> bool:
    """Whether an earlier kill must apply to the request: not if a warm environment can reach nothing."""
    return not is_warm or kind in ("a throttle", SLOW, OLD_RULES, *BESIDE)


@pytest.mark.proof("faults of table, KMS and identity provider, at each site")
@pytest.mark.parametrize("kind", KINDS)
@quiet()
def test_no_fault_admits_anybody_who_is_out(kind: str, tally: Tally) -> None:
    for seed in range(many(1, 10)):
        for site in SITES:
            for is_warm in (False, True):
                for is_killed in (False, True):
                    _once(Scene(seed, kind), site, is_warm=is_warm, is_killed=is_killed)
                    tally.add(faults=1)


def _once(scene: Scene, site: str, *, is_warm: bool, is_killed: bool) -> None:
    if is_warm:
        scene.environment.warm()
    if is_killed:
        scene.kill()
        scene.clock.advance(scene.source.choice((0, SOFT_TTL)))
    scene.begin()
    keys = ("access", "child") if site.startswith("evaluate") else ("access",)
    for person, key in product((STRANGER, MEMBER, ADMIN), keys):
        outcome = scene.environment.asks(site, person, key)
        has_a_form(site, outcome)
        if site == "observe":  # passes by its class alone: a kill does not affect it
            continue
        assert person != STRANGER or not outcome.granted, (site, scene.kind, "a stranger was let in", outcome)
        if person == MEMBER and is_killed and site in ("enter", "mint", "start a session"):
            assert not outcome.granted or not is_bound_to_know(scene.kind, is_warm), (site, scene.kind, outcome)
    scene.end(is_killed=is_killed)
    for person in (STRANGER, MEMBER, ADMIN):
        outcome = scene.environment.asks(site, person)
        has_a_form(site, outcome)
        expected = {STRANGER: False, MEMBER: not is_killed, ADMIN: True}[person] or site == "observe"
        assert outcome.granted is (None if site == "keys" else expected), (site, scene.kind, person, outcome)
