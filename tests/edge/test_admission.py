"""Sessions at the token endpoint, before a table that others write too, and that may not answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from fake_clock import FakeClock
from reference_table import Fault, ReferenceTable, always, at

from headgate.core.deny import Denial, DenyKind
from headgate.core.model import Subject
from headgate.core.session import SESSION_TOKEN_LIFE, record_id
from headgate.edge.admission import Admission, Applicant
from headgate.edge.oauth import OAuthError
from headgate.store.items import deny_key
from headgate.store.port import Put
from headgate.store.record import Actor, Answer, Call, Change, Current, Record
from headgate.store.sessions import Sessions, ending, session_key
from headgate.store.snapshots import Snapshots
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


class World:
    """An admission, and an admin who applies: an empty table lets admins in."""

    def __init__(self) -> None:
        self.clock, self.table = FakeClock(NOW), Busy()
        self.sessions = Sessions(self.table, clock=self.clock)
        snapshots = Snapshots(self.table, clock=self.clock)
        self.admission = Admission(snapshots, self.sessions, clock=self.clock)
        self.revisions = 0

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

        self.revisions += 1
        actor, key = Actor("arn", "s", "192.0.2.1"), f"key-{self.revisions}"
        record = Record(self.table, clock=self.clock)
        assert isinstance(record.change(deny_key(kind, value), plan, Call(actor, "why", "r", "c", key, "f")), Answer)


@pytest.fixture
def world() -> World:
    return World()


def test_what_a_start_and_a_renewal_cost(world: World) -> None:
    """A renewal reads session and rules at once, whatever was read before; it is one read and one write."""
    world.admit()
    world.table.calls.clear()
    assert world.admit(Kind.SESSION) == SESSION_TOKEN_LIFE
    assert [(call.op, len(call.keys)) for call in world.table.calls] == [("get", 2), ("write", 1)]


def test_two_renewals_at_once_are_both_answered(world: World) -> None:
    world.admit()
    world.table.before_write = world.renew_elsewhere
    assert world.admit(Kind.SESSION) == SESSION_TOKEN_LIFE


def test_a_renewal_that_comes_too_late_is_refused(world: World) -> None:
    world.admit()
    world.table.before_write = world.end
    assert world.refused(Kind.SESSION) == 403
    held = world.sessions.find("root", SID)
    assert held is not None
    assert held.ended


def test_a_session_that_everybody_renews_is_not_denied(world: World) -> None:
    """503 and not 403: the client has to ask again, not to give up."""
    world.admit()
    world.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    assert world.refused(Kind.SESSION) == 503


@pytest.mark.parametrize("kind", [Kind.ACCESS, Kind.SESSION, None])
@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.THROTTLED])
def test_without_the_store_nothing_is_started_or_renewed(world: World, fault: Fault, kind: Kind | None) -> None:
    world.admit()
    world.table.weather = always(fault)
    assert world.refused(kind) == 503


def test_a_write_that_got_no_answer_is_no_refusal(world: World) -> None:
    world.admit()
    world.table.weather = at(len(world.table.calls) + 1, Fault.LOST_ANSWER)
    assert world.refused(Kind.SESSION) == 503
    assert world.admit(Kind.SESSION) == SESSION_TOKEN_LIFE


def test_a_revocation_of_this_very_moment_ends_renewals(world: World) -> None:
    """The rules held are younger than 4 s: a soft refresh would not look, and the new token would outlive them all."""
    world.admit()
    session = world.applicant(Kind.SESSION)
    world.deny(DenyKind.SUBJECT, "root")
    with pytest.raises(TokenRefused):
        world.admission.admit(session, SID)
    world.clock.advance(1)
    assert world.refused(None) == 403, "an identity token renews, and there is nothing to renew"
    assert world.admit(Kind.ACCESS) == SESSION_TOKEN_LIFE
    assert world.admit(None) == SESSION_TOKEN_LIFE


def test_a_revoked_token_starts_and_renews_nothing(world: World) -> None:
    world.deny(DenyKind.JTI, "t")
    for kind in (Kind.ACCESS, Kind.SESSION):
        with pytest.raises(TokenRefused):
            world.admit(kind)


def test_an_ended_session_starts_anew_a_second_later(world: World) -> None:
    """In the same second its token would be refused with those before it: 503 says to come again."""
    world.admit()
    world.deny(DenyKind.SESSION, record_id("root", SID))
    world.end()
    assert world.refused() == 503
    world.clock.advance(1)
    assert world.refused(None) == 403
    assert world.admit() == SESSION_TOKEN_LIFE


def test_a_record_that_cannot_be_read_is_no_session(world: World) -> None:
    pk, sk = session_key("root", SID)
    world.table.write([Put({"pk": pk, "sk": sk, "body": "{"})])
    assert world.refused(None) == 403
    assert world.admit() == SESSION_TOKEN_LIFE
