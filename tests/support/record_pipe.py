"""What EventBridge does with the table's stream, driven by a test: the pipe and the rules as the template has them.

The stream is moto's, the patterns are matched by moto, and the functions are the real ones.
"""

import json
from typing import Any

from moto.events.models import EventPattern
from stand import ROOT, Handler, load_handler

from headgate_cli.local.intrinsics import read_template

Event = dict[str, Any]
RESOURCES = read_template(ROOT / "template.yaml")["Resources"]
PIPE = RESOURCES["RecordPipe"]["Properties"]


def matches(pattern: Any, event: Any) -> bool:
    """Whether a pattern, as JSON or as written in the template, selects an event."""
    text = pattern if isinstance(pattern, str) else json.dumps(pattern)
    return bool(EventPattern.load(text).matches_event(event))


class RecordPipe:
    """The stream of a table from now on. `streams` is a client of DynamoDB Streams."""

    def __init__(self, streams: Any, stream: str) -> None:
        self._streams = streams
        self._publish = load_handler(ROOT / "functions/publish")
        (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
        self._place = streams.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        self.records: list[Event] = []

    def events(self) -> list[Event]:
        """The events for what was written since the last call, as a rule's target receives them."""
        answer = self._streams.get_records(ShardIterator=self._place)
        self._place = answer["NextShardIterator"]
        self.records = json.loads(json.dumps(answer["Records"], default=str))
        (only,) = PIPE["SourceParameters"]["FilterCriteria"]["Filters"]
        found = [record for record in self.records if matches(only["Pattern"], record)]
        target = PIPE["TargetParameters"]["EventBridgeEventBusParameters"]
        envelope = {"version": "0", "source": target["Source"], "detail-type": target["DetailType"]}
        return [{**envelope, "detail": detail} for detail in self._publish(found, None)]  # type: ignore[arg-type]


def deliver(rule: str, function: Handler, events: list[Event]) -> int:
    """Call a rule's function for each event that its pattern selects. Return for how many."""
    selected = [event for event in events if matches(RESOURCES[rule]["Properties"]["EventPattern"], event)]
    for event in selected:
        function(event, None)
    return len(selected)


def transformed(rule: str, event: Event) -> Any:
    """What a rule's input transformer makes of an event: each variable becomes the JSON value at its path."""
    (target,) = RESOURCES[rule]["Properties"]["Targets"]
    text: str = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        text = text.replace(f"<{name}>", json.dumps(value), 1)
    return json.loads(text)
