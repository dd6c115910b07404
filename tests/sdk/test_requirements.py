"""The numbered requirements of OpenFeature's specification that concern a provider, each checked with ours.

1.7 provider status, 2 provider, 3 evaluation context, 5 events. What the specification asks of a client is checked
through the real client, with our provider behind it. The scenarios of evaluation are in test_scenarios.py.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from queue import Queue
from typing import Any

import pytest
from fake_clock import FakeClock
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, OpenFeatureError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.transaction_context import ContextVarsTransactionContextPropagator
from reference_table import Fault, always, clear
from written_rules import WrittenRules

from headgate.sdk.provider import HeadgateProvider

BOB = EvaluationContext("bob")
READY, STALE, ERROR, CHANGED = (
    ProviderEvent.PROVIDER_READY,
    ProviderEvent.PROVIDER_STALE,
    ProviderEvent.PROVIDER_ERROR,
    ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
)
SOFT, HARD = 5.1, 61
"""Seconds after which the rules are due, and after which they are too old."""
SOON = 10
"""Seconds: the client calls handlers in threads of its own."""


class World:
    """Rules, a clock, and the provider behind a client."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.rules = WrittenRules(self.clock)
        self.rules.flag("on", stage="ga")
        self.rules.flag("text", stage="ga", values={"on": "pr", "off": "direct"})
        self.provider = HeadgateProvider(self.rules.table, clock=self.clock, jitter=lambda: 0.0)

    def start(self) -> OpenFeatureClient:
        """Set the provider and wait until it is ready."""
        api.set_provider_and_wait(self.provider)
        return api.get_client()

    def break_down(self) -> None:
        """The table does not answer any more, and the rules are due."""
        self.rules.table.weather = always(Fault.LOST_REQUEST)
        self.clock.advance(SOFT)

    def mend(self) -> None:
        """The table answers again, and is asked again."""
        self.rules.table.weather = clear
        self.clock.advance(2)

    def resolve(self, key: str = "on", context: EvaluationContext | None = BOB) -> FlagResolutionDetails[bool]:
        """What the provider itself gives."""
        return self.provider.resolve_boolean_details(key, False, context)


@pytest.fixture
def world() -> Iterator[World]:
    yield World()
    api.shutdown()


def heard(target: Any, event: ProviderEvent) -> "Queue[EventDetails]":
    """What a client or the API itself is told from now on."""
    told: Queue[EventDetails] = Queue()
    target.add_handler(event, told.put)
    return told


Check = Callable[[World], None]
CHECKS: dict[str, Check] = {}


def requirement(*numbers: str) -> Callable[[Check], Check]:
    """Say which requirements a check covers."""

    def noted(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(numbers, check))
        return check

    return noted


@pytest.mark.parametrize("number", CHECKS)
def test_requirement(world: World, number: str) -> None:
    CHECKS[number](world)


# 1.7 provider status


@requirement("1.7.1", "1.7.3", "2.8.1", "5.3.5")
def status_follows_the_rules(world: World) -> None:
    client = world.start()
    assert client.get_provider_status() is ProviderStatus.READY
    world.break_down()
    client.get_boolean_value("on", False, BOB)
    assert client.get_provider_status() is ProviderStatus.STALE
    world.clock.advance(HARD)
    client.get_boolean_value("on", False, BOB)
    assert client.get_provider_status() is ProviderStatus.ERROR
    world.mend()
    client.get_boolean_value("on", False, BOB)
    assert client.get_provider_status() is ProviderStatus.READY
    world.rules.flag("on", stage="allowlist")
    world.clock.advance(SOFT)
    client.get_boolean_value("on", False, BOB)
    assert client.get_provider_status() is ProviderStatus.READY


@requirement("1.7.4", "1.7.8", "2.4.2.1", "2.8.3", "5.3.2")
def a_start_without_rules_is_an_error(world: World) -> None:
    world.rules.table.weather = always(Fault.LOST_REQUEST)
    told = heard(api, ERROR)
    with pytest.raises(ProviderNotReadyError, match="does not answer"):
        world.start()
    assert api.get_client().get_provider_status() is ProviderStatus.ERROR
    details = told.get(timeout=SOON)
    assert "does not answer" in str(details.message)
    assert details.error_code is ErrorCode.PROVIDER_NOT_READY


@requirement("1.7.5", "1.7.7")
def no_failure_is_fatal_since_the_table_may_come_back(world: World) -> None:
    world.rules.table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(ProviderNotReadyError):
        world.start()
    client = api.get_client()
    details = client.get_boolean_details("on", False, BOB)
    assert (details.value, details.error_code) == (False, ErrorCode.GENERAL)
    world.mend()
    assert client.get_boolean_value("on", False, BOB) is True
    assert client.get_provider_status() is ProviderStatus.READY


@requirement("1.7.6")
def before_it_is_ready_the_default_is_given(world: World) -> None:
    loads, ready = threading.Event(), heard(api, READY)
    world.rules.table.turn = lambda: loads.wait(SOON) and None
    ready.get(timeout=SOON)  # of the client's own provider
    api.set_provider(world.provider)
    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.NOT_READY
    details = client.get_boolean_details("on", False, BOB)
    assert (details.value, details.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
    loads.set()
    ready.get(timeout=SOON)
    assert client.get_boolean_value("on", False, BOB) is True


@requirement("1.7.9", "2.5.1", "2.5.2")
def after_its_shutdown_it_is_as_before_its_start(world: World) -> None:
    world.start()
    api.shutdown()
    world.rules.table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(ProviderNotReadyError):  # it holds no rules any more
        world.start()
    world.mend()
    client = api.get_client()
    assert client.get_boolean_value("on", False, BOB) is True
    assert client.get_provider_status() is ProviderStatus.READY


# 2 provider


@requirement("2.1.1")
def it_has_a_name(world: World) -> None:
    assert world.provider.get_metadata().name == "headgate"


@requirement("2.2.1", "2.2.2.1", "2.2.8.1")
def it_resolves_each_type(world: World) -> None:
    world.rules.flag("whole", stage="ga", values={"on": 3, "off": 0})
    world.rules.flag("real", stage="ga", values={"on": 2.5, "off": 0.5})
    world.rules.flag("thing", stage="ga", values={"on": {"size": 3}, "off": {}})
    made = world.provider
    found = [
        made.resolve_boolean_details("on", False, BOB), made.resolve_string_details("text", "", BOB),
        made.resolve_integer_details("whole", 0, BOB), made.resolve_float_details("real", 0.0, BOB),
        made.resolve_object_details("thing", {}, BOB), made.resolve_boolean_details("on", False),
    ]  # fmt: skip
    assert [details.value for details in found] == [True, "pr", 3, 2.5, {"size": 3}, True]
    assert all(isinstance(details, FlagResolutionDetails) for details in found)


@requirement("2.2.3", "2.2.4", "2.2.5", "2.2.6", "2.3.2")
def details_are_complete_and_without_an_error(world: World) -> None:
    found = world.resolve()
    assert (found.value, found.variant, found.reason) == (True, "on", "STATIC")
    assert (found.error_code, found.error_message) == (None, None)


@requirement("2.2.7", "2.3.3")
def an_error_has_a_code_and_a_message(world: World) -> None:
    wrong: dict[ErrorCode, Callable[[], object]] = {
        ErrorCode.FLAG_NOT_FOUND: lambda: world.resolve("gone"),
        ErrorCode.TYPE_MISMATCH: lambda: world.resolve("text"),
        ErrorCode.INVALID_CONTEXT: lambda: world.resolve(context=EvaluationContext("bob", {"orgs": "acme"})),
    }
    for code, act in wrong.items():
        with pytest.raises(OpenFeatureError) as raised:
            act()
        assert raised.value.error_code is code
        assert raised.value.error_message
    world.rules.table.weather = always(Fault.LOST_REQUEST)
    world.clock.advance(SOFT + HARD)
    with pytest.raises(OpenFeatureError) as raised:
        world.resolve()
    assert (raised.value.error_code, bool(raised.value.error_message)) == (ErrorCode.GENERAL, True)


@requirement("2.2.9", "2.2.10")
def metadata_has_simple_values_by_name(world: World) -> None:
    world.resolve()
    world.break_down()
    assert world.resolve().flag_metadata == {"reason": "GA", "revision": 2, "stale": True}


@requirement("2.3.1")
def it_may_have_hooks_and_has_none(world: World) -> None:
    assert world.provider.get_provider_hooks() == []


@requirement("2.4.1", "2.8.2", "5.3.1")
def it_loads_the_rules_at_its_start(world: World) -> None:
    told = heard(api.get_client(), READY)
    told.get(timeout=SOON)  # of the client's own provider
    assert world.rules.reads_of(world.start) > 0
    assert told.get(timeout=SOON).provider_name == "headgate"
    assert world.rules.reads_of(world.resolve) == 0
    assert told.empty()  # once


@requirement("2.6.1")
def it_keeps_nothing_for_a_context(world: World) -> None:
    world.rules.flag("hers", stage="allowlist", allow={"users": ["zoe"]})
    assert not hasattr(world.provider, "on_context_changed")
    answers = [world.resolve("hers", EvaluationContext(user)).value for user in ("zoe", "bob", "zoe")]
    assert answers == [True, False, True]


@requirement("2.7.1")
def tracking_does_nothing(world: World) -> None:
    client = world.start()
    assert world.rules.reads_of(lambda: client.track("bought", BOB)) == 0


# 3 evaluation context


@requirement("3.1.1")
def the_targeting_key_is_the_user(world: World) -> None:
    world.rules.flag("hers", stage="allowlist", allow={"users": ["zoe"]})
    assert world.resolve("hers", EvaluationContext("zoe")).value is True
    assert world.resolve("hers", EvaluationContext()).value is False


@requirement("3.1.2")
def custom_fields_have_any_type(world: World) -> None:
    fields: dict[str, tuple[Any, dict[str, Any]]] = {
        "boolean": (True, {"op": "equals", "value": True}),
        "string": ("pro", {"op": "equals", "value": "pro"}),
        "number": (2.5, {"op": "greater", "value": 2}),
        "datetime": (datetime(2026, 3, 1, tzinfo=UTC), {"op": "less", "kind": "date", "value": "2026-03-02"}),
        "structure": ({"city": "Bern"}, {"op": "exists"}),
        "list": (["beta", "trial"], {"op": "contains", "value": "beta"}),
    }
    for name, (_value, clause) in fields.items():
        world.rules.flag(
            f"by-{name}", stage="allowlist", allow={"rules": [{"clauses": [{"attribute": name, **clause}]}]}
        )
    everything = EvaluationContext("bob", {name: value for name, (value, _clause) in fields.items()})
    for name in fields:
        assert world.resolve(f"by-{name}", everything).value is True
        assert world.resolve(f"by-{name}").value is False


@requirement("3.1.4")
def the_targeting_key_wins_over_a_field_of_its_name(world: World) -> None:
    world.rules.flag("hers", stage="allowlist", allow={"users": ["zoe"]})
    assert world.resolve("hers", EvaluationContext("bob", {"targetingKey": "zoe"})).value is False


LAYERS = ("api", "transaction", "client", "call", "hook")
"""Each may overwrite what those before it say."""


def layer(name: str) -> EvaluationContext:
    """A context that claims every attribute from its own layer up."""
    return EvaluationContext("bob", dict.fromkeys(LAYERS[LAYERS.index(name) :], name))


class Before(Hook):
    """A hook that gives a context."""

    def before(self, **_: Any) -> EvaluationContext:
        return layer("hook")


@requirement("3.2.1", "3.2.1.1", "3.2.2", "3.2.3", "3.3.1.1", "3.3.1.2.1")
def contexts_are_merged_layer_by_layer(world: World) -> None:
    clauses = [{"attribute": name, "op": "equals", "value": name} for name in LAYERS]
    world.rules.flag("all", stage="allowlist", allow={"rules": [{"clauses": clauses}]})
    client = world.start()
    api.set_evaluation_context(layer("api"))
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    api.set_transaction_context(layer("transaction"))
    client.context = layer("client")
    assert client.get_boolean_value("all", True, layer("call")) is False
    client.add_hooks([Before()])
    assert client.get_boolean_value("all", False, layer("call")) is True


# 5 events


@requirement("5.1.1", "5.1.2", "5.2.1", "5.2.2", "5.2.3", "5.2.4")
def each_event_reaches_the_handlers_of_client_and_api(world: World) -> None:
    client = world.start()
    told = {
        (event, target): heard(target, event) for event in (READY, STALE, ERROR, CHANGED) for target in (client, api)
    }
    for target in (client, api):
        told[READY, target].get(timeout=SOON)  # it is ready already
    world.rules.flag("text", stage="allowlist")
    world.clock.advance(SOFT)
    client.get_boolean_value("on", False, BOB)
    world.break_down()
    client.get_boolean_value("on", False, BOB)
    world.clock.advance(HARD)
    client.get_boolean_value("on", False, BOB)
    world.mend()
    client.get_boolean_value("on", False, BOB)
    for (event, target), queue in told.items():
        details = queue.get(timeout=SOON)
        assert details.provider_name == "headgate", (event, target)
        assert details.flags_changed == (["text"] if event is CHANGED else None)


@requirement("5.1.3")
def clients_of_other_providers_hear_nothing(world: World) -> None:
    api.set_provider_and_wait(world.provider, "ours")
    others, ours = (heard(api.get_client(domain), STALE) for domain in ("others", "ours"))
    world.break_down()
    api.get_client("ours").get_boolean_value("on", False, BOB)
    ours.get(timeout=SOON)
    assert others.empty()


@requirement("5.1.4", "5.1.5")
def an_error_event_has_a_message_and_a_code(world: World) -> None:
    client = world.start()
    told = heard(client, ERROR)
    world.break_down()
    world.clock.advance(HARD)
    client.get_boolean_value("on", False, BOB)
    details = told.get(timeout=SOON)
    assert "does not answer" in str(details.message)
    assert details.error_code is ErrorCode.GENERAL


@requirement("5.2.5", "5.2.7")
def handlers_fail_alone_and_can_be_removed(world: World) -> None:
    client = world.start()
    gone: Queue[EventDetails] = Queue()

    def failing(_details: EventDetails) -> None:
        raise RuntimeError("a handler's own fault")

    client.add_handler(STALE, failing)
    client.add_handler(STALE, gone.put)
    client.remove_handler(STALE, gone.put)
    told = heard(client, STALE)
    world.break_down()
    client.get_boolean_value("on", False, BOB)
    told.get(timeout=SOON)
    assert gone.empty()


@requirement("5.2.6")
def handlers_persist_when_the_provider_changes(world: World) -> None:
    client = world.start()
    told = heard(client, STALE)
    other = World()
    api.set_provider_and_wait(other.provider)
    other.break_down()
    client.get_boolean_value("on", False, BOB)
    told.get(timeout=SOON)


@requirement("5.3.3")
def a_late_handler_is_told_of_the_present_state(world: World) -> None:
    client = world.start()
    heard(client, READY).get(timeout=SOON)
    world.break_down()
    client.get_boolean_value("on", False, BOB)
    heard(client, STALE).get(timeout=SOON)
    world.clock.advance(HARD)
    client.get_boolean_value("on", False, BOB)
    heard(client, ERROR).get(timeout=SOON)
