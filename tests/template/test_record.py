"""What leaves the table is off by default, and each part of its way may do one thing."""

import copy
import json
from collections.abc import Iterator

import pytest
from template_checks.deployment import TEMPLATE, Check, Deployment, Raw, listed, read_source
from template_checks.edits import Edit, append, broken_by, drop, put, takes, with_one_route
from template_checks.expected import OFF_BY_DEFAULT

BUCKET = TEMPLATE.parent / "examples" / "checkpoint-bucket" / "template.yaml"
PARTS = {
    "RecordLeaves": "PublishFunction PublishLogs RecordPipe RecordPipeRole RecordBus RecordBusPolicy Undelivered "
    "UndeliveredPolicy UndeliveredAlarm",
    "SendsWebhooks": "WebhookFunction WebhookLogs WebhookRule WebhookRulePermission",
    "TellsSlack": "SlackConnection SlackDestination SlackRule SlackRuleRole",
    "KeepsCheckpoints": "CheckpointFunction CheckpointLogs CheckpointRule CheckpointRulePermission CheckpointSchedule "
    "CheckpointScheduleRole",
    "RotatesKeys": "RotationSchedule",
    "AcceptsOldTokens": "LegacySecretPolicy LegacySecretUnavailableAlarm",
}
PIPE_ROLE = "arn:aws:iam::123456789012:role/headgate/headgate-production/pipe/*"
ROLES = {
    "RecordPipeRole": ("pipes", {
        *((f"dynamodb:{name}", "Table.StreamArn") for name in "DescribeStream GetRecords GetShardIterator".split()),
        ("dynamodb:ListStreams", "*"),
        ("lambda:InvokeFunction", "PublishFunction.Arn"), ("events:PutEvents", "RecordBus.Arn"),
        ("sqs:SendMessage", "Undelivered.Arn")}),
    "CheckpointScheduleRole": ("scheduler", {
        ("lambda:InvokeFunction", "CheckpointFunction.Arn"), ("sqs:SendMessage", "Undelivered.Arn")}),
    "HealthScheduleRole": ("scheduler", {("lambda:InvokeFunction", "AdminFunction.Arn")}),
    "SlackRuleRole": ("events", {("events:InvokeApiDestination", "SlackDestination.Arn")}),
}  # fmt: skip
"""Each role that no function has: the service that assumes it, and exactly what it may do."""
UNDELIVERED = {"Arn": {"Fn::GetAtt": ["Undelivered", "Arn"]}}


def attribute(value: Raw | str) -> str:
    return value if isinstance(value, str) else ".".join(value["Fn::GetAtt"])


def every_part_is_off_by_default(d: Deployment) -> Iterator[str]:
    got = {name: r["Condition"] for name, r in d.source["Resources"].items() if r.get("Condition") in OFF_BY_DEFAULT}
    wanted = {name: condition for condition, names in PARTS.items() for name in names.split()}
    yield from (f"{name} exists under {got.get(name)}" for name in wanted | got if got.get(name) != wanted.get(name))
    needs = {"WebhookUrl": "SendsWebhooks", "SlackSecret": "TellsSlack", "CheckpointBucket": "KeepsCheckpoints"}
    for parameter, condition in needs.items():
        if d.template["Conditions"][condition] != {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}:
            yield f"{condition} is not that {parameter} is set"
    asked = [{"Fn::Equals": [{"Ref": "EventBus"}, "yes"]}, *({"Condition": each} for each in needs.values())]
    if d.template["Conditions"]["RecordLeaves"] != {"Fn::Or": asked}:
        yield "the bus exists under another condition than that one of its parameters is set"
    defaults = {name: d.source["Parameters"][name]["Default"] for name in (*needs, "EventBus", "KeyRotationDays")}
    if defaults != {**dict.fromkeys(needs, ""), "EventBus": "no", "KeyRotationDays": 0}:
        yield f"the defaults are {defaults}"


def roles_of_the_record_may_do_one_thing(d: Deployment) -> Iterator[str]:
    own = {f"{name}Role" for name in d.of("AWS::Lambda::Function")}
    yield from (f"{name} is not expected" for name in d.of("AWS::IAM::Role").keys() - own - ROLES.keys())
    for name, (service, wanted) in ROLES.items():
        role = d.resources[name]["Properties"]
        statements = [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
        got = {(a, attribute(r)) for s in statements for a in listed(s["Action"]) for r in listed(s["Resource"])}
        if got != wanted or {s["Effect"] for s in statements} != {"Allow"} or "ManagedPolicyArns" in role:
            yield f"{name} may do {got ^ wanted}"
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        condition = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
        if (trust["Principal"], trust.get("Condition")) != ({"Service": f"{service}.amazonaws.com"}, condition):
            yield f"{name} may be assumed by {trust['Principal']}"


def pipe_takes_only_new_audit_entries(d: Deployment) -> Iterator[str]:
    pipe = d.resources["RecordPipe"]["Properties"]
    (only,) = pipe["SourceParameters"]["FilterCriteria"]["Filters"]
    wanted = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"pk": {"S": ["audit"]}}}}
    if json.loads(only["Pattern"]) != wanted:
        yield f"the pipe takes {only['Pattern']}"
    way = attribute(pipe["Source"]), attribute(pipe["Enrichment"]), attribute(pipe["Target"])
    if way != ("Table.StreamArn", "PublishFunction.Arn", "RecordBus.Arn"):
        yield f"the pipe goes by {way}"
    if pipe["SourceParameters"]["DynamoDBStreamParameters"].get("DeadLetterConfig") != UNDELIVERED:
        yield "what the pipe gives up is lost"


def only_the_pipe_sends(d: Deployment) -> Iterator[str]:
    policy = d.resources.get("RecordBusPolicy", {}).get("Properties", {})
    statement = policy.get("Statement", {})
    got = tuple(statement.get(name) for name in ("Effect", "Principal", "Action"))
    condition = statement.get("Condition", {}).get("ArnNotLike", {}).get("aws:PrincipalArn", "")
    if got != ("Deny", "*", "events:PutEvents") or d.text(condition) != PIPE_ROLE:
        yield "others than the pipe may send to the bus"
    if d.text(d.resources["RecordPipeRole"]["Properties"]["Path"]) != "/headgate/headgate-production/pipe/":
        yield "the pipe's role is not where the bus's policy looks for it"


def nothing_is_given_up_silently(d: Deployment) -> Iterator[str]:
    for kind in ("AWS::Events::Rule", "AWS::Scheduler::Schedule"):
        for name, properties in d.of(kind).items():
            targets = properties.get("Targets") or [properties["Target"]]
            if attribute(targets[0].get("RoleArn", UNDELIVERED["Arn"])) == "HealthScheduleRole.Arn":
                continue  # asks again, and has alarms of its own
            if any(target.get("DeadLetterConfig") != UNDELIVERED for target in targets):
                yield f"what {name} gives up is lost"
    for name in ("WebhookFunction", "CheckpointFunction"):
        if d.resources[name]["Properties"].get("DeadLetterConfig") != {"TargetArn": UNDELIVERED["Arn"]}:
            yield f"what {name} gives up is lost"
    (statement,) = d.resources["UndeliveredPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    source = d.text(statement.get("Condition", {}).get("ArnLike", {}).get("aws:SourceArn", ""))
    who = {"Service": "events.amazonaws.com"}
    if statement["Principal"] != who or source != "arn:aws:events:ap-southeast-2:123456789012:rule/<RecordBus>/*":
        yield "others than the bus's rules may write the queue"


def secrets_stay_in_secrets_manager(d: Deployment) -> Iterator[str]:
    url = d.text(d.resources["SlackDestination"]["Properties"]["InvocationEndpoint"])
    arn = "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:${SlackSecret}"
    if url != "{{resolve:secretsmanager:" + arn + "}}":
        yield f"the URL of Slack is {url}"
    used = json.dumps(d.resources)
    if used.count("${SlackSecret}") != 1 or used.count("${WebhookSecret}") != 2:
        yield "a secret's name is used elsewhere"


def bus_and_rules_have_one_source(d: Deployment) -> Iterator[str]:
    source = d.resources["RecordPipe"]["Properties"]["TargetParameters"]["EventBridgeEventBusParameters"]["Source"]
    patterns = {"WebhookRule": {}, "SlackRule": {}, "CheckpointRule": {"detail": {"action": ["flag.kill"]}}}
    for name, more in patterns.items():
        rule = d.resources[name]["Properties"]
        if (rule["EventBusName"], rule["EventPattern"]) != ({"Ref": "RecordBus"}, {"source": [source], **more}):
            yield f"{name} selects {rule['EventPattern']}"


_R = "Resources"
BROKEN: dict[Check, dict[str, Edit]] = {
    every_part_is_off_by_default: {
        "always": drop(f"{_R}.RecordPipe.Condition"),
        "with another": put(f"{_R}.SlackRule.Condition", "SendsWebhooks"),
        "without a parameter": put("Conditions.SendsWebhooks", {"Fn::Not": [{"Fn::Equals": ["", "x"]}]}),
        "a default": put("Parameters.EventBus.Default", "yes"),
    },
    roles_of_the_record_may_do_one_thing: {
        "pipe reads the table": append(
            f"{_R}.RecordPipeRole.Properties.Policies.0.PolicyDocument.Statement",
            {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": {"Fn::GetAtt": ["Table", "Arn"]}},
        ),
        "pipe of others": drop(f"{_R}.RecordPipeRole.Properties.AssumeRolePolicyDocument.Statement.0.Condition"),
        "one more": put(f"{_R}.More", {"Type": "AWS::IAM::Role", "Properties": {}}),
    },
    pipe_takes_only_new_audit_entries: {
        "everything": put(
            f"{_R}.RecordPipe.Properties.SourceParameters.FilterCriteria.Filters.0.Pattern", '{"eventName": ["INSERT"]}'
        ),
        "as it is": put(f"{_R}.RecordPipe.Properties.Enrichment", {"Fn::GetAtt": ["WebhookFunction", "Arn"]}),
        "loses": drop(f"{_R}.RecordPipe.Properties.SourceParameters.DynamoDBStreamParameters.DeadLetterConfig"),
    },
    only_the_pipe_sends: {
        "anyone": drop(f"{_R}.RecordBusPolicy"),
        "any role": put(f"{_R}.RecordBusPolicy.Properties.Statement.Condition.ArnNotLike.aws:PrincipalArn", "arn:*"),
        "nobody": drop(f"{_R}.RecordPipeRole.Properties.Path"),
    },
    nothing_is_given_up_silently: {
        "rule": drop(f"{_R}.SlackRule.Properties.Targets.0.DeadLetterConfig"),
        "schedule": drop(f"{_R}.CheckpointSchedule.Properties.Target.DeadLetterConfig"),
        "function": drop(f"{_R}.WebhookFunction.Properties.DeadLetterQueue"),
        "queue for all": drop(f"{_R}.UndeliveredPolicy.Properties.PolicyDocument.Statement.0.Condition"),
    },
    secrets_stay_in_secrets_manager: {
        "in the template": put(f"{_R}.SlackDestination.Properties.InvocationEndpoint", "https://hooks.slack.com/x"),
        "in a log group's name": put(f"{_R}.PublishLogs.Properties.LogGroupName", {"Fn::Sub": "${SlackSecret}"}),
    },
    bus_and_rules_have_one_source: {
        "another": put(f"{_R}.WebhookRule.Properties.EventPattern", {"source": ["other"]}),
        "each change": put(f"{_R}.CheckpointRule.Properties.EventPattern", {"source": ["headgate"]}),
        "the account's bus": put(f"{_R}.SlackRule.Properties.EventBusName", "default"),
    },
}


@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.__name__)
def test_template_satisfies(check: Check, deployment: Deployment) -> None:
    assert list(check(deployment)) == []


@pytest.mark.parametrize(("check", "edit"), broken_by(BROKEN))
def test_broken_template_is_found_by(check: Check, edit: Edit, deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    with_one_route(source)
    edit(source)
    broken = Deployment(source)
    if "RecordPipeRole" in broken.resources:
        broken.resources["RecordPipeRole"]["Properties"].setdefault("Path", "/")
    assert list(check(broken))


def test_rotation_schedule_asks_the_admin_function(deployment: Deployment) -> None:
    target = deployment.resources["RotationSchedule"]["Properties"]["Target"]
    assert attribute(target["Arn"]) == "AdminFunction.Arn"
    asked = json.loads(deployment.text(target["Input"]).replace("${KeyRotationDays}", "60"))
    assert asked == {"headgate": "rotate", "after_days": 60, "at": "<aws.scheduler.scheduled-time>"}


def test_bucket_locks_what_only_the_checkpoint_function_adds() -> None:
    bucket = read_source(BUCKET)["Resources"]["Bucket"]
    lock = bucket["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert (bucket["Properties"]["ObjectLockEnabled"], lock) == (True, {"Mode": "COMPLIANCE", "Days": {"Ref": "Days"}})
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    policy = read_source(BUCKET)["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
    (allowed,) = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    path = "role/headgate/${GateStack}/admin/checkpoint/*"
    assert allowed["Action"] == "s3:PutObject"
    assert allowed["Resource"] == {"Fn::Sub": "${Bucket.Arn}/${GateStack}/*"}
    assert allowed["Condition"]["ArnLike"]["aws:PrincipalArn"]["Fn::Sub"].endswith(path)


GOOD_NAME = "headgate/webhook-a1B2c3"


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("WebhookUrl", "https://hooks.example.com/a?b=c", True),
        ("WebhookUrl", "http://hooks.example.com", False),
        ("WebhookUrl", "https://user:pass@hooks.example.com", False),
        ("WebhookUrl", "https://hooks.example.com/#x", False),
        *((name, GOOD_NAME, True) for name in ("WebhookSecret", "SlackSecret")),
        *((name, "https://hooks.slack.com/services/T/B/x", False) for name in ("WebhookSecret", "SlackSecret")),
        ("SlackSecret", "*-a1B2c3", False),
        ("CheckpointBucket", "checkpoints-elsewhere", True),
        ("CheckpointBucket", "*", False),
        ("CheckpointBucket", "bucket/prefix", False),
        ("ExistingStream", "2026-11-28T18:00:00.000", True),
        ("ExistingStream", "*", False),
    ],
)
def test_invalid_parameters_are_rejected_before_deployment(
    name: str, value: str, taken: bool, deployment: Deployment
) -> None:
    assert takes(deployment, name, value) is taken
