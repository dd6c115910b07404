"""Sessions at the token endpoint, on a table with concurrent writers and faults."""

from dataclasses import replace

import pytest
from in_memory_gate import InMemoryGate
from reference_table import Fault, Overtaken, always, at

from headgate.core.deny import Denial, DenyKind
from headgate.core.model import Subject
from headgate.core.session import SESSION_TOKEN_LIFE, record_id
from headgate.edge.admission import Admission, Applicant
from headgate.edge.oauth import OAuthError
from headgate.store.items import deny_key
from headgate.store.port import Put
from headgate.store.record import Answer, Change, Current
from headgate.store.sessions import ending, session_key
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import TokenRefused

NOW = 1_780_000_000
SID = "town:1"


class Applications(InMemoryGate):
    """A gate with an empty table, which admits admins, and an admin who applies."""

    def __init__(self) -> None:
        self.overtaken = Overtaken()
        super().__init__(self.overtaken)
        self.admission = Admission(self.cold(), self.sessions, clock=self.clock)

    def applicant(self, kind: Kind | None = Kind.ACCESS, **members: object) -> Applicant:
        """An applicant with a new access token, a session token, or (None) an identity token."""
        own = kind and Credential(
            kind=kind, issuer="i", audience="a", subject="root", client_id="web", admin=kind is Kind.ACCESS,
            sid=SID if kind is Kind.SESSION else None, rev=0, jti="t", iat=int(self.clock()), nbf=NOW, exp=NOW * 2,
            kid="k1",
        )  # fmt: skip
        return replace(
            Applicant("root", Subject("root", admin=kind is not Kind.SESSION), "web", own or None), **members
        )  # type: ignore[arg-type]

    def admit(self, kind: Kind | None = Kind.ACCESS) -> int:
        """The lifetime of the new token, in seconds."""
        lifetime = self.admission.admit(self.applicant(kind), SID)["lifetime"]
        assert isinstance(lifetime, int)
        return lifetime

    def refused(self, kind: Kind | None = Kind.ACCESS) -> int:
        """The status of a refusal."""
        with pytest.raises(OAuthError) as caught:
            self.admit(kind)
        return caught.value.status

    def renew_elsewhere(self) -> None:
        """Renew the session in another environment, a second later."""
        held = self.sessions.find("root", SID)
        assert held is not None
        self.clock.advance(1)
        assert self.sessions.renew(held, held.renewed(int(self.clock())))

    def end(self) -> None:
        """End the session as an operator does."""
        held = self.sessions.find("root", SID)
        assert held is not None
        self.table.write([ending(held)])

    def deny(self, kind: DenyKind, value: str) -> None:
        """Add a denial as an operator does, with an audit entry."""
        denial = Denial(kind, value, int(self.clock()), NOW * 2)

        def plan(_current: Current) -> Change:
            return Change("deny.revoke", 1, None, denial.document, Answer(201))

        ops = self.operator()
        assert isinstance(ops.record.change(deny_key(kind, value), plan, ops.call()), Answer)


@pytest.fixture
def gate() -> Applications:
    return Applications()


def test_a_renewal_costs_one_read_and_one_write(gate: Applications) -> None:
    """The read is of the session and the head together, whatever was read before."""
    gate.admit()
    gate.table.calls.clear()
    assert gate.admit(Kind.SESSION) == SESSION_TOKEN_LIFE
    assert [(call.op, len(call.keys)) for call in gate.table.calls] == [("get", 2), ("write", 1)]


def test_two_concurrent_renewals_both_succeed(gate: Applications) -> None:
    gate.admit()
    gate.overtaken.before_write = gate.renew_elsewhere
    assert gate.admit(Kind.SESSION) == SESSION_TOKEN_LIFE


def test_a_renewal_during_which_the_session_ends_is_refused(gate: Applications) -> None:
    gate.admit()
    gate.overtaken.before_write = gate.end
    assert gate.refused(Kind.SESSION) == 403
    held = gate.sessions.find("root", SID)
    assert held is not None
    assert held.ended


def test_a_renewal_under_constant_contention_is_503(gate: Applications) -> None:
    """Not 403: the client should retry."""
    gate.admit()
    gate.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    assert gate.refused(Kind.SESSION) == 503


@pytest.mark.parametrize("kind", [Kind.ACCESS, Kind.SESSION, None])
@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.THROTTLED])
def test_starts_and_renewals_without_the_store_are_503(gate: Applications, fault: Fault, kind: Kind | None) -> None:
    gate.admit()
    gate.table.weather = always(fault)
    assert gate.refused(kind) == 503


def test_a_renewal_with_a_lost_answer_is_503_and_a_retry_succeeds(gate: Applications) -> None:
    gate.admit()
    gate.table.weather = at(len(gate.table.calls) + 1, Fault.LOST_ANSWER)
    assert gate.refused(Kind.SESSION) == 503
    assert gate.admit(Kind.SESSION) == SESSION_TOKEN_LIFE


def test_a_revocation_applies_to_a_renewal_in_the_same_second(gate: Applications) -> None:
    """The rules held are younger than 4 s, so a soft refresh would not read, and the new token would be admitted."""
    gate.admit()
    session = gate.applicant(Kind.SESSION)
    gate.deny(DenyKind.SUBJECT, "root")
    with pytest.raises(TokenRefused):
        gate.admission.admit(session, SID)
    gate.clock.advance(1)
    assert gate.refused(None) == 403, "an identity token can only renew, and there is no session"
    assert gate.admit(Kind.ACCESS) == SESSION_TOKEN_LIFE
    assert gate.admit(None) == SESSION_TOKEN_LIFE


def test_a_revoked_token_cannot_start_or_renew_a_session(gate: Applications) -> None:
    gate.deny(DenyKind.JTI, "t")
    for kind in (Kind.ACCESS, Kind.SESSION):
        with pytest.raises(TokenRefused):
            gate.admit(kind)


def test_an_ended_session_can_be_started_again_a_second_later(gate: Applications) -> None:
    """In the same second its token would be refused like the earlier ones, so the answer is 503."""
    gate.admit()
    gate.deny(DenyKind.SESSION, record_id("root", SID))
    gate.end()
    assert gate.refused() == 503
    gate.clock.advance(1)
    assert gate.refused(None) == 403
    assert gate.admit() == SESSION_TOKEN_LIFE


def test_an_unreadable_record_is_not_a_session(gate: Applications) -> None:
    pk, sk = session_key("root", SID)
    gate.table.write([Put({"pk": pk, "sk": sk, "body": "{"})])
    assert gate.refused(None) == 403
    assert gate.admit() == SESSION_TOKEN_LIFE
