"""How soon a change takes effect: every cell of the table in docs/operate.md, with a clock in hand.

The environment's reads are slow and its jitter is the least favorable. The change is committed right after its last
read of the head. "At once" is the next request; "within 5 s" is a request 5 s after the change.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import Ask, quiet
from in_memory_gate import ADMIN, SETTINGS, Environment, InMemoryGate, event
from operators import replacement

from headgate.core.session import record_id
from headgate.tokens.claims import Kind
from headgate.tokens.issue import Grant, issue

PAGE = (Path(__file__).parents[2] / "docs/operate.md").read_text(encoding="utf-8")
WHY = {"reason": "why"}
SLOW = 0.4
"""Seconds that each call of the store takes."""
FLAG = {"key": "access", "stage": "allowlist", "allow": {"users": ["alice"]}}
ROUTES = [
    {"route": "GET /enter", "class": "entry"},
    {"route": "GET /flags", "class": "observe", "flags": ["access"]},
    {"route": "GET /asks", "class": "observe", "asks": ["access"]},
    {"route": "GET /observe", "class": "observe"},
]


def bounds() -> dict[str, tuple[float, float]]:
    """The bounds of the page by change, in seconds: where decisions are live, and everywhere else."""
    table = PAGE.partition("## How soon a change takes effect")[2].partition("\n\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert len(rows) == 3
    return {name: (seconds(live), seconds(soft)) for names, live, soft in rows for name in names.split(", ")}


def seconds(text: str) -> float:
    found = re.fullmatch(r"at once|within (\d+) s", text)
    assert found, text
    return float(found[1] or 0)


class Scene:
    """A gate with alice inside, and one warm environment whose last refresh has just read the head."""

    def __init__(self) -> None:
        self.gate = InMemoryGate()
        self.desk, self.clock = self.gate.desk(), self.gate.clock
        self.change("POST /admin/v1/manifest", {"access": "access", "flags": [FLAG], "routes": ROUTES})
        self.gate.start_session("alice", "s")
        self.environment = Environment(self.gate.table, self.clock, jitter=lambda: 0.0)
        self.refresh()
        self.clock.advance(60)
        self.read_at = self.clock()
        self.gate.table.turn = lambda: self.clock.advance(SLOW)
        self.refresh()
        self.gate.table.turn = lambda: None

    def refresh(self) -> None:
        """Send a request that refreshes each function's rules, all in the same second."""
        now = self.clock()
        for site in ("observe", "evaluate", "keys"):
            self.clock.now = now
            self.environment.asks(site, ADMIN)

    def change(self, route: str, body: Any, path: Any = None, version: int | None = None) -> None:
        with quiet():
            headers = {} if version is None else {"if-match": f'"{version}"'}
            self.desk.must(Ask(route, {**body, "reason": "why"}, path or {}, headers))

    def passes(self, route: str, kind: Kind) -> bool:
        """Whether alice passes a route with a token that was issued before the change."""
        sid = "s" if kind is Kind.SESSION else None
        grant = Grant(kind=kind, issuer=SETTINGS.issuer, audience=SETTINGS.audience, subject="alice", client_id="web",
                      lifetime=3_600, rev=1, sid=sid)  # fmt: skip
        token, _ = issue(self.environment.kms, grant, self.read_at - 60)
        answer = self.environment._authorizer(event(route, token=token))
        return answer["isAuthorized"] is True and "false" not in answer["context"]["asks"]

    def asks(self, place: str) -> bool:
        """Whether alice is let in, or told that she is; of the published keys, whether there is any."""
        if " by " not in place:
            found = self.environment.asks(place, "alice")
            return bool(found.body["keys"]) if place == "keys" else found.granted is True
        route, _, kind = place.rpartition(" by ")
        return self.passes(route, Kind(kind))


def kill(scene: Scene) -> None:
    scene.change("POST /admin/v1/flags/{key}/kill", {}, {"key": "access"})


def sever(scene: Scene) -> None:
    scene.change("POST /admin/v1/flags/{key}/kill", {"reach": "sever"}, {"key": "access"})


def stage(scene: Scene) -> None:
    body = {"stage": "admin_only", "allow_shrink": True}
    scene.change("POST /admin/v1/flags/{key}/stage", body, {"key": "access"}, 1)


def unlist(scene: Scene) -> None:
    removed = {"remove": {"users": ["alice"]}, "allow_shrink": True}
    scene.change("POST /admin/v1/flags/{key}/allow", removed, {"key": "access"}, 1)


def rule(scene: Scene) -> None:
    """The list is replaced by a rule that does not hold for alice."""
    clause = {"attribute": "plan", "op": "equals", "value": "pro"}
    allow = {"users": [], "rules": [{"clauses": [clause]}]}
    body = {**FLAG, "allow": allow, "allow_shrink": True}
    scene.change("PUT /admin/v1/flags/{key}", body, {"key": "access"}, 1)


def reclass(scene: Scene) -> None:
    """Every route becomes one for admins."""
    routes = [{"route": one["route"], "class": "admin"} for one in ROUTES]
    scene.change("PUT /admin/v1/routes", {"routes": routes, "allow_shrink": True}, version=1)


def guard(scene: Scene) -> None:
    """An `observe` route becomes `entry`, and so needs a flag that is off for alice."""
    routes = [{"route": "GET /observe", "class": "entry", "flags": ["none"]}]
    scene.change("PUT /admin/v1/routes", {"routes": routes, "allow_shrink": True}, version=1)


def repoint(scene: Scene) -> None:
    """Another access flag."""
    profile = {"access": "none", "max_stale": 60, "token": {}}
    scene.gate.operator().makes("profile", replacement("profile", profile))


def end(scene: Scene) -> None:
    scene.change("DELETE /admin/v1/sessions/{id}", {}, {"id": record_id("alice", "s")})


def revoke(scene: Scene) -> None:
    scene.change("POST /admin/v1/revocations", {"subject": "alice"})


def revoke_key(scene: Scene) -> None:
    keys = {"keys": [{"kid": "key", "state": "revoked", "since": "2026-01-01T00:00:00.000Z"}]}
    scene.gate.operator().makes("keys", replacement("keys", keys))


GATED = ("GET /enter by access", "GET /flags by access", "GET /flags by session", "GET /asks by access")
MINT = ("mint", "start a session")
EVALUATE = ("evaluate", "evaluate all")
OPEN = ("GET /observe by access", "GET /observe by session")
CELLS: tuple[tuple[str, Callable[[Scene], None], tuple[str, ...], tuple[str, ...]], ...] = (
    ("kill", kill, (*MINT, *GATED), EVALUATE),
    ("kill", sever, (*MINT, *GATED), (*EVALUATE, OPEN[1])),
    ("stage", stage, (*MINT, *GATED), EVALUATE),
    ("list", unlist, (*MINT, *GATED), EVALUATE),
    ("rule", rule, (*MINT, *GATED), EVALUATE),
    ("route policy", reclass, GATED, OPEN),
    ("route policy", guard, (), OPEN),
    ("access flag", repoint, (*MINT, GATED[0]), ()),
    ("ended session", end, ("GET /flags by session",), OPEN[1:]),
    ("revocation", revoke, GATED, (*EVALUATE, *OPEN)),
    ("revoked key", revoke_key, GATED, (*EVALUATE, *OPEN, "keys")),
)


@quiet()
@pytest.mark.parametrize(
    ("row", "change", "place", "is_live"),
    [
        pytest.param(row, change, place, is_live, id=f"{change.__name__}-{place}")
        for row, change, live, soft in CELLS
        for is_live, places in ((True, live), (False, soft))
        for place in places
    ],
)
def test_a_change_takes_effect_within_its_bound(
    row: str, change: Callable[[Scene], None], place: str, is_live: bool
) -> None:
    scene = Scene()
    assert scene.asks(place)
    scene = Scene()  # unchanged by the first request
    live, soft = bounds()[row]
    change(scene)
    scene.clock.now = scene.read_at + SLOW if is_live else scene.read_at + soft
    scene.clock.advance(live)
    assert not scene.asks(place)


def test_every_row_of_the_page_is_tested() -> None:
    assert bounds().keys() == {row for row, *_ in CELLS}
