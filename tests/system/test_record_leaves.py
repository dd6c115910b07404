"""From a change to whoever watches: the table's stream, the event, the webhook, the Slack message, the checkpoint.

moto has the table with its stream, the secret, and the bucket with Object Lock, all over a socket. The webhook's
receiver is a server with TLS. `record_pipe` does what EventBridge does.
"""

import json
import os
import re
import secrets
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from canaries import Canaries
from record_pipe import RecordPipe, deliver, transformed
from stand import ROOT, Handler, Stand, load_handler
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from webhook_site import Received, WebhookSite

from headgate.edge.http import Bug
from headgate.edge.publish import publish
from headgate.tokens.keys import PublicKey
from headgate_cli.checkpoints import read_checkpoints

FLAG, KEY = "gastown-convoys", "gastown-access"
BUCKET, STACK = "checkpoints-elsewhere", "local"
PAGE = (ROOT / "docs/record.md").read_text(encoding="utf-8")
Event = dict[str, Any]


def whsec() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


class Outside:
    """The stack's surroundings: a client of each service, a receiver, and the functions that reach them."""

    def __init__(self, stand: Stand, endpoint: str, folder: Path) -> None:
        self.stand, self._endpoint = stand, endpoint
        stand.renew()
        spec = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        table = self.client("dynamodb").update_table(TableName=os.environ["HEADGATE_TABLE"], StreamSpecification=spec)
        self.pipe = RecordPipe(self.client("dynamodbstreams"), table["TableDescription"]["LatestStreamArn"])
        self.site = WebhookSite(folder)
        self.secret = whsec()
        made = self.client("secretsmanager").create_secret(Name=secrets.token_hex(8), SecretString=self.secret)
        self.secret_arn = made["ARN"]
        self.client("s3").create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}}
        self.client("s3").put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=lock)
        os.environ |= {
            "HEADGATE_WEBHOOK_URL": f"{self.site.url}/hooks?team=a", "HEADGATE_WEBHOOK_SECRET_ARN": made["ARN"],
            "SSL_CERT_FILE": str(self.site.certificate), "HEADGATE_CHECKPOINT_BUCKET": BUCKET,
            "HEADGATE_ISSUER": "https://gate.example.com",
        }  # fmt: skip

    def client(self, service: str) -> Any:
        session = botocore.session.get_session()
        session.set_credentials("local", "local")
        return session.create_client(service, region_name="us-east-1", endpoint_url=self._endpoint)

    def function(self, name: str) -> Handler:
        """A cold environment of a function."""
        return load_handler(ROOT / "functions" / name)

    def change(self, route: str, body: Event, *, key: str | None = FLAG, match: str = "") -> Any:
        headers = {"if-match": match} if match else {}
        answer = self.stand.admin(route, body, key=key, headers=headers)
        assert 200 <= answer["statusCode"] < 300, answer
        return answer

    def kept(self) -> dict[str, bytes]:
        """The objects in the bucket."""
        names = [each["Key"] for each in self.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())]
        return {name: self.client("s3").get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}


@pytest.fixture(scope="module")
def outside(stand: Stand, moto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    made = Outside(stand, moto, tmp_path_factory.mktemp("site"))
    yield made
    made.site.close()


def stage(outside: Outside, reason: str) -> Event:
    """One change, and its event."""
    outside.pipe.events()
    shown = outside.change("GET /admin/v1/flags/{key}", {})
    body = {"stage": "percentage", "percent": 25, "allow_shrink": True, "reason": reason}
    outside.change("POST /admin/v1/flags/{key}/stage", body, match=shown["headers"]["etag"])
    (event,) = outside.pipe.events()
    return event


def test_event_says_who_did_what_and_why(outside: Outside) -> None:
    detail = stage(outside, "a quarter")["detail"]
    head = json.loads(outside.change("GET /admin/v1/audit", {})["body"])["entries"][0]
    assert detail["actor"] == head["actor"]["arn"]
    same = ("revision", "at", "action", "flag", "reason", "request_id", "digest")
    assert {name: detail[name] for name in same} == {name: head[name] for name in same}
    assert detail.keys() == {"stack", "actor", "text", *same}


def test_sample_events_and_the_page_show_an_event_as_it_is(outside: Outside) -> None:
    shown = json.loads(re.findall(r"```json\n(\{\n  \"stack\".*?)```", PAGE, re.DOTALL)[0])
    record, event, schedule = (
        json.loads((ROOT / f"events/{name}.json").read_text())
        for name in ("publish.stage", "webhook.stage", "checkpoint.schedule")
    )
    assert publish(record, "headgate-production") == [event["detail"]] == [shown]
    assert deliver("WebhookRule", outside.function("webhook"), [event]) == 1
    assert json.loads(outside.site.received[-1].body) == shown
    before = len(outside.kept())
    outside.function("checkpoint")(schedule, None)
    assert len(outside.kept()) == before + 1
    section = PAGE.partition("## What leaves\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [*shown]


def test_no_id_list_rule_or_salt_leaves(outside: Outside) -> None:
    """Each is in the stream's records, so that it could leave, and in no event, webhook, or Slack message."""
    canaries = Canaries()
    outside.pipe.events()
    rule = {"clauses": [{"attribute": "plan", "op": "equals", "value": canaries.new("rule")}]}
    flag = {"key": "watched", "stage": "allowlist", "salt": canaries.new("salt"), "reason": "new",
            "allow": {"users": [canaries.new("listed user")], "rules": [rule]}}  # fmt: skip
    outside.stand.admin("PUT /admin/v1/flags/{key}", flag, key="watched", headers={"if-none-match": "*"})
    shown = outside.change("GET /admin/v1/flags/{key}", {}, key="watched")
    more = {"add": {"users": [canaries.new("added user")], "orgs": [canaries.new("added org")]}, "reason": "more"}
    outside.change("POST /admin/v1/flags/{key}/allow", more, key="watched", match=shown["headers"]["etag"])
    revoked = {"subject": canaries.new("revoked subject"), "reason": "left"}
    outside.change("POST /admin/v1/revocations", revoked, key=None)
    events = outside.pipe.events()
    assert [(event["detail"]["action"], event["detail"]["flag"]) for event in events] == [
        ("flag.create", "watched"), ("flag.allow", "watched"), ("deny.revoke", None)]  # fmt: skip
    inside = json.dumps(outside.pipe.records)
    assert canaries.within(inside) >= {"salt", "rule", "listed user", "added user", "added org"}
    assert deliver("WebhookRule", outside.function("webhook"), events) == 3
    sent = [*(request.body for request in outside.site.received), json.dumps(events)]
    sent += [json.dumps(transformed("SlackRule", event)) for event in events]
    assert canaries.within(*sent) == set()


def verify_of_page() -> Any:
    """The function that docs/record.md shows."""
    found: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], found)  # noqa: S102 - the documented snippet
    return found["verify"]


def is_verified(request: Received, secret: str) -> bool:
    """By the library of Standard Webhooks, and by the snippet of the page, which must agree."""
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return bool(verify_of_page()(request.headers, request.body, secret))
    return bool(verify_of_page()(request.headers, request.body, secret))


def test_webhook_is_verified_by_its_receiver(outside: Outside) -> None:
    event = stage(outside, "a <quarter> & more")
    assert deliver("WebhookRule", outside.function("webhook"), [event]) == 1
    request = outside.site.received[-1]
    assert (request.path, json.loads(request.body)) == ("/hooks?team=a", event["detail"])
    assert request.headers["webhook-id"] == event["detail"]["digest"]
    assert is_verified(request, outside.secret)
    assert not is_verified(request, whsec())
    old = {**request.headers, "webhook-timestamp": str(int(request.headers["webhook-timestamp"]) - 301)}
    for forged in (Received("/", request.headers, request.body + b" "), Received("/", old, request.body)):
        assert not is_verified(forged, outside.secret)


def test_while_the_secret_changes_both_verify(outside: Outside) -> None:
    webhook, newer = outside.function("webhook"), whsec()
    event = stage(outside, "one more")
    store = outside.client("secretsmanager")
    try:
        for text, valid in ((f"{newer} {outside.secret}", {newer, outside.secret}), (newer, {newer})):
            store.put_secret_value(SecretId=outside.secret_arn, SecretString=text)
            deliver("WebhookRule", webhook, [event])
            request = outside.site.received[-1]
            assert {secret for secret in (newer, outside.secret) if is_verified(request, secret)} == valid
        for unusable in ("", "secret", "whsec_c2hvcnQ=", f"{newer} {newer} {newer}"):
            store.put_secret_value(SecretId=outside.secret_arn, SecretString=unusable or " ")
            count = len(outside.site.received)
            with pytest.raises(Bug, match="InvalidSecret"):
                deliver("WebhookRule", webhook, [event])
            assert len(outside.site.received) == count
    finally:
        store.put_secret_value(SecretId=outside.secret_arn, SecretString=outside.secret)


@pytest.mark.parametrize("status", [302, 307, 400, 500])
def test_refused_webhook_fails_so_that_lambda_repeats_it_and_no_redirect_is_followed(
    outside: Outside, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    event, before = stage(outside, "refused"), len(outside.site.received)
    outside.site.status = status
    try:
        with pytest.raises(Bug, match="NotDelivered"):
            deliver("WebhookRule", outside.function("webhook"), [event])
    finally:
        outside.site.status = 204
    assert [request.path for request in outside.site.received[before:]] == ["/hooks?team=a"]
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["event"], line["status"]) == ("delivered", status)
    deliver("WebhookRule", outside.function("webhook"), [event])
    assert outside.site.received[-1].headers["webhook-id"] == outside.site.received[-2].headers["webhook-id"]


def test_receiver_with_an_untrusted_certificate_gets_nothing(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    event, before = stage(outside, "not there"), len(outside.site.received)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Bug, match="NotDelivered"):
        deliver("WebhookRule", outside.function("webhook"), [event])
    assert len(outside.site.received) == before


def test_slack_message_cannot_mention_or_link(outside: Outside) -> None:
    """A reason is free text: <!channel> would notify everyone, and a link could show another address."""
    event = stage(outside, 'for "us" <!channel> & <https://evil.example|docs>')
    message = transformed("SlackRule", event)
    assert message.keys() == {"text", "mrkdwn"}
    assert message["text"].endswith('for "us" &lt;!channel&gt; &amp; &lt;https://evil.example|docs&gt;')


def test_kill_leaves_a_locked_checkpoint_that_the_audit_key_signed(outside: Outside, tmp_path: Path) -> None:
    checkpoint = outside.function("checkpoint")
    other = stage(outside, "not a kill")
    assert deliver("CheckpointRule", checkpoint, [other]) == 0
    outside.change("POST /admin/v1/flags/{key}/kill", {"reason": "drill"}, key=KEY)
    events, before = outside.pipe.events(), outside.kept().keys()
    assert deliver("CheckpointRule", checkpoint, events) == 1
    ((name, content),) = ((name, content) for name, content in outside.kept().items() if name not in before)
    killed = events[0]["detail"]
    assert re.fullmatch(rf"{STACK}/{killed['revision']:012d}-\d{{4}}-[^/]*Z\.json", name)
    lock = outside.client("s3").head_object(Bucket=BUCKET, Key=name)
    assert lock["ObjectLockMode"] == "COMPLIANCE"
    file = tmp_path / "heads.jsonl"
    file.write_bytes(content)
    public = outside.client("kms").get_public_key(KeyId=os.environ["HEADGATE_AUDIT_KEY"])["PublicKey"]
    (found,) = read_checkpoints(file, PublicKey.from_der(os.environ["HEADGATE_AUDIT_KEY"], public))
    assert (found.revision, found.digest) == (killed["revision"], killed["digest"])
    assert found.issuer == "https://gate.example.com"


@pytest.mark.parametrize("fault", ["head", "bucket"])
def test_checkpoint_that_cannot_be_made_or_kept_fails(
    outside: Outside, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda then repeats it, and what stays undelivered is an alarm."""
    table, name = outside.client("dynamodb"), os.environ["HEADGATE_TABLE"]
    place = {"pk": {"S": "head"}, "sk": {"S": "head"}}
    head = table.get_item(TableName=name, Key=place)["Item"]
    before = outside.kept()
    if fault == "bucket":
        monkeypatch.setenv("HEADGATE_CHECKPOINT_BUCKET", "no-such-bucket")
    else:
        table.put_item(TableName=name, Item=head | {"digest": {"S": "0" * 64}})
    try:
        with pytest.raises(Bug, match={"head": "Refusal", "bucket": "Unavailable"}[fault]):
            outside.function("checkpoint")({}, None)
    finally:
        table.put_item(TableName=name, Item=head)
    assert outside.kept() == before


def test_what_somebody_else_writes_among_the_entries_is_told(outside: Outside) -> None:
    """It does not stop the pipe, and what it says does not leave."""
    canaries = Canaries()
    outside.pipe.events()
    table, name = outside.client("dynamodb"), os.environ["HEADGATE_TABLE"]
    forged = json.dumps({"revision": 900_001, "reason": canaries.new("forged"), "digest": "0" * 64})
    bodies = {"000000900001": forged, "000000900002": "[]", "a": "{"}
    for sk, body in bodies.items():
        table.put_item(TableName=name, Item={"pk": {"S": "audit"}, "sk": {"S": sk}, "body": {"S": body}})
    try:
        details = [event["detail"] for event in outside.pipe.events()]
        assert [(detail["action"], detail["revision"]) for detail in details] == [
            ("unreadable", 900_001), ("unreadable", 900_002), ("unreadable", 0)]  # fmt: skip
        assert canaries.within(json.dumps(details)) == set()
    finally:
        for sk in bodies:
            table.delete_item(TableName=name, Key={"pk": {"S": "audit"}, "sk": {"S": sk}})
