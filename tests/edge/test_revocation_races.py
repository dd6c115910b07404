"""A revocation, or the end of a session, that comes during an exchange: whatever token it gives is refused.

The denial is written before each call to the store and to KMS in turn, at once and a second after it was stamped.
"""

import json
from typing import Any

import jwt
import pytest
from desk import Ask, quiet
from in_memory_gate import ADMIN, SETTINGS, Environment, InMemoryGate, event
from reference_table import Call, Fault, always, clear

from headgate.core.deny import Denial, DenyKind
from headgate.core.documents import unix
from headgate.core.session import record_id
from headgate.edge.credentials import check_denied
from headgate.edge.oauth import ACCESS_TOKEN, GRANT, ID_TOKEN, SESSION_TOKEN
from headgate.store.denials import denial_change, session_end
from headgate.store.items import deny_key
from headgate.store.record import Change, Current
from headgate.tokens.claims import Kind
from headgate.tokens.refusals import TokenRefused
from headgate.tokens.verify import Verifier

SID = "town:1"
EXCHANGES = ("access", "evaluate", "start", "renew", "renew by identity")
RENEWALS = ("renew", "renew by identity")
SUBJECT, SESSION = (DenyKind.SUBJECT, ADMIN), (DenyKind.SESSION, record_id(ADMIN, SID))


class Race(InMemoryGate):
    """An admin who exchanges tokens, and an operator who interferes before the call with a given number."""

    def __init__(self) -> None:
        super().__init__()
        self.env = Environment(self.table, self.clock)
        self.access = self.token(self.exchange(ADMIN, ID_TOKEN))
        self.session = self.token(self.exchange(self.access, ACCESS_TOKEN, SID))
        self.clock.advance(10)
        self.table.weather = self.env.kms.before_sign = self.before_call  # type: ignore[assignment]
        self.calls, self.chosen, self.delay, self.denial = 0, -1, 0.0, SUBJECT

    def exchange(self, token: str, kind: str, sid: str = "", **form: str) -> dict[str, Any]:
        form |= {"grant_type": GRANT, "subject_token": token, "subject_token_type": kind}
        form |= {"requested_token_type": SESSION_TOKEN, "session_id": sid} if sid else {}
        return self.env.token(event("POST /v1/token", form=form))

    def ask(self, exchange: str) -> str:
        """Make one of `EXCHANGES`; the token, or nothing."""
        own = {"start": self.access, "renew": self.session}.get(exchange)
        sent, kind = (own, ACCESS_TOKEN) if own else (ADMIN, ID_TOKEN)
        sid = {"start": "town:2", "renew": SID, "renew by identity": SID}.get(exchange, "")
        return self.token(self.exchange(sent, kind, sid, **({"scope": "evaluate"} if exchange == "evaluate" else {})))

    def token(self, answer: dict[str, Any]) -> str:
        return str(json.loads(answer["body"]).get("access_token", ""))

    def before_call(self, _call: Call | None = None) -> None:
        self.calls += 1
        if self.calls == self.chosen:
            self.deny(*self.denial)

    def deny(self, kind: DenyKind = DenyKind.SUBJECT, value: str = ADMIN) -> None:
        """Revoke a subject or a token, or end a session; the table takes `delay` seconds to commit."""

        def plan(current: Current) -> Change:
            self.clock.advance(self.delay)
            if kind is DenyKind.SESSION:
                return session_end(self.sessions, value, current)
            at = int(unix(current.stamp.at))
            return denial_change("deny.revoke", Denial(kind, value, at, at + 90_000), current, status=201)

        operator = self.operator()
        operator.record.change(deny_key(kind, value), plan, operator.call())

    def passes(self, token: str) -> bool:
        """Whether a cold environment accepts the token, five seconds later."""
        self.clock.advance(5)
        keys = {"key": self.env.kms.public()}
        credential = Verifier(SETTINGS.issuer, SETTINGS.audience, keys).verify(token, self.clock(), frozenset(Kind))
        try:
            check_denied(self.cold().live().snapshot, credential)
        except TokenRefused:
            return False
        return True


@pytest.mark.parametrize("delay", [0.0, 0.9])
@pytest.mark.parametrize(
    ("exchange", "denial"), [*((name, SUBJECT) for name in EXCHANGES), *((name, SESSION) for name in RENEWALS)]
)
def test_a_token_from_an_exchange_during_a_denial_is_refused(
    exchange: str, denial: tuple[DenyKind, str], delay: float
) -> None:
    quiet = Race()
    undenied, calls, given = quiet.ask(exchange), quiet.calls, 0
    assert quiet.passes(undenied)
    for chosen in range(1, calls + 1):
        race = Race()
        race.chosen, race.delay, race.denial = chosen, delay, denial
        token = race.ask(exchange)
        given += bool(token)
        assert not token or not race.passes(token), f"denied before call {chosen}"
    assert given, "some exchanges are too late to be stopped"


@pytest.mark.parametrize(("later", "status"), [(0, 400), (1, 400), (2, 200)])
@pytest.mark.parametrize("scope", ["access", "evaluate"])
def test_an_identity_token_from_up_to_a_second_after_a_revocation_is_refused(
    scope: str, later: int, status: int
) -> None:
    race = Race()
    race.deny()
    race.clock.advance(later)
    assert race.exchange(ADMIN, ID_TOKEN, scope=scope)["statusCode"] == status


@pytest.mark.parametrize("exchange", ["start", "renew"])
def test_a_token_that_was_revoked_by_its_id_starts_and_renews_nothing(exchange: str) -> None:
    race = Race()
    for token in (race.access, race.session):
        jti = str(jwt.decode(token, options={"verify_signature": False})["jti"])
        race.deny(DenyKind.JTI, jti)
    assert race.ask(exchange) == ""


@pytest.mark.parametrize(("later", "status"), [(1, 400), (2, 403)])
def test_a_revoked_subject_cannot_renew_by_an_earlier_identity_token(later: int, status: int) -> None:
    """With a later one it can, but the session itself is over."""
    race = Race()
    race.deny()
    race.clock.advance(later)
    assert race.exchange(ADMIN, ID_TOKEN, SID)["statusCode"] == status


@pytest.mark.parametrize("exchange", RENEWALS)
@pytest.mark.parametrize("is_cold", [False, True])
def test_a_revoked_session_is_not_renewed_while_only_the_head_can_be_read(exchange: str, is_cold: bool) -> None:
    """The head says that there are newer rules, and the revocation is among them."""
    race = Race()
    race.deny()
    if is_cold:
        race.env = Environment(race.table, race.clock)
    race.table.weather = lambda call: Fault.THROTTLED if call.op == "query" else None
    assert race.ask(exchange) == ""


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_REQUEST])
@pytest.mark.parametrize("exchange", ["access", "evaluate"])
def test_a_token_from_before_a_revocation_gives_none_that_outlives_an_outage(exchange: str, fault: Fault) -> None:
    """Without rules an admin passes, and everybody may ask about flags; what they get is as old as what they sent."""
    race = Race()
    race.clock.advance(70)  # beyond `max_stale`
    race.env.provider.issued_at = int(race.clock())
    race.deny()
    race.clock.advance(10)
    race.table.weather = always(fault)
    token = race.ask(exchange)
    race.table.weather = clear
    assert token
    assert not race.passes(token)


def test_a_revocation_whose_write_takes_longer_than_a_denial_covers_is_made_again() -> None:
    """Each with its own key, even where two callers' keys differ only at their end."""
    race = Race()
    desk, slow = race.desk(), iter([2.5, 0.1, 2.5, 0.1])

    def weather(call: Call) -> None:
        if call.op == "write":
            race.clock.advance(next(slow))

    race.table.weather = weather
    with quiet():
        for number in (1, 2):
            desk.must(Ask("POST /admin/v1/revocations", {"subject": ADMIN, "reason": "a test"}, idem=f"{number:064}"))
            denied = race.cold().live().snapshot.denied
            assert denied.refuses(subject=ADMIN, jti="", issued_at=int(race.clock()), session=None)
            assert len(race.table.partition("audit")) == 2 * number
