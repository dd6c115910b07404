"""The emergency kill at the authorizer and the token endpoint, warm and cold, with and without the table."""

import io
import json
import time
from contextlib import redirect_stdout
from typing import Any

import pytest
from fake_clock import FakeClock
from in_memory_gate import Kms
from reference_table import Fault, always
from written_rules import WrittenRules

from headgate.core.emergency import packed, running_work
from headgate.core.model import Subject
from headgate.core.routes import parse_routes
from headgate.edge.admission import Admission, Applicant
from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.http import read_request
from headgate.edge.key_pool import KeyPool
from headgate.edge.oauth import OAuthError
from headgate.edge.settings import GateSettings, emergency_kill
from headgate.store.record import Record
from headgate.store.sessions import Sessions, session_key
from headgate.store.snapshots import Snapshots
from headgate.tokens.claims import Kind
from headgate.tokens.issue import Grant, issue
from headgate.tokens.verify import Credential

CLASSES = ("entry", "continue", "observe", "stop", "machine", "admin")
ROUTES = [
    *({"route": f"GET /{name}", "class": name} for name in CLASSES),
    {"route": "GET /asks", "class": "continue", "asks": ["convoys"]},
]
WORK = {"continue", "observe", "stop", "asks"}
SETTINGS = GateSettings("t", ("key",), "headgate", "https://gate.example.com")
MAX_STALE = 30


SIGNER = Kms("key")


class Scene:
    """One environment of each function, started with emergency variables, on rules that admit everyone."""

    def __init__(self, kill: str, *, carried: bool = True, warm: bool = False, fault: Fault | None = None) -> None:
        self.clock = FakeClock(float(int(time.time())))
        self.rules = WrittenRules(self.clock)
        self.rules.profile("access", MAX_STALE)
        self.rules.routes(*ROUTES, {"route": "GET /convoys", "class": "machine", "flags": ["convoys"]})
        self.rules.flag("access", stage="ga")
        self.rules.flag("convoys", stage="ga", requires=["access"])
        work = running_work(parse_routes(ROUTES))
        environment = {"HEADGATE_EMERGENCY_KILL": kill, "HEADGATE_EMERGENCY_ROUTES": packed(work) if carried else ""}
        with redirect_stdout(io.StringIO()) as said:
            emergency = emergency_kill("authorizer", environment)
        self.said = [json.loads(line) for line in said.getvalue().splitlines()]
        self.snapshots = Snapshots(self.rules.table, emergency=emergency, clock=self.clock, jitter=lambda: 0.0)
        keys = KeyPool((SIGNER,), self.snapshots)
        self.authorizer = Authorizer(Credentials(SETTINGS, keys), self.snapshots, clock=self.clock)
        self.sessions = Sessions(self.rules.table, clock=self.clock)
        self.admission = Admission(
            self.snapshots, self.sessions, Record(self.rules.table, clock=self.clock), clock=self.clock
        )
        if warm:
            self.snapshots.soft()
        if fault is not None:
            self.rules.table.weather = always(fault)

    def passes(self, credential: str) -> set[str]:
        """The classes that a credential passes."""
        return {name for name in (*CLASSES, "asks", "convoys") if self._asks(name, self.token(credential)[0])}

    def token(self, credential: str) -> tuple[str, Credential]:
        session = credential == "session"
        grant = Grant(
            kind=Kind.SESSION if session else Kind.ACCESS, issuer=SETTINGS.issuer, audience=SETTINGS.audience,
            subject="u", client_id="c", lifetime=3_600, rev=1, admin=credential == "admin",
            sid="town:1" if session else None,
        )  # fmt: skip
        return issue(SIGNER, grant, self.clock.now - 60)

    def _asks(self, route_class: str, token: str) -> bool:
        key = f"GET /{route_class}"
        context = {"routeKey": key, "domainName": "gate.example.com", "requestId": "r", "http": {}}
        event = {"routeKey": key, "headers": {"authorization": f"Bearer {token}"}, "requestContext": context}
        return self.authorizer(event)["isAuthorized"] is True

    def session(self, **members: Any) -> int | str:
        """The lifetime of a session's token in seconds, or the error."""
        try:
            applicant = Applicant("u", Subject("u"), "c", int(self.clock()), **members)
            view = self.snapshots.live(session_key("u", "town:1"))
            return int(self.admission.admit(applicant, "town:1", view, read_request({}))["lifetime"])
        except OAuthError as error:
            return error.error


OUTAGES = [Fault.LOST_REQUEST, Fault.THROTTLED]


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("fault", [None, *OUTAGES], ids=["well", "down", "throttled"])
@pytest.mark.parametrize("kill", ["*", "access"])
def test_an_emergency_kill_refuses_entry_and_nothing_else(kill: str, fault: Fault | None, warm: bool) -> None:
    scene = Scene(kill, warm=warm, fault=fault)
    assert scene.passes("user") == WORK
    assert scene.passes("session") == {*WORK, "machine"}
    known = warm or fault is None
    admin = {*CLASSES, "asks"} - {"machine"}
    assert scene.passes("admin") == (admin if known else {*admin, "convoys"})  # an unknown route is entry
    scene.clock.advance(MAX_STALE + 60)
    assert scene.passes("user") == WORK
    assert scene.passes("session") == {*WORK, "machine"}


@pytest.mark.parametrize("fault", OUTAGES, ids=["down", "throttled"])
def test_without_routes_a_cold_environment_admits_only_admins(fault: Fault) -> None:
    scene = Scene("*", carried=False, fault=fault)
    assert (scene.passes("user"), scene.passes("session")) == (set(), set())
    assert scene.passes("admin") == {*CLASSES, "asks", "convoys"}


def test_routes_without_a_kill_are_ignored() -> None:
    scene = Scene("", fault=Fault.LOST_REQUEST)
    assert (scene.passes("user"), scene.said) == (set(), [])


def test_the_tables_routes_override_the_variables_routes() -> None:
    scene = Scene("*", fault=Fault.LOST_REQUEST)
    assert "stop" in scene.passes("user")
    scene.rules.table.weather = always(None)  # type: ignore[arg-type]
    scene.rules.routes({"route": "GET /stop", "class": "admin"})
    scene.clock.advance(6)
    assert scene.passes("user") == set()
    scene.rules.table.weather = always(Fault.LOST_REQUEST)
    scene.clock.advance(MAX_STALE + 60)
    assert scene.passes("user") == set(), "what was loaded stays, however old"


def test_an_emergency_kill_of_a_sub_feature_affects_only_it() -> None:
    scene = Scene("convoys")
    assert scene.passes("user") == {*WORK, "entry"}
    assert scene.passes("session") == {*WORK, "machine"}
    assert Scene("").passes("session") == {*WORK, "machine", "convoys"}


def test_an_emergency_kill_is_not_stored_in_the_rules_that_are_held() -> None:
    scene = Scene("*", warm=True)
    held = scene.snapshots.held
    assert held is not None
    assert held.rules.flags["access"].killed is None
    scene.rules.flag("more", stage="ga")
    view = scene.snapshots.live()
    assert {key for key, flag in view.snapshot.rules.flags.items() if flag.killed} == {"access", "convoys", "more"}


def test_an_emergency_kill_is_applied_once_per_snapshot() -> None:
    scene = Scene("*", warm=True)
    first = scene.snapshots.soft().snapshot
    assert scene.snapshots.soft().snapshot is first
    assert scene.snapshots.live().snapshot is first


def test_under_an_emergency_kill_sessions_are_renewed_but_not_started() -> None:
    well = Scene("")
    assert well.session(own=well.token("user")[1]) == 3_600
    scene = Scene("*")
    assert scene.session(own=scene.token("user")[1]) == "access_denied"
    scene.rules.table.write(list(well.rules.table.written))
    assert scene.session(own=scene.token("session")[1]) == 3_600
    assert scene.session() == 3_600, "by an identity token too"
    scene.rules.table.weather = always(Fault.LOST_REQUEST)
    assert scene.session(own=scene.token("session")[1]) == "temporarily_unavailable"


@pytest.mark.parametrize(
    ("kill", "told"),
    [("*", {"flag": "*"}), ("b,a", {"flag": "a,b"}), ("NO KEY", {"flag": "*", "code": "malformed:kill"})],
)
def test_every_cold_start_logs_and_counts_the_emergency_kill(kill: str, told: dict[str, str]) -> None:
    line, metric = Scene(kill).said
    assert {name: line[name] for name in line.keys() - {"time"}} == {
        "event": "emergency",
        "function": "authorizer",
        **told,
    }
    assert metric["EmergencyKill"] == 1
