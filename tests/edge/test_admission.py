"""Sessions at the token endpoint, on a table with concurrent writers and faults."""

from dataclasses import replace
from typing import Any

import pytest
from in_memory_gate import InMemoryGate
from reference_table import Fault, Overtaken, always, at, clear

from headgate.core.deny import Denial, DenyKind
from headgate.core.model import Subject
from headgate.core.session import RENEWAL_GRACE, RENEWALS_KEPT, SESSION_TOKEN_LIFE, record_id
from headgate.edge.admission import Admission, Applicant
from headgate.edge.http import read_request
from headgate.edge.oauth import OAuthError
from headgate.store.items import deny_key, read_entry
from headgate.store.port import Put
from headgate.store.record import Answer, Change, Current
from headgate.store.sessions import ending, session_key
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import TokenRefused

NOW = 1_780_000_000
SID = "town:1"
REQUEST = read_request({})


class Applications(InMemoryGate):
    """A gate with an empty table, which admits admins, and an admin who applies."""

    def __init__(self) -> None:
        self.overtaken = Overtaken()
        super().__init__(self.overtaken)
        self.rules = self.cold()
        self.admission = Admission(self.rules, self.sessions, self.operator().record, clock=self.clock)

    def applicant(self, kind: Kind | None = Kind.ACCESS, **members: object) -> Applicant:
        """An applicant with a new access token, a session token, or (None) an identity token."""
        own = kind and Credential(
            kind=kind, issuer="i", audience="a", subject="root", client_id="web", admin=kind is Kind.ACCESS,
            sid=SID if kind is Kind.SESSION else None, rev=0, jti="t", iat=int(self.clock()), nbf=NOW, exp=NOW * 2,
            kid="k1",
        )  # fmt: skip
        return replace(
            Applicant("root", Subject("root", admin=kind is not Kind.SESSION), "web", int(self.clock()), own or None),
            **members,
        )  # type: ignore[arg-type]

    def apply(self, applicant: Applicant) -> dict[str, Any]:
        """The grant."""
        view = self.rules.live(session_key("root", SID))
        return self.admission.admit(applicant, SID, view, REQUEST)

    def admit(self, kind: Kind | None = Kind.ACCESS) -> int:
        """The lifetime of the new token, in seconds."""
        lifetime = self.apply(self.applicant(kind))["lifetime"]
        assert isinstance(lifetime, int)
        return lifetime

    def refused(self, kind: Kind | None = Kind.ACCESS) -> int:
        """The status of a refusal."""
        with pytest.raises(OAuthError) as caught:
            self.admit(kind)
        return caught.value.status

    def renew(self, generation: int) -> int:
        """Renew by the session token of a generation; the new token's."""
        own = self.applicant(Kind.SESSION).own
        assert own is not None
        applicant = self.applicant(Kind.SESSION, own=replace(own, gen=generation))
        gen = self.apply(applicant)["gen"]
        assert isinstance(gen, int)
        return gen

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


def test_a_revoked_session_cannot_be_renewed_and_a_new_one_may_start(gate: Applications) -> None:
    gate.admit()
    gate.deny(DenyKind.SUBJECT, "root")
    gate.clock.advance(2)
    assert gate.refused(None) == 403, "an identity token can only renew, and there is no session"
    assert gate.admit(Kind.ACCESS) == SESSION_TOKEN_LIFE
    assert gate.admit(None) == SESSION_TOKEN_LIFE


def test_an_ended_session_can_be_started_again_two_seconds_later(gate: Applications) -> None:
    """Before that, its token would be refused like the earlier ones, so the answer is 503."""
    gate.admit()
    gate.deny(DenyKind.SESSION, record_id("root", SID))
    gate.end()
    for _second in range(2):
        assert gate.refused() == 503
        gate.clock.advance(1)
    assert gate.refused(None) == 403
    assert gate.admit() == SESSION_TOKEN_LIFE


def test_each_renewal_supersedes_the_token_before_it(gate: Applications) -> None:
    """A superseded token renews for a minute, since the answer to its renewal may have been lost."""
    gate.admit()
    assert [gate.renew(1), gate.renew(2), gate.renew(3)] == [2, 3, 4]
    gate.clock.advance(RENEWAL_GRACE)
    assert gate.renew(3) == 5
    assert gate.renew(1) == 6, "superseded a minute ago"


@pytest.mark.parametrize("used", [1, 2])
def test_a_superseded_token_used_after_its_minute_ends_the_session_with_an_audit_entry(
    gate: Applications, used: int
) -> None:
    gate.admit()
    assert [gate.renew(1), gate.renew(2)] == [2, 3]
    gate.clock.advance(RENEWAL_GRACE + 1)
    with pytest.raises(TokenRefused):
        gate.renew(used)
    for generation in (used, 3):  # the newest token, too: a thief may hold it
        with pytest.raises(OAuthError):
            gate.renew(generation)
    held = gate.sessions.find("root", SID)
    assert held is not None
    assert held.ended
    entries = [read_entry(item) for item in gate.table.partition("audit").values()]
    assert [(entry["action"], entry["actor"]["arn"]) for entry in entries] == [("deny.session", "headgate:token")]
    assert (
        gate.cold()
        .live()
        .snapshot.denied.refuses(subject="root", jti="", issued_at=int(gate.clock()), session=record_id("root", SID))
    )


def test_a_reused_token_is_503_while_the_end_cannot_be_recorded(gate: Applications) -> None:
    gate.admit()
    gate.renew(1)
    gate.clock.advance(RENEWAL_GRACE + 1)
    gate.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    with pytest.raises(OAuthError) as caught:
        gate.renew(1)
    assert caught.value.status == 503
    gate.table.weather = clear
    with pytest.raises(TokenRefused):
        gate.renew(1)


def test_many_renewals_in_a_minute_share_a_generation(gate: Applications) -> None:
    gate.admit()
    newest = 1
    for _renewal in range(RENEWALS_KEPT + 5):
        newest = gate.renew(newest)
    assert newest == RENEWALS_KEPT + 1
    assert gate.renew(1) == newest, "within its minute"


@pytest.mark.parametrize("kind", [Kind.ACCESS, None])
@pytest.mark.parametrize(
    ("fresh", "left"),
    [
        ({"orgs": ("a", "b"), "attributes": {"plan": "pro", "n": 1}}, (False, ("a", "b"), {"plan", "n"}, False)),
        ({"admin": True, "orgs": ("b", "c"), "attributes": {"plan": "free", "n": True}}, (True, ("b",), set(), True)),
        ({}, (False, (), set(), True)),
    ],
)  # fmt: skip
def test_a_renewal_by_a_fresh_credential_lowers_the_session_and_never_raises_it(
    gate: Applications, kind: Kind | None, fresh: dict[str, Any], left: tuple[Any, ...]
) -> None:
    rich = Subject("root", admin=True, orgs=("a", "b"), attributes={"plan": "pro", "n": 1})
    gate.apply(gate.applicant(subject=rich))
    for subject in (Subject("root", **fresh), rich):
        gate.apply(gate.applicant(kind, subject=subject))
        held = gate.sessions.find("root", SID)
        assert held is not None
        assert (held.admin, held.orgs, set(held.attributes), held.orgs_cut) == left


def test_a_renewal_by_the_session_token_keeps_what_the_session_has(gate: Applications) -> None:
    """A session token carries no `admin`."""
    gate.admit()
    gate.renew(1)
    held = gate.sessions.find("root", SID)
    assert held is not None
    assert held.admin


def test_a_record_from_before_generations_is_renewed(gate: Applications) -> None:
    gate.admit()
    pk, sk = session_key("root", SID)
    assert "generation" not in str(gate.table.partition(pk)[sk]["body"])
    assert gate.renew(1) == 2


def test_an_unreadable_record_is_not_a_session(gate: Applications) -> None:
    pk, sk = session_key("root", SID)
    gate.table.write([Put({"pk": pk, "sk": sk, "body": "{"})])
    assert gate.refused(None) == 403
    assert gate.admit() == SESSION_TOKEN_LIFE
