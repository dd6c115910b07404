"""The stack's alarms: each declared one exists, may act, and notifies somebody.

CloudFormation names an alarm `<stack>-<logical id>-<random>`.
Source: CloudWatch API reference, DescribeAlarms; SNS API reference, ListSubscriptionsByTopic.
"""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from headgate_cli.doctor.checked import Checked
from headgate_cli.doctor.parameters import Conditions


def declared_alarms(template: Mapping[str, Any], parameters: Mapping[str, str]) -> set[str]:
    """Return the logical ids of the alarms that a template has with these parameters."""
    known = {name: value for name, value in parameters.items() if name in template.get("Parameters", {})}
    conditions = Conditions(template, known)
    resources = template["Resources"].items()
    return {
        name for name, one in resources
        if one["Type"] == "AWS::CloudWatch::Alarm" and ("Condition" not in one or conditions.holds(one["Condition"]))
    }  # fmt: skip


def live_alarms(cloudwatch: Any, stack: str) -> dict[str, dict[str, Any]]:
    """Return the alarms of a stack by logical id, as CloudWatch describes them."""
    named = re.compile(re.escape(stack) + r"-([A-Za-z0-9]+)-[A-Z0-9]{8,}")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack}-")
    found = ((named.fullmatch(alarm["AlarmName"]), alarm) for page in pages for alarm in page["MetricAlarms"])
    return {match[1]: alarm for match, alarm in found if match}


def check_alarms(declared: Set[str], live: Mapping[str, Mapping[str, Any]]) -> Iterator[Checked]:
    """Compare the alarms of a stack with those that its template declares, by logical id."""
    missing = sorted(declared - live.keys())
    silent = sorted(name for name, alarm in live.items() if not alarm["ActionsEnabled"])
    yield from (Checked("alarms", f"{name} does not exist: deploy again", failed=True) for name in missing)
    yield from (Checked("alarms", f"{name} has its actions disabled: enable them", failed=True) for name in silent)
    if not missing and not silent:
        yield Checked("alarms", f"all {len(live)} alarms exist")
    on = sorted(name for name, alarm in live.items() if alarm["StateValue"] == "ALARM")
    yield from (Checked("alarms", f"{name} is in alarm: see docs/watch.md") for name in on)


def check_topic(sns: Any, topic: str) -> Iterator[Checked]:
    """Check that somebody gets what the alarms send to a topic, an ARN; empty if they have none."""
    if not topic:
        yield Checked("alarms", "the alarms notify nobody: deploy with AlarmTopic")
        return
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    subscriptions = [one["SubscriptionArn"] for page in pages for one in page["Subscriptions"]]
    if any(arn.startswith("arn:") for arn in subscriptions):  # an unconfirmed one says `PendingConfirmation`
        yield Checked("alarms", f"{topic} has subscribers")
    else:
        yield Checked(
            "alarms",
            f"{topic} has no confirmed subscription, so nobody is notified: add one and confirm it",
            failed=True,
        )
