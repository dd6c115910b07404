"""The kill in every relevant combination, compared with an oracle that knows only the guarantee.

Stage x how the subject is listed x state of the environment's rules x route class x reach x credential. The guarantee:
a route that decides something live denies non-admins from the kill's answer on, while the table answers; other routes
pass by their class, but a kill that drains or severs refuses session tokens, within 5 s.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from fake_clock import FakeClock
from in_memory_gate import Kms
from proofs import Tally, many
from reference_table import Fault, always
from written_rules import WrittenRules

from headgate.core.documents import rfc3339
from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import GateSettings
from headgate.store.snapshots import Snapshots
from headgate.tokens.claims import Kind
from headgate.tokens.issue import Grant, issue

STAGES = ("admin_only", "allowlist", "percentage", "ga")
LISTED = ("not at all", "user", "org", "rule")
ENVIRONMENTS = ("cold", "warm", "due", "out, knowing", "out, not knowing", "out too long", "cold and out", "throttled")
CLASSES = ("entry", "continue", "observe", "stop", "machine", "admin")
REACHES = ("none", "gate", "drain later", "drained", "sever")
CREDENTIALS = ("user", "admin", "session")
ALLOW = {
    "not at all": {},
    "user": {"users": ["u"]},
    "org": {"orgs": ["acme"]},
    "rule": {"rules": [{"clauses": [{"attribute": "plan", "op": "equals", "value": "pro"}]}]},
}
SETTINGS = GateSettings("t", ("key",), "headgate", "https://gate.example.com")
MAX_STALE = 30


SIGNER = Kms("key")


@dataclass(frozen=True)
class Cell:
    stage: str
    listed: str
    environment: str
    route_class: str
    reach: str
    credential: str


def passes_class(cell: Cell) -> bool:
    return {
        "entry": cell.credential != "session",
        "machine": cell.credential == "session",
        "admin": cell.credential == "admin",
    }.get(cell.route_class, True)


def has_access(cell: Cell) -> bool:
    if cell.credential == "admin" or cell.stage == "ga":
        return True
    return cell.stage in ("allowlist", "percentage") and cell.listed != "not at all"


def expected(cell: Cell) -> bool:
    """The guarantee, implemented independently."""
    blank = cell.environment == "cold and out"
    if blank:  # no rules at all: every route is entry, and only admins pass
        return cell.credential == "admin"
    if not passes_class(cell):
        return False
    knows = cell.environment in ("cold", "due", "out, knowing", "out too long")
    live = cell.route_class == "entry"
    if live and cell.credential != "admin":
        if cell.environment in ("out too long", "throttled"):
            return False
        killed = cell.reach != "none" and (knows or cell.environment == "warm")
        return has_access(cell) and not killed
    return not (cell.credential == "session" and cell.reach in ("drained", "sever") and knows)


def cells() -> Iterator[Cell]:
    for values in product(STAGES, LISTED, ENVIRONMENTS, CLASSES, REACHES, CREDENTIALS):
        yield Cell(*values)


class Scene:
    """One environment of the authorizer, brought into a cell's state."""

    def __init__(self, stage: str, listed: str, environment: str, reach: str) -> None:
        self.clock = FakeClock(float(int(time.time())))
        rules = WrittenRules(self.clock)
        rules.profile("access", MAX_STALE)
        rules.routes(*({"route": f"GET /{name}", "class": name} for name in CLASSES))
        flag = {"stage": stage, "percent": 0, "allow": ALLOW[listed]}
        rules.flag("access", **flag)
        snapshots = Snapshots(rules.table, clock=self.clock, jitter=lambda: 0.0)
        keys = KeyPool((SIGNER,), snapshots)
        self.authorizer = Authorizer(Credentials(SETTINGS, keys), snapshots, clock=self.clock)
        if "cold" not in environment:
            snapshots.soft()
        if reach != "none":
            until = {"drain later": 3_000, "drained": 0}.get(reach)
            rules.flag("access", killed=reach.split()[0].replace("drained", "drain"),
                       drain_until=None if until is None else rfc3339(self.clock.now + until), **flag)  # fmt: skip
        if environment in ("due", "out, knowing", "out too long"):
            self.clock.advance(6)
        if environment in ("out, knowing", "out too long"):
            snapshots.soft()
        if environment == "out too long":
            self.clock.advance(MAX_STALE + 1)
        if "out" in environment:
            rules.table.weather = always(Fault.LOST_REQUEST)
        if environment == "throttled":
            rules.table.weather = always(Fault.THROTTLED)

    def asks(self, route_class: str, credential: str) -> bool:
        session = credential == "session"
        token, _claims = issue(
            SIGNER,
            Grant(
                kind=Kind.SESSION if session else Kind.ACCESS, issuer=SETTINGS.issuer, audience=SETTINGS.audience,
                subject="u", client_id="c", lifetime=3_600, rev=1, orgs=("acme",), admin=credential == "admin",
                attributes={"plan": "pro"}, sid="town:1" if session else None,
            ),
            self.clock.now - 60,
        )  # fmt: skip
        return self.authorizer(event(f"GET /{route_class}", token))["isAuthorized"] is True


def event(route_key: str, token: str) -> dict[str, Any]:
    context = {"routeKey": route_key, "domainName": "gate.example.com", "requestId": "r", "http": {}}
    return {"routeKey": route_key, "headers": {"authorization": f"Bearer {token}"}, "requestContext": context}


@pytest.mark.proof("combinations of a kill with stage, list, environment, route and credential")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_combination_is_as_guaranteed(environment: str, tally: Tally) -> None:
    """In CI every seventh: prime to the size of each dimension, so that every two values still meet."""
    wrong: list[tuple[Cell, bool]] = []
    count: Counter[bool] = Counter()
    for cell in [cell for cell in cells() if cell.environment == environment][:: many(7, 1)]:
        # its own scene: an earlier request could have refreshed the rules
        came = Scene(cell.stage, cell.listed, environment, cell.reach).asks(cell.route_class, cell.credential)
        count[came] += 1
        if came is not expected(cell):
            wrong.append((cell, came))
    tally.add(let_through=count[True], denied=count[False])
    assert not wrong, wrong[:5]
    assert count[True] > 0
    assert count[False] > 0
