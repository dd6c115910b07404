"""A restored table: who gets in before it is confirmed and after, and what the confirmation records."""

from typing import Any

import pytest
from desk import Ask, Desk, quiet
from in_memory_gate import ADMIN, Environment, InMemoryGate
from operators import entries
from reference_table import Fault, always, clear

from headgate.core.audit import verify_chain
from headgate.core.emergency import Emergency
from headgate.core.model import Subject
from headgate.core.routes import parse_routes
from headgate.edge.admin.restored import MOST_SKIPPED
from headgate.sdk.gate import Gate
from headgate.store.items import HEAD_KEY, read_head
from headgate.store.reconcile import Reconciler
from headgate.store.snapshots import Snapshots, Standing

WHY = {"reason": "why"}
CONFIRM, KILL = "POST /admin/v1/restored", "POST /admin/v1/flags/{key}/kill"
FLAG = {"key": "access", "stage": "allowlist", "allow": {"users": ["alice"]}}
ROUTES = [{"route": "GET /enter", "class": "entry"}, {"route": "GET /observe", "class": "observe"}]
USES = ("enter", "observe", "mint", "evaluate", "evaluate all", "start a session")
ALICE, ROOT = Subject("alice"), Subject(ADMIN, admin=True)
OLD, NEW = "t@a-stack@own", "restored@a-stack@existing"


class Restored(InMemoryGate):
    """A gate that let alice in, and whose table is then read as another one."""

    def __init__(self, home: str = NEW) -> None:
        super().__init__()
        self.table.home = OLD
        self.office = self.desk()
        self.ask("POST /admin/v1/manifest", {"access": "access", "flags": [FLAG], "routes": ROUTES, **WHY})
        self.start_session("alice", "s")
        self.table.home = home
        self.environment = Environment(self.table, self.clock)

    def ask(self, route: str, body: Any = None, **path: str) -> Any:
        with quiet():
            return self.office.must(Ask(route, body, path)).body

    def confirm(self, highest: int = 0, *, confirm: bool = True) -> Any:
        return self.ask(CONFIRM, {"highest": highest, "confirm": confirm, **WHY})

    def lets_in(self, person: str) -> set[str]:
        """The uses that succeed, first cold, then warm."""
        with quiet():
            cold = {site for site in USES if self.environment.asks(site, person).granted}
            self.clock.advance(0.01)  # for the id of another session
            assert cold == {site for site in USES if self.environment.asks(site, person).granted}
        return cold

    def head(self) -> Any:
        return read_head(self.table.partition(HEAD_KEY[0])[HEAD_KEY[1]])


@pytest.mark.parametrize("home", [
    NEW, "t@a-stack@existing", "t@another-stack@own", "t-2@a-stack@own", "", "t2", "tt@a-stack@own",
])  # fmt: skip
def test_a89_only_admins_are_let_in_before_a_table_is_confirmed(home: str) -> None:
    gate = Restored(home)
    assert gate.lets_in("alice") == set()
    assert gate.lets_in(ADMIN) == set(USES)
    assert gate.ask("GET /admin/v1/health")["confirmed"] is False


@pytest.mark.parametrize("home", [OLD, "t", "t@a-stack"])
def test_its_own_table_and_a_reader_that_knows_only_its_name_need_no_confirmation(home: str) -> None:
    gate = Restored(home)
    assert gate.lets_in("alice") == set(USES)
    assert gate.ask("GET /admin/v1/health")["confirmed"] is True


def test_a_confirmation_opens_the_table_and_refuses_every_earlier_token() -> None:
    gate = Restored()
    assert gate.lets_in("alice") == set()
    seen, answer = gate.head().revision, gate.confirm(40)
    assert (answer["revision"], answer["restored_revision"], answer["confirmed"]) == (41, seen, True)
    gate.clock.advance(6)
    assert gate.lets_in("alice") == {"mint"}, "the access token of a minute ago is refused everywhere"
    assert gate.lets_in(ADMIN) == {"mint"}
    gate.environment.provider.issued_at = int(gate.clock()) - 10
    assert gate.lets_in("alice") == gate.lets_in(ADMIN) == set(), "and so are identity tokens"
    gate.environment.provider.issued_at = None
    gate.clock.advance(120)
    assert gate.lets_in("alice") == set(USES)


def test_changes_before_the_confirmation_open_nothing() -> None:
    gate = Restored()
    gate.ask(KILL, WHY, key="access")
    gate.ask("POST /admin/v1/flags/{key}/restore", WHY, key="access")
    gate.confirm(confirm=False)
    assert gate.head().home == OLD
    assert gate.lets_in("alice") == set()
    gate.confirm()
    assert gate.head().home == NEW
    gate.ask(KILL, WHY, key="access")
    assert gate.head().home == NEW


def test_the_record_has_the_gap_and_nothing_else_may_have_one() -> None:
    gate = Restored()
    before = gate.head().revision
    gate.confirm(before + 100, confirm=False)
    gate.ask(KILL, WHY, key="access")
    gate.confirm(before + 100)
    stream, head = entries(gate.table), {"revision": before + 103, "digest": gate.head().digest}
    assert [one["revision"] for one in stream[-3:]] == [before + 101, before + 102, before + 103]
    assert [one["action"] for one in stream[-3:]] == ["restore.begin", "flag.kill", "restore.confirm"]
    assert verify_chain(stream, head) is None
    assert Reconciler(gate.table, budget=1, clock=gate.clock).run().findings == ()
    lost = {before: stream[before - 1]["digest"], before + 7: "0" * 64}
    assert getattr(verify_chain(stream, head, lost), "revision", None) == before + 7
    without = [one for one in stream if one["action"] != "restore.begin"]
    assert getattr(verify_chain(without, head), "revision", None) == before + 1
    rebuilt = gate.ask("POST /admin/v1/explain", {"flag": "access", "subject": {"user": "alice"}, "as_of": before + 50})
    assert (rebuilt["value"], rebuilt["reason"]) == (True, "ALLOWLIST")


def test_one_call_skips_a_bounded_number_of_revisions() -> None:
    gate = Restored()
    seen, desk = gate.head().revision, gate.office
    over = Ask(CONFIRM, {"highest": seen + MOST_SKIPPED + 1, "confirm": True, **WHY})
    with quiet():
        assert (desk.answers(over).slug, gate.head().revision) == ("invalid-body", seen)
        assert desk.answers(Ask(CONFIRM, {"highest": -1, "confirm": True, **WHY})).slug == "invalid-body"
    assert gate.confirm(seen + MOST_SKIPPED)["revision"] == seen + MOST_SKIPPED + 1


def test_a_fresh_table_works_at_once() -> None:
    gate = InMemoryGate()
    gate.table.home = NEW
    with quiet():
        Desk(gate.table, gate.clock).must(Ask("POST /admin/v1/manifest", {"access": "access", "flags": [FLAG], **WHY}))
        assert Environment(gate.table, gate.clock).asks("mint", "alice").granted


def test_what_a_head_said_holds_in_an_outage_and_while_the_rules_cannot_be_loaded() -> None:
    gate = Restored()
    routes = parse_routes([{"route": "GET /observe", "class": "observe"}])
    cold = Snapshots(gate.table, clock=gate.clock, emergency=Emergency(frozenset({"access"}), routes))
    gate.table.weather = lambda call: Fault.THROTTLED if call.op == "query" else None
    unloaded = cold.live()
    assert (unloaded.standing, unloaded.snapshot.confirmed) == (Standing.EXPIRED, False)
    assert unloaded.snapshot.routes.policies() == ()
    gate.table.weather = clear
    assert gate.lets_in("alice") == set()
    gate.table.weather = always(Fault.LOST_REQUEST)
    gate.clock.advance(10)
    assert gate.lets_in("alice") == set()


def test_an_in_process_gate_refuses_a_restored_table_too() -> None:
    gate = Restored()
    made = Gate(gate.table, clock=gate.clock, live=True)
    assert (made.allows("access", ALICE), made.allows("access", ROOT)) == (False, True)
    reads = len(gate.table.calls)
    made.allows("access", ALICE)
    assert len(gate.table.calls) == reads + 1, "no further read"
