"""Sessions at the token endpoint, before a table that others write too, and that may not answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from in_memory_gate import InMemoryGate
from reference_table import Fault, ReferenceTable, always, at

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


class Busy(ReferenceTable):
    """Lets another come first: `before_write` is called once, before the next write."""

    def __init__(self) -> None:
        super().__init__()
        self.before_write: Callable[[], object] | None = None

    def write(self, puts: Sequence[Put]) -> None:
        first, self.before_write = self.before_write, None
        if first is not None:
            first()
        super().write(puts)


class Applications(InMemoryGate):
    """A gate with an empty table, which admits admins, and an admin who applies."""

    def __init__(self) -> None:
        self.busy = Busy()
        super().__init__(self.busy)
        self.admission = Admission(self.cold(), self.sessions, clock=self.clock)

    def applicant(self, kind: Kind | None = Kind.ACCESS, **members: object) -> Applicant:
        """By an access token made now, a session token, or (None) an identity."""
        own = kind and Credential(
            kind=kind, issuer="i", audience="a", subject="root", client_id="web", admin=kind is Kind.ACCESS,
            sid=SID if kind is Kind.SESSION else None, rev=0, jti="t", iat=int(self.clock()), nbf=NOW, exp=NOW * 2,
            kid="k1",
        )  # fmt: skip
        return replace(
            Applicant("root", Subject("root", admin=kind is not Kind.SESSION), "web", own or None), **members
        )  # type: ignore[arg-type]

    def admit(self, kind: Kind | None = Kind.ACCESS) -> int:
        """The seconds that the new token lives."""
        lifetime = self.admission.admit(self.applicant(kind), SID)["lifetime"]
        assert isinstance(lifetime, int)
        return lifetime

    def refused(self, kind: Kind | None = Kind.ACCESS) -> int:
        """The status of a refusal."""
        with pytest.raises(OAuthError) as caught:
            self.admit(kind)
        return caught.value.status

    def renew_elsewhere(self) -> None:
        """Another environment renews, a second later."""
        held = self.sessions.find("root", SID)
        assert held is not None
        self.clock.advance(1)
        assert self.sessions.renew(held, held.renewed(int(self.clock())))

    def end(self) -> None:
        """An operator ends it."""
        held = self.sessions.find("root", SID)
        assert held is not None
        self.table.write([ending(held)])

    def deny(self, kind: DenyKind, value: str) -> None:
        """An operator revokes, on record like every change."""
        denial = Denial(kind, value, int(self.clock()), NOW * 2)

        def plan(_current: Current) -> Change:
            return Change("deny.revoke", 1, None, denial.document, Answer(201))

        ops = self.operator()
        assert isinstance(ops.record.change(deny_key(kind, value), plan, ops.call()), Answer)


@pytest.fixture
def gate() -> Applications:
    return Applications()


def test_what_a_start_and_a_renewal_cost(gate: Applications) -> None:
    """A renewal reads session and rules at once, whatever was read before; it is one read and one write."""
    gate.admit()
    gate.table.calls.clear()
    assert gate.admit(Kind.SESSION) == SESSION_TOKEN_LIFE
    assert [(call.op, len(call.keys)) for call in gate.table.calls] == [("get", 2), ("write", 1)]


def test_two_renewals_at_once_are_both_answered(gate: Applications) -> None:
    gate.admit()
    gate.busy.before_write = gate.renew_elsewhere
    assert gate.admit(Kind.SESSION) == SESSION_TOKEN_LIFE


def test_a_renewal_that_comes_too_late_is_refused(gate: Applications) -> None:
    gate.admit()
    gate.busy.before_write = gate.end
    assert gate.refused(Kind.SESSION) == 403
    held = gate.sessions.find("root", SID)
    assert held is not None
    assert held.ended


def test_a_session_that_everybody_renews_is_not_denied(gate: Applications) -> None:
    """503 and not 403: the client has to ask again, not to give up."""
    gate.admit()
    gate.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    assert gate.refused(Kind.SESSION) == 503


@pytest.mark.parametrize("kind", [Kind.ACCESS, Kind.SESSION, None])
@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.THROTTLED])
def test_without_the_store_nothing_is_started_or_renewed(gate: Applications, fault: Fault, kind: Kind | None) -> None:
    gate.admit()
    gate.table.weather = always(fault)
    assert gate.refused(kind) == 503


def test_a_write_that_got_no_answer_is_no_refusal(gate: Applications) -> None:
    gate.admit()
    gate.table.weather = at(len(gate.table.calls) + 1, Fault.LOST_ANSWER)
    assert gate.refused(Kind.SESSION) == 503
    assert gate.admit(Kind.SESSION) == SESSION_TOKEN_LIFE


def test_a_revocation_of_this_very_moment_ends_renewals(gate: Applications) -> None:
    """The rules held are younger than 4 s: a soft refresh would not look, and the new token would outlive them all."""
    gate.admit()
    session = gate.applicant(Kind.SESSION)
    gate.deny(DenyKind.SUBJECT, "root")
    with pytest.raises(TokenRefused):
        gate.admission.admit(session, SID)
    gate.clock.advance(1)
    assert gate.refused(None) == 403, "an identity token renews, and there is nothing to renew"
    assert gate.admit(Kind.ACCESS) == SESSION_TOKEN_LIFE
    assert gate.admit(None) == SESSION_TOKEN_LIFE


def test_a_revoked_token_starts_and_renews_nothing(gate: Applications) -> None:
    gate.deny(DenyKind.JTI, "t")
    for kind in (Kind.ACCESS, Kind.SESSION):
        with pytest.raises(TokenRefused):
            gate.admit(kind)


def test_an_ended_session_starts_anew_a_second_later(gate: Applications) -> None:
    """In the same second its token would be refused with those before it: 503 says to come again."""
    gate.admit()
    gate.deny(DenyKind.SESSION, record_id("root", SID))
    gate.end()
    assert gate.refused() == 503
    gate.clock.advance(1)
    assert gate.refused(None) == 403
    assert gate.admit() == SESSION_TOKEN_LIFE


def test_a_record_that_cannot_be_read_is_no_session(gate: Applications) -> None:
    pk, sk = session_key("root", SID)
    gate.table.write([Put({"pk": pk, "sk": sk, "body": "{"})])
    assert gate.refused(None) == 403
    assert gate.admit() == SESSION_TOKEN_LIFE
