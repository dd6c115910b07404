"""The in-process OpenFeature provider under the real OpenFeature SDK, on the reference backend."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from queue import Queue
from typing import Any

import pytest
from fake_clock import FakeClock
from openfeature import api
from openfeature.contrib.hook.opentelemetry import TracingHook
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from reference_table import Fault, always, clear
from written_rules import WrittenRules

from headgate.core.flag import flag_document, parse_flag
from headgate.sdk.provider import HeadgateProvider
from headgate.store.items import flag_key


@pytest.fixture
def rules(clock: FakeClock) -> WrittenRules:
    made = WrittenRules(clock)
    made.flag("ga", stage="ga")
    made.flag("listed", stage="allowlist", allow={"users": ["alice"], "orgs": ["acme"], "rules": []})
    made.flag("text", stage="ga", values={"on": "pr", "off": "direct"})
    made.flag("whole", stage="ga", values={"on": 3, "off": 0})
    made.flag("real", stage="ga", values={"on": 2.5, "off": 0})
    made.flag("mixed", stage="ga", values={"on": 1, "off": 0.5})
    made.flag("thing", stage="ga", values={"on": {"size": 3, "sides": [1, 2]}, "off": {}})
    made.flag("child", stage="ga", requires=["listed"])
    return made


@pytest.fixture
def client(rules: WrittenRules, clock: FakeClock) -> Iterator[Any]:
    api.set_provider_and_wait(HeadgateProvider(rules.table, clock=clock, jitter=lambda: 0.0))
    yield api.get_client()
    api.clear_providers()


def context_of(user: str | None = "bob", **attributes: Any) -> EvaluationContext:
    return EvaluationContext(user, attributes)


def test_details_have_the_reason_and_the_revision(client: Any) -> None:
    details = client.get_boolean_details("ga", False, context_of())
    assert (details.value, details.variant, details.reason) == (True, "on", "STATIC")
    assert details.flag_metadata == {"reason": "GA", "revision": 8}
    off = client.get_boolean_details("listed", True, context_of())
    assert (off.value, off.variant, off.reason, off.flag_metadata["reason"]) == (False, "off", "DEFAULT", "NOT_LISTED")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (context_of("alice"), True),
        (context_of("bob", orgs=["acme"]), True),
        (context_of("acme"), False),
        (context_of("bob", admin=True), True),
        (context_of("bob"), False),
        (context_of(None), False),
        (None, False),
    ],
)
def test_the_evaluation_context_is_the_subject(client: Any, context: EvaluationContext | None, expected: bool) -> None:
    assert client.get_boolean_value("listed", not expected, context) is expected
    assert client.get_boolean_value("child", not expected, context) is expected


@pytest.mark.parametrize(
    "context", [context_of(admin="true"), context_of(admin=1), context_of(orgs="acme"), context_of(orgs=[1])]
)
def test_a_context_without_a_valid_subject_is_an_error(client: Any, context: EvaluationContext) -> None:
    details = client.get_boolean_details("listed", False, context)
    assert (details.value, details.error_code) == (False, ErrorCode.INVALID_CONTEXT)


def test_values_resolve_only_by_their_own_type(client: Any) -> None:
    assert client.get_string_value("text", "none", context_of()) == "pr"
    assert client.get_integer_value("whole", 0, context_of()) == 3
    assert client.get_float_value("real", 0.0, context_of()) == 2.5
    assert client.get_float_value("whole", 0.0, context_of()) == 3
    assert client.get_float_value("mixed", 0.0, context_of()) == 1
    assert client.get_object_value("thing", {}, context_of()) == {"size": 3, "sides": [1, 2]}
    wrong: list[FlagEvaluationDetails[Any]] = [
        client.get_integer_details("ga", 9, context_of()),  # true is not 1
        client.get_float_details("ga", 9.0, context_of()),
        client.get_string_details("ga", "9", context_of()),
        client.get_boolean_details("text", False, context_of()),
        client.get_integer_details("real", 9, context_of()),
        client.get_integer_details("mixed", 9, context_of()),  # its other value is 0.5, so both are floats
    ]
    assert {details.error_code for details in wrong} == {ErrorCode.TYPE_MISMATCH}
    assert [details.value for details in wrong] == [9, 9.0, "9", False, 9, 9]


def test_an_unknown_flag_gives_the_callers_default(client: Any) -> None:
    details = client.get_boolean_details("gone", False, context_of(admin=True))
    assert (details.value, details.error_code) == (False, ErrorCode.FLAG_NOT_FOUND)


def test_async_resolution_equals_sync_resolution(client: Any, clock: FakeClock) -> None:
    async def ask() -> list[Any]:
        clock.advance(6)
        return [
            await client.get_boolean_value_async("ga", False, context_of()),
            await client.get_string_value_async("text", "none", context_of()),
            await client.get_integer_value_async("whole", 0, context_of()),
            await client.get_float_value_async("real", 0.0, context_of()),
            await client.get_object_value_async("thing", {}, context_of()),
        ]

    assert asyncio.run(ask()) == [True, "pr", 3, 2.5, {"size": 3, "sides": [1, 2]}]


def test_any_number_of_evaluations_read_once_in_five_seconds(
    client: Any, rules: WrittenRules, clock: FakeClock
) -> None:
    def ask() -> None:
        for _ in range(1_000):
            client.get_boolean_value("ga", False, context_of())

    assert rules.reads_of(ask) == 0
    clock.advance(5.1)
    assert rules.reads_of(ask) == 1


def test_a_change_emits_an_event_that_names_the_changed_flags(
    client: Any, rules: WrittenRules, clock: FakeClock
) -> None:
    heard: Queue[list[str] | None] = Queue()  # the SDK calls handlers from threads of its own
    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: heard.put(details.flags_changed))
    rules.flag("listed", stage="ga")
    rules.flag("new", stage="ga")
    assert client.get_boolean_value("listed", True, context_of()) is False  # not due yet
    clock.advance(5.1)
    assert client.get_boolean_value("listed", False, context_of()) is True
    assert heard.get(timeout=10) == ["listed", "new"]


EVENTS = (ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_ERROR)


def test_an_outage_is_reported_as_stale_then_error_then_ready_once_each(
    client: Any, rules: WrittenRules, clock: FakeClock
) -> None:
    rules.profile(max_stale=10)
    clock.advance(5.1)
    client.get_boolean_value("ga", False, context_of())
    heard: Queue[tuple[ProviderEvent, Any]] = Queue()
    for event in EVENTS:
        client.add_handler(event, partial(lambda event, details: heard.put((event, details)), event))
    heard.get(timeout=10)  # a handler is called at once if its state already applies
    rules.table.weather = always(Fault.LOST_REQUEST)
    clock.advance(5.1)
    for _ in range(3):
        details = client.get_boolean_details("ga", False, context_of())
        assert (details.value, details.flag_metadata.get("stale")) == (True, True)
    assert client.get_provider_status() is ProviderStatus.STALE
    clock.advance(6)
    for _ in range(3):
        gone = client.get_boolean_details("ga", False, context_of())
        assert (gone.value, gone.error_code) == (False, ErrorCode.GENERAL)
    assert client.get_provider_status() is ProviderStatus.ERROR
    rules.table.weather = clear
    clock.advance(2)
    for _ in range(3):
        back = client.get_boolean_details("ga", False, context_of())
        assert (back.value, back.error_code, "stale" in back.flag_metadata) == (True, None, False)
    assert client.get_provider_status() is ProviderStatus.READY
    told = dict(heard.get(timeout=10) for _ in EVENTS)
    assert set(told) == set(EVENTS)
    assert heard.empty()
    assert told[ProviderEvent.PROVIDER_ERROR].error_code is ErrorCode.GENERAL
    assert "does not answer" in told[ProviderEvent.PROVIDER_ERROR].message
    assert "last known rules" in told[ProviderEvent.PROVIDER_STALE].message


def test_one_failed_list_read_is_an_error_of_that_evaluation_only(
    client: Any, rules: WrittenRules, clock: FakeClock
) -> None:
    document = flag_document(parse_flag({"key": "imported", "stage": "allowlist"}, salt="s"))
    rules.write(flag_key("imported"), "flag.replace", document | {"members": {"users": 1}}, "imported")
    clock.advance(5.1)
    assert client.get_boolean_value("ga", False, context_of())
    rules.table.weather = always(Fault.LOST_REQUEST)
    details = client.get_boolean_details("imported", True, context_of())
    assert (details.value, details.error_code) == (True, ErrorCode.GENERAL)
    assert client.get_provider_status() is ProviderStatus.READY
    assert client.get_boolean_value("ga", False, context_of())
    rules.table.weather = clear
    clock.advance(2)
    assert client.get_boolean_value("imported", True, context_of()) is False
    assert client.get_provider_status() is ProviderStatus.READY


def test_a_value_is_a_copy(client: Any) -> None:
    changed = client.get_object_value("thing", {}, context_of())
    changed["size"] = 9
    changed["sides"].append(3)
    assert client.get_object_value("thing", {}, context_of()) == {"size": 3, "sides": [1, 2]}


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), True),
        (datetime(2026, 2, 28, 23, 59, 59), True),  # without an offset, UTC  # noqa: DTZ001
        (datetime(2026, 3, 1, tzinfo=UTC), False),
        (date(2026, 2, 28), True),
        (date(2026, 3, 1), False),
        ("2026-02-28T23:59:59Z", True),
        ([datetime(2026, 2, 28, tzinfo=UTC)], False),
        (1_000.0, False),
    ],
)
def test_a_date_clause_reads_a_datetime_of_the_context(
    client: Any, rules: WrittenRules, clock: FakeClock, since: Any, expected: bool
) -> None:
    clause = {"attribute": "since", "op": "less", "value": "2026-03-01", "kind": "date"}
    rules.flag("veterans", stage="allowlist", allow={"rules": [{"clauses": [clause]}]})
    clock.advance(5.1)
    assert client.get_boolean_value("veterans", not expected, context_of(since=since)) is expected


def test_initialization_without_rules_fails(rules: WrittenRules, clock: FakeClock) -> None:
    rules.table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(Exception, match="the rules are not available"):
        api.set_provider_and_wait(HeadgateProvider(rules.table, clock=clock))
    api.clear_providers()


def test_flag_metadata_has_only_types_that_openfeature_allows(client: Any) -> None:
    details = client.get_boolean_details("ga", False, context_of())
    assert all(isinstance(value, bool | int | float | str) for value in details.flag_metadata.values())
    json.dumps(details.flag_metadata)


def test_openfeatures_tracing_hook_records_each_evaluation(client: Any) -> None:
    spans, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    client.add_hooks([TracingHook()])
    with tracers.get_tracer("test").start_as_current_span("request"):
        client.get_boolean_value("ga", False, context_of())
        client.get_boolean_value("none", False, context_of())
    (span,) = spans.get_finished_spans()
    found, missing = (dict(one.attributes or {}) for one in span.events if one.name == "feature_flag.evaluation")
    named = {name.removeprefix("feature_flag."): value for name, value in found.items()}
    assert named == {"key": "ga", "provider.name": "headgate", "result.variant": "on", "result.value": "true",
                     "result.reason": "static", "context.id": "bob"}  # fmt: skip
    assert missing["error.type"] == "flag_not_found"
