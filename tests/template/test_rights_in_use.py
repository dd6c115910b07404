"""Each function's permissions are enough for its work: the store runs on a client that enforces its IAM policies."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from template_checks.deployment import Deployment
from template_checks.expected import ALL_ADMIN, ALLOWED
from template_checks.policed import Policed

from headgate.core.audit import Break, sealed, verify_chain
from headgate.core.deny import DenyKind
from headgate.core.session import record_id, start
from headgate.edge.admin.call import Admin, handle
from headgate.edge.checkpoint import signed_head
from headgate.openapi import SERVED
from headgate.store.denials import session_end
from headgate.store.dynamo import DynamoTable
from headgate.store.items import audit_sk, deny_key, entry_item, read_entry
from headgate.store.kms import KmsKey
from headgate.store.port import ConditionFailed, Put, Unavailable
from headgate.store.record import Actor, Call, Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots, Standing

As = Callable[[str], Policed]
KeyAs = Callable[[str, str], KmsKey]
WHY = {"reason": "a test"}
SESSION = record_id("alice", "town:1")
FLAG = {"key": "access", "stage": "ga"}
MANIFEST = {
    "access": "access",
    "max_stale": 60,
    "token": {"lifetime": 300, "claims": {}},
    "flags": [FLAG],
    "routes": [{"route": "GET /api/towns", "class": "observe"}],
}


@pytest.fixture
def as_function(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[As]:
    """A client with the permissions of a function, on the template's table."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        shape = deployment.of("AWS::DynamoDB::Table")["Table"]
        client.create_table(
            TableName="gate", **{k: shape[k] for k in ("AttributeDefinitions", "KeySchema", "BillingMode")}
        )
        yield lambda function: Policed(client, deployment, function)


@pytest.fixture
def key_as(as_function: As, deployment: Deployment) -> KeyAs:
    """A key with the permissions that a function has for it, by its logical id."""
    client = boto3.client("kms", region_name="us-east-1")
    kid = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    return lambda function, name: KmsKey(kid, Policed(client, deployment, function, name))


def wired(client: Policed, key: KmsKey | None = None) -> Admin:
    table = DynamoTable("gate", client)
    return Admin(table=table, snapshots=Snapshots(table), record=Record(table, budget=1.0), sessions=Sessions(table),
                 pool=("key-1", "key-2", "key-3"), **({"audit_key": lambda: key} if key else {}))  # fmt: skip


class Caller:
    """Signed calls, one after another, as API Gateway sends them."""

    def __init__(self, admin: Admin) -> None:
        self._admin, self._count = admin, 0
        self.routes: set[str] = set()

    def __call__(self, route: str, body: Any = None, *, match: str = "", status: int = 200, name: str = "i") -> Any:
        self._count += 1
        self.routes.add(route)
        headers = {"idempotency-key": f"call-{self._count}"}
        headers |= {"if-none-match": "*"} if match == "*" else {"if-match": match} if match else {}
        event = {
            "rawPath": route.split()[1].replace("{key}", "access").replace("{id}", SESSION),
            "headers": headers,
            "pathParameters": {"key": "access", "id": SESSION, "import": name},
            "body": "" if body is None else json.dumps(body),
            "requestContext": {
                "routeKey": route,
                "requestId": f"request-{self._count}",
                "http": {"sourceIp": "192.0.2.1"},
                "authorizer": {"iam": {"userArn": "arn:aws:iam::123456789012:role/editor", "callerId": "A:editor"}},
            },
        }
        answer = handle(self._admin, SERVED, event)
        assert answer["statusCode"] == status, answer
        return answer


def etag(answer: Any) -> str:
    return str(answer["headers"]["etag"])


def test_admin_permissions_cover_all_its_routes(as_function: As, key_as: KeyAs) -> None:
    call = Caller(wired(as_function("AdminFunction"), key_as("AdminFunction", "AuditKey")))
    created = call("PUT /admin/v1/flags/{key}", {**FLAG, "stage": "admin_only", **WHY}, match="*", status=201)
    staged = call("POST /admin/v1/flags/{key}/stage", {"stage": "ga", **WHY}, match=etag(created))
    call("POST /admin/v1/flags/{key}/allow", {"add": {"users": ["alice"]}, **WHY}, match=etag(staged))
    call("GET /admin/v1/flags/{key}/allow")
    call("POST /admin/v1/flags/{key}/imports", {"id": "i", "kind": "user", "mode": "add", **WHY}, status=201)
    call("POST /admin/v1/flags/{key}/imports/{import}/members", {"at": 0, "ids": ["bob"]})
    digest = json.loads(call("GET /admin/v1/flags/{key}/imports/{import}")["body"])["digest"]
    call("POST /admin/v1/flags/{key}/imports/{import}/commit", {"count": 1, "digest": digest, **WHY})
    again = {"id": "j", "kind": "user", "mode": "add", **WHY}
    call("POST /admin/v1/flags/{key}/imports", again, status=201)
    call("DELETE /admin/v1/flags/{key}/imports/{import}", WHY, name="j", status=204)
    call("POST /admin/v1/flags/{key}/kill", WHY)
    call("POST /admin/v1/flags/{key}/restore", WHY)
    call("GET /admin/v1/flags")
    call("PUT /admin/v1/routes", {"routes": MANIFEST["routes"], **WHY}, match=etag(call("GET /admin/v1/routes")))
    call("POST /admin/v1/manifest/plan", MANIFEST)
    call("POST /admin/v1/manifest", MANIFEST | WHY)
    call("GET /admin/v1/manifest")
    call("POST /admin/v1/explain", {"flag": "access", "subject": {"user": "alice"}})
    call("POST /admin/v1/preview", {"flag": "access", "change": {"kill": True}})
    flag = call("GET /admin/v1/flags/{key}")
    call("DELETE /admin/v1/flags/{key}", {"allow_shrink": True, **WHY}, match=etag(flag), status=204)
    Sessions(DynamoTable("gate", as_function("TokenFunction"))).start(a_session())
    call("GET /admin/v1/sessions")
    call("DELETE /admin/v1/sessions/{id}", WHY, status=204)
    call("POST /admin/v1/revocations", {"subject": "alice", **WHY}, status=201)
    call("POST /admin/v1/restored", {"highest": 0, "confirm": True, **WHY}, status=201)
    call("GET /admin/v1/keys")
    call("POST /admin/v1/keys/rotate", WHY)
    call("POST /admin/v1/keys/revoke", {"kid": "key-1", **WHY})
    call("GET /admin/v1/audit")
    call("POST /admin/v1/audit/checkpoints", status=201)
    call("GET /admin/v1/audit/key")
    assert json.loads(call("GET /admin/v1/audit/reconcile")["body"])["findings"] == []
    call("GET /admin/v1/kills")
    call("GET /admin/v1/health")
    call("GET /admin/v1/openapi.json")
    assert call.routes == set(SERVED) == ALL_ADMIN


@pytest.mark.parametrize(("reach", "inside"), [("gate", 1), ("sever", 0)])
def test_kill_permissions_cover_the_kill_and_its_counts(as_function: As, reach: str, inside: int) -> None:
    call = Caller(wired(as_function("AdminFunction")))
    call("PUT /admin/v1/flags/{key}", FLAG | WHY, match="*", status=201)
    call("POST /admin/v1/manifest", MANIFEST | WHY)
    Sessions(DynamoTable("gate", as_function("TokenFunction"))).start(a_session())
    client = as_function("KillFunction")
    answer = Caller(wired(client))("POST /admin/v1/flags/{key}/kill", {"reach": reach, **WHY})
    assert json.loads(answer["body"])["sessions_inside"] == inside
    unused = {action for action, _ in ALLOWED["KillFunction"]} - client.used
    assert unused == (set() if inside else {"dynamodb:Query"}), "an unused permission"


def a_session() -> Any:
    return start(
        subject="alice", session_id="town:1", now=int(time.time()), orgs=(), admin=False, attributes={}, client_id="web"
    )


def test_token_permissions_cover_sessions_and_their_ends_only(as_function: As) -> None:
    client = as_function("TokenFunction")
    table = DynamoTable("gate", client)
    session = a_session()
    Sessions(table).start(session)
    assert Sessions(table).renew(session, session.renewed(int(time.time())))
    assert Sessions(table).find("alice", "town:1") is not None
    record = record_id("alice", "town:1")
    call = Call(Actor("headgate:token", "", ""), "reused", "r", record, "1", "1")
    key = deny_key(DenyKind.SESSION, record)
    Record(table).change(key, lambda current: session_end(Sessions(table), record, current), call)
    assert Snapshots(table).live().snapshot.denied.held
    for pk in ("rules", "imports#x", "members#x"):
        with pytest.raises(Unavailable, match="AccessDenied"):
            table.write([Put({"pk": pk, "sk": "x"})])


@pytest.mark.parametrize("function", ["AuthorizerFunction", "EvaluateFunction"])
def test_read_only_functions_cannot_write(as_function: As, function: str) -> None:
    client = as_function(function)
    table = DynamoTable("gate", client)
    assert Snapshots(table).live().standing is Standing.FRESH
    assert Sessions(table).find("alice", "town:1") is None
    with pytest.raises(Unavailable, match="AccessDenied"):
        table.write([Put({"pk": "sessions#0", "sk": "x"})])


def test_kill_cannot_change_sessions_or_earlier_audit_entries(as_function: As) -> None:
    client = as_function("KillFunction")
    with pytest.raises(Unavailable, match="AccessDenied"):
        DynamoTable("gate", client).write([Put({"pk": "sessions#0", "sk": "x"})])
    for action in ("UpdateItem", "DeleteItem"):
        assert not client.may(f"dynamodb:{action}", {"audit"})
        assert not as_function("AdminFunction").may(f"dynamodb:{action}", {"audit"})


def test_a86_audit_entry_cannot_be_rewritten(as_function: As) -> None:
    """A86: policy refuses updates and deletions, the store a second entry. A bare write breaks the chain."""
    client = as_function("AdminFunction")
    call, table = Caller(wired(client)), DynamoTable("gate", client)
    created = call("PUT /admin/v1/flags/{key}", {**FLAG, "stage": "admin_only", **WHY}, match="*", status=201)
    call("POST /admin/v1/flags/{key}/stage", {"stage": "ga", **WHY}, match=etag(created))
    place = {"pk": {"S": "audit"}, "sk": {"S": audit_sk(1)}}
    for operation in ("update_item", "delete_item"):
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(client, operation)(TableName="gate", Key=place)
    first, _second = whole = stream(table)
    assert verify_chain(whole) is None
    forged = sealed({**first, "reason": "another"})
    with pytest.raises(ConditionFailed):
        table.write([Put(entry_item(forged), absent=True)])
    assert stream(table) == whole
    table.write([Put(entry_item(forged))])
    assert verify_chain(stream(table)) == Break(2, "its prev is not the digest of the entry before it")


def stream(table: DynamoTable) -> list[dict[str, Any]]:
    return [read_entry(item) for item in table.query("audit").items]


def test_worker_cannot_access_the_gates_table(as_function: As) -> None:
    with pytest.raises(Unavailable, match="AccessDenied"):
        DynamoTable("gate", as_function("WorkerFunction")).get([("head", "head")])


def test_checkpoint_function_signs_a_head_that_it_cannot_change(as_function: As, key_as: KeyAs) -> None:
    created = Caller(wired(as_function("AdminFunction")))
    created("PUT /admin/v1/flags/{key}", {**FLAG, "stage": "admin_only", **WHY}, match="*", status=201)
    client = as_function("CheckpointFunction")
    table, key = DynamoTable("gate", client), key_as("CheckpointFunction", "AuditKey")
    assert signed_head(table, lambda: key, "https://gate.example.com", 0)["revision"] == 1
    assert client.used == {"dynamodb:GetItem"}
    with pytest.raises(Unavailable, match="AccessDenied"):
        table.write([Put({"pk": "audit", "sk": audit_sk(2)})])
    with pytest.raises(Unavailable, match="AccessDenied"):
        table.get([("rules", "flag#access")])


def test_each_key_has_its_signers(key_as: KeyAs) -> None:
    """The token function signs tokens, admin and checkpoint functions checkpoints, the kill function nothing."""
    for function in ALLOWED:
        for key, signers in (
            ("SigningKey1", ("TokenFunction",)),
            ("AuditKey", ("AdminFunction", "CheckpointFunction")),
        ):
            if function in signers:
                assert key_as(function, key).sign(b"a message")
            else:
                with pytest.raises(Unavailable, match="AccessDenied"):
                    key_as(function, key).sign(b"a message")
