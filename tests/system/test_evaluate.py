"""Pages and menus: what the evaluation protocol answers to a page's server, to a browser, and to a stock client."""

import time
from collections.abc import Mapping
from typing import Any

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError
from openfeature.flag_evaluation import Reason
from running_gate import Answer, Gate, Person, until
from running_gate.gate import in_parallel, verdicts

ACCESS = "gastown-access"


@pytest.fixture(scope="module")
def listed() -> Person:
    """Somebody on the list."""
    return Person()


@pytest.fixture(scope="module")
def page(gate: Gate, seeded: Mapping[str, Mapping[str, Any]], listed: Person) -> Gate:
    """Access by list, a sub-feature by percentage; evaluate knows it."""
    gate.reset(seeded)
    gate.stage(ACCESS, "allowlist")
    gate.allow(ACCESS, users=[listed.user], orgs=["listed-org"])
    gate.stage("gastown-convoys", "percentage", percent=100)
    gate.have("menu-item", stage="ga", salt="never to be seen")
    gate.settled()
    return gate


def test_r18_a_page_s_guard_gets_true_or_false_and_never_an_error(page: Gate, listed: Person) -> None:
    """A server-side check by a service token, and one by the visitor's own: 200 either way, fast when warm."""
    gate, service = page, page.service_token()
    for person, value in ((listed, True), (Person(), False), (Person(orgs=("listed-org",)), True)):
        by_service = gate.evaluate(ACCESS, service, person.context()).expect(200).json
        by_visitor = gate.evaluate(ACCESS, gate.evaluation_token(person)).expect(200).json
        assert by_service["value"] is by_visitor["value"] is value
        assert by_service["metadata"] == by_visitor["metadata"]
    times = sorted(_timed(gate, service, listed) for _ in range(100))
    assert times[50] < 0.1  # 4 ms when nothing else runs
    assert times[98] < 0.5


def test_r18_a_stock_client_decides_for_a_page(page: Gate, listed: Person) -> None:
    """openfeature-provider-ofrep, as it comes from the registry."""
    gate = page
    service = gate.service_token()
    provider = OFREPProvider(gate.api, headers_factory=lambda: {"authorization": f"Bearer {service}"})

    def context(person: Person) -> EvaluationContext:
        return EvaluationContext(person.user, {"orgs": list(person.orgs), "admin": person.admin})

    found = provider.resolve_boolean_details(ACCESS, False, context(listed))
    assert (found.value, found.reason, found.variant) == (True, Reason.TARGETING_MATCH, "on")
    other = provider.resolve_boolean_details(ACCESS, True, context(Person()))
    assert (other.value, other.variant) == (False, "off")
    by_share = provider.resolve_boolean_details("gastown-convoys", False, context(listed))
    assert (by_share.value, by_share.reason) == (True, Reason.SPLIT)
    merge = provider.resolve_string_details("gastown-pr-merge", "none", context(listed))
    assert merge.value == "direct"
    with pytest.raises(FlagNotFoundError):
        provider.resolve_boolean_details("no-such-flag", False, context(listed))
    own = gate.evaluation_token(listed)
    of_visitor = OFREPProvider(gate.api, headers_factory=lambda: {"authorization": f"Bearer {own}"})
    assert of_visitor.resolve_boolean_details(ACCESS, False, EvaluationContext(listed.user)).value is True


def test_r21_a_browser_reads_its_own_map_and_nothing_else(page: Gate, listed: Person) -> None:
    """E72: nobody else's flags, no list, no salt; a repeated question costs no body."""
    gate, own = page, page.evaluation_token(listed)
    bulk = gate.evaluate_all(own, {"targetingKey": listed.user}).expect(200)
    assert verdicts(bulk)[ACCESS] is True
    assert {frozenset(flag) for flag in bulk.json["flags"]} == {
        frozenset(("key", "value", "variant", "reason", "metadata"))
    }
    secrets = [flag["salt"] for flag in gate.flags().values()] + ["listed-org", "salt", "allow"]
    said = [bulk, gate.evaluate(ACCESS, own), gate.evaluate_all(own, {"targetingKey": "bob"})]
    assert not [secret for secret in secrets for answer in said if secret in answer.text]
    gate.evaluate_all(own, {"targetingKey": "bob"}).expect(403)
    gate.evaluate_all("").expect(401)
    again = gate.evaluate_all(own, headers={"if-none-match": bulk.headers["etag"]}).expect(304)
    assert again.body == b""
    gate.stage("menu-item", "admin_only")
    changed = until(
        lambda: gate.evaluate_all(own, headers={"if-none-match": bulk.headers["etag"]}),
        lambda answer: answer.status == 200,
        within=6,
    )
    assert verdicts(changed)["menu-item"] is False


def test_r44_menu_and_server_agree(page: Gate) -> None:
    """1,000 subjects, each asked for by a browser (its own token) and by a server (a service token), all flags."""
    gate, service = page, page.service_token()
    people = [Person(orgs=_orgs(n), admin=n % 10 == 0) for n in range(1_000)]

    def ask(person: Person) -> tuple[Answer, Answer]:
        return gate.evaluate_all(gate.evaluation_token(person)), gate.evaluate_all(service, person.context())

    pairs = in_parallel(ask, people)
    assert all(browser.expect(200).json == server.expect(200).json for browser, server in pairs)
    values = [verdicts(browser)[ACCESS] for browser, _ in pairs]
    assert True in values
    assert False in values


def test_r41_an_unknown_flag_is_off(gate: Gate, alice: Person, root: Person) -> None:
    """404 by the protocol, so that a client falls back to its default; off wherever the gate itself decides."""
    unknown = gate.evaluate("never-made", gate.evaluation_token(alice)).expect(404).json
    assert (unknown["errorCode"], "value" in unknown) == ("FLAG_NOT_FOUND", False)
    assert gate.explain("never-made", alice)["value"] is False
    assert gate.explain("never-made", root)["value"] is True  # a missing flag counts as stage 0
    assert gate.evaluate("NOT%20A%20KEY", gate.evaluation_token(alice)).status == 400


def _orgs(number: int) -> tuple[str, ...]:
    return ((), ("listed-org",), ("org-1", "org-2"), ("org-2", "listed-org"))[number % 4]


def _timed(gate: Gate, token: str, person: Person) -> float:
    began = time.perf_counter()
    gate.evaluate(ACCESS, token, person.context()).expect(200)
    return time.perf_counter() - began
