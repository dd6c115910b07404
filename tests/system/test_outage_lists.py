"""Long allowlists during a store outage: cached memberships are served, and an unread one admits nobody.

The access flag's list is longer than the flag can hold, so the people tested are in items of their own.
"""

from collections.abc import Callable, Iterator, Mapping

import pytest
from breakable import Breakable, breakable_stack
from proofs import many
from running_gate import Answer, Gate, Person, until
from tcp_proxy import Fault

ACCESS = "gastown-access"
TOWNS = "/api/users/{}/towns"
BOUND = 3.0
"""Seconds that an answer may take on a busy machine. The store budget is 1 s of them."""
BACK = 6.0
"""Seconds until everything has recovered: a breaker of 1.5 s and a soft TTL of 5 s."""
MEMBERS_ALONE = ("BatchGetItem",)
"""How the items of a user and an org are read. The head is read separately."""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """A stack of this file's own, whose access flag lists 1,000 people inline and more in items."""
    with breakable_stack(tmp_path_factory.mktemp("project"), max_stale=60) as running:
        running.gate.stage(ACCESS, "allowlist")
        running.gate.allow(ACCESS, users=[f"somebody-{number}" for number in range(1_000)])
        running.gate.allow(ACCESS, orgs=["an-org"])
        yield running


Probes = Mapping[str, Callable[[], Answer]]


def listed(gate: Gate) -> Person:
    """A user in a member item who belongs to an org, so that two items are read."""
    person = Person(orgs=("of-nobody",))
    gate.allow(ACCESS, users=[person.user])
    assert gate.flag(ACCESS)["members"]["users"] > 0
    return person


def probes(gate: Gate, person: Person) -> Probes:
    """Requests that depend on the list, with earlier tokens."""
    identity, evaluation = gate.id_token(person), gate.evaluation_token(person)
    token = gate.access_token(person)
    return {
        "mint": lambda: gate.exchange(identity),
        "entry": lambda: gate.call("POST", TOWNS.format(person.user), token=token, body={}),
        "evaluate": lambda: gate.evaluate(ACCESS, evaluation),
    }


def is_fresh(answer: Answer) -> bool:
    return answer.status == 200


def statuses(asked: Probes) -> dict[str, int]:
    """The statuses, within the time bound."""
    answers = {name: ask() for name, ask in asked.items()}
    for name, answer in answers.items():
        print(f"{name}: {answer.status} after {answer.seconds * 1000:.0f} ms")
        assert answer.seconds < BOUND, name
    return {name: answer.status for name, answer in answers.items()}


def invalidate_memberships(gate: Gate) -> None:
    """Write a new version of the flag, so that no cached membership applies."""
    gate.replace(ACCESS, description="another")


@pytest.mark.proof("outages of a long list, in each way it may fail")
@pytest.mark.parametrize("fault", [Fault.HANGING, Fault.THROTTLED, Fault.FAILING][: many(2, 3)], ids=str)
def test_unreadable_member_items_admit_nobody(broken: Breakable, fault: Fault) -> None:
    """The head can be read, the member items cannot: a partial outage, from the first request on."""
    gate, proxy = broken.gate, broken.proxy
    asked, admin = probes(gate, listed(gate)), Person(admin=True)
    invalidate_memberships(gate)
    gate.settled()
    proxy.break_by(fault, only=MEMBERS_ALONE)
    try:
        refused = asked["mint"]()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.seconds < BOUND
        assert statuses(asked) == {"mint": 503, "entry": 403, "evaluate": 503}
        assert gate.mint(admin).status == 200
    finally:
        proxy.heal()
    for name, ask in asked.items():
        assert until(ask, is_fresh, within=BACK).status == 200, name


@pytest.mark.proof("outages of a long list, in each way it may fail")
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.HANGING][: many(1, 2)], ids=str)
def test_cached_membership_is_served_during_an_outage(broken: Breakable, fault: Fault) -> None:
    gate, proxy = broken.gate, broken.proxy
    kept, strange = probes(gate, listed(gate)), probes(gate, listed(gate))
    invalidate_memberships(gate)
    gate.settled()
    for name, ask in kept.items():
        assert until(ask, is_fresh, within=BACK).status == 200, name
    proxy.break_by(fault)
    try:
        assert statuses(kept) == {"mint": 200, "entry": 200, "evaluate": 200}
        assert statuses(strange) == {"mint": 503, "entry": 403, "evaluate": 503}
    finally:
        proxy.heal()
    for name, ask in strange.items():
        assert until(ask, is_fresh, within=BACK).status == 200, name
