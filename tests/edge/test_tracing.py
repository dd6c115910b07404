"""Flag evaluations in traces: the functions under the real OpenTelemetry SDK, which keeps the spans in memory."""

import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from stand import Stand

from headgate.edge import tracing

SUBJECT = "ada"


@pytest.fixture(scope="module")
def tracer() -> tuple[trace.Tracer, InMemorySpanExporter]:
    """A tracer, and where its spans end."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test"), exporter


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, stand: Stand) -> Iterator[Stand]:
    """The functions with tracing on."""
    with monkeypatch.context() as changed:
        changed.setenv("HEADGATE_TRACING", "on")
        importlib.reload(tracing)
        stand.renew()
        yield stand
    importlib.reload(tracing)
    assert not tracing.ON


def events(stand: Stand, name: str, tracer: tuple[trace.Tracer, InMemorySpanExporter]) -> list[Mapping[str, Any]]:
    """Send the event of a file within a span, and return the attributes of the span's events."""
    tracer[1].clear()
    with tracer[0].start_as_current_span("request"):
        stand.replay(name)
    (span,) = tracer[1].get_finished_spans()
    assert {event.name for event in span.events} <= {"feature_flag.evaluation"}
    assert SUBJECT not in span.to_json()
    return [dict(event.attributes or {}) for event in span.events]


def admin(key: str, revision: str) -> dict[str, str]:
    """The attributes of an admin's evaluation."""
    return {
        "feature_flag.key": key, "feature_flag.provider.name": "headgate", "feature_flag.result.variant": "on",
        "feature_flag.result.reason": "targeting_match", "feature_flag.version": revision, "headgate.reason": "ADMIN",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "keys"), [
    ("token.exchange", ["gastown-access"]),
    ("evaluate.single", ["gastown-access"]),
    ("authorizer.entry", ["gastown-access"]),
    ("authorizer.observe", []),
])  # fmt: skip
def test_each_decision_is_an_event_of_the_span(traced: Stand, tracer: Any, name: str, keys: list[str]) -> None:
    revision = json.loads(traced.replay("admin.list-flags")["body"])["revision"]
    assert events(traced, name, tracer) == [admin(key, str(revision)) for key in keys]


def test_a_bulk_evaluation_records_every_flag(traced: Stand, tracer: Any) -> None:
    answer = json.loads(traced.replay("evaluate.bulk")["body"])
    found = events(traced, "evaluate.bulk", tracer)
    assert [one["feature_flag.key"] for one in found] == [flag["key"] for flag in answer["flags"]]
    assert [one["headgate.reason"] for one in found] == [flag["metadata"]["reason"] for flag in answer["flags"]]


def test_a_missing_flag_is_an_error(traced: Stand, tracer: Any) -> None:
    (event,) = events(traced, "evaluate.unknown-flag", tracer)
    assert (event["error.type"], event["feature_flag.result.reason"]) == ("flag_not_found", "error")
    assert "feature_flag.result.variant" not in event


def test_nothing_is_recorded_without_a_span_or_when_off(
    traced: Stand, tracer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer[1].clear()
    assert traced.replay("evaluate.single")["statusCode"] == 200
    assert tracer[1].get_finished_spans() == ()
    monkeypatch.delenv("HEADGATE_TRACING")
    importlib.reload(tracing)
    assert events(traced, "evaluate.single", tracer) == []
