"""The in-process OpenFeature provider, by the real OpenFeature SDK, on the reference backend."""

import asyncio
import json
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from fake_clock import FakeClock
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails
from reference_table import Fault, always, clear
from written_rules import WrittenRules

from headgate.sdk.provider import HeadgateProvider


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rules(clock: FakeClock) -> WrittenRules:
    made = WrittenRules(clock)
    made.flag("ga", stage="ga")
    made.flag("listed", stage="allowlist", allow={"users": ["alice"], "orgs": ["acme"], "rules": []})
    made.flag("text", stage="ga", values={"on": "pr", "off": "direct"})
    made.flag("whole", stage="ga", values={"on": 3, "off": 0})
    made.flag("real", stage="ga", values={"on": 2.5, "off": 0})
    made.flag("thing", stage="ga", values={"on": {"size": 3}, "off": {}})
    made.flag("child", stage="ga", requires=["listed"])
    return made


@pytest.fixture
def client(rules: WrittenRules, clock: FakeClock) -> Iterator[Any]:
    api.set_provider_and_wait(HeadgateProvider(rules.table, clock=clock, jitter=lambda: 0.0))
    yield api.get_client()
    api.clear_providers()


def who(user: str | None = "bob", **attributes: Any) -> EvaluationContext:
    return EvaluationContext(user, attributes)


def test_the_details_say_why_and_under_which_revision(client: Any) -> None:
    details = client.get_boolean_details("ga", False, who())
    assert (details.value, details.variant, details.reason) == (True, "on", "STATIC")
    assert details.flag_metadata == {"reason": "GA", "revision": 7}
    off = client.get_boolean_details("listed", True, who())
    assert (off.value, off.variant, off.reason, off.flag_metadata["reason"]) == (False, "off", "DEFAULT", "NOT_LISTED")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (who("alice"), True),
        (who("bob", orgs=["acme"]), True),
        (who("acme"), False),
        (who("bob", admin=True), True),
        (who("bob"), False),
        (who(None), False),
        (None, False),
    ],
)
def test_the_subject_is_the_context(client: Any, context: EvaluationContext | None, expected: bool) -> None:
    assert client.get_boolean_value("listed", not expected, context) is expected
    assert client.get_boolean_value("child", not expected, context) is expected


@pytest.mark.parametrize("context", [who(admin="true"), who(admin=1), who(orgs="acme"), who(orgs=[1])])
def test_a_context_that_describes_nobody_is_an_error(client: Any, context: EvaluationContext) -> None:
    details = client.get_boolean_details("listed", False, context)
    assert (details.value, details.error_code) == (False, ErrorCode.INVALID_CONTEXT)


def test_values_of_every_type_and_no_other(client: Any) -> None:
    assert client.get_string_value("text", "none", who()) == "pr"
    assert client.get_integer_value("whole", 0, who()) == 3
    assert client.get_float_value("real", 0.0, who()) == 2.5
    assert client.get_float_value("whole", 0.0, who()) == 3
    assert client.get_object_value("thing", {}, who()) == {"size": 3}
    wrong: list[FlagEvaluationDetails[Any]] = [
        client.get_integer_details("ga", 9, who()),  # true is no 1
        client.get_float_details("ga", 9.0, who()),
        client.get_string_details("ga", "9", who()),
        client.get_boolean_details("text", False, who()),
        client.get_integer_details("real", 9, who()),
    ]
    assert {details.error_code for details in wrong} == {ErrorCode.TYPE_MISMATCH}
    assert [details.value for details in wrong] == [9, 9.0, "9", False, 9]


def test_a_flag_that_does_not_exist_gives_the_callers_default(client: Any) -> None:
    details = client.get_boolean_details("gone", False, who(admin=True))
    assert (details.value, details.error_code) == (False, ErrorCode.FLAG_NOT_FOUND)


def test_async_says_the_same(client: Any, clock: FakeClock) -> None:
    async def ask() -> list[Any]:
        clock.advance(6)
        return [
            await client.get_boolean_value_async("ga", False, who()),
            await client.get_string_value_async("text", "none", who()),
            await client.get_integer_value_async("whole", 0, who()),
            await client.get_float_value_async("real", 0.0, who()),
            await client.get_object_value_async("thing", {}, who()),
        ]

    assert asyncio.run(ask()) == [True, "pr", 3, 2.5, {"size": 3}]


def test_one_read_in_five_seconds_whatever_is_asked(client: Any, rules: WrittenRules, clock: FakeClock) -> None:
    def ask() -> None:
        for _ in range(1_000):
            client.get_boolean_value("ga", False, who())

    assert rules.reads_of(ask) == 0
    clock.advance(5.1)
    assert rules.reads_of(ask) == 1


def test_a_change_is_an_event_with_the_flags_that_differ(client: Any, rules: WrittenRules, clock: FakeClock) -> None:
    heard: Queue[list[str] | None] = Queue()  # the SDK calls handlers from threads of its own
    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: heard.put(details.flags_changed))
    rules.flag("listed", stage="ga")
    rules.flag("new", stage="ga")
    assert client.get_boolean_value("listed", True, who()) is False  # not due yet
    clock.advance(5.1)
    assert client.get_boolean_value("listed", False, who()) is True
    assert heard.get(timeout=10) == ["listed", "new"]


def test_an_outage_is_stale_then_an_error_then_over(client: Any, rules: WrittenRules, clock: FakeClock) -> None:
    rules.profile(max_stale=10)
    clock.advance(5.1)
    client.get_boolean_value("ga", False, who())
    stale: Queue[str | None] = Queue()
    ready: Queue[str | None] = Queue()
    client.add_handler(ProviderEvent.PROVIDER_STALE, lambda details: stale.put(details.message))
    client.add_handler(ProviderEvent.PROVIDER_READY, lambda details: ready.put(details.message))
    ready.get(timeout=10)  # a handler for a state that already holds is called at once
    rules.table.weather = always(Fault.LOST_REQUEST)
    clock.advance(5.1)
    details = client.get_boolean_details("ga", False, who())
    assert (details.value, details.flag_metadata.get("stale")) == (True, True)
    assert stale.get(timeout=10) == "Unavailable"
    clock.advance(6)
    gone = client.get_boolean_details("ga", False, who())
    assert (gone.value, gone.error_code) == (False, ErrorCode.GENERAL)
    rules.table.weather = clear
    clock.advance(2)
    back = client.get_boolean_details("ga", False, who())
    assert (back.value, back.error_code, "stale" in back.flag_metadata) == (True, None, False)
    ready.get(timeout=10)


def test_it_does_not_start_without_rules(rules: WrittenRules, clock: FakeClock) -> None:
    rules.table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(Exception, match="the rules are not available"):
        api.set_provider_and_wait(HeadgateProvider(rules.table, clock=clock))
    api.clear_providers()


def test_metadata_is_what_openfeature_allows(client: Any) -> None:
    details = client.get_boolean_details("ga", False, who())
    assert all(isinstance(value, bool | int | float | str) for value in details.flag_metadata.values())
    json.dumps(details.flag_metadata)
