"""Access control: requests that are unsigned, badly signed, or signed by a principal whose policies do not allow them.

All of these are API Gateway's own refusals (403, not problem+json); the functions are never called. Rows A74 and A75
of docs/attacks.md, and A76 and A77: a repeated request.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from exact_http import ExactHttp
from running_gate import Answer, Gate, Person
from running_gate.people import new_id

from headgate_cli.local.sigv4 import Signable, sign
from headgate_cli.local.stack import Stack

KEY = "bad-access"
PATH = f"/admin/v1/flags/{KEY}/kill"
BODY = json.dumps({"reason": "because"}).encode()
SKEWED = timedelta(minutes=5, seconds=30)


@pytest.fixture(scope="module")
def gate(stack: Stack) -> Gate:
    """A client that sends paths and bodies unmodified."""
    client = Gate(stack.ready, ExactHttp())
    client.have(KEY, stage="ga")
    return client


@pytest.fixture
def unchanged(gate: Gate) -> Iterator[None]:
    """No audit entry is made."""
    revision = gate.revision()
    yield
    assert gate.revision() == revision


def by_the_gateway(answer: Answer) -> bool:
    """Whether the refusal is API Gateway's own."""
    return answer.status == 403 and answer.json == {"message": "Forbidden"}


# -- signatures


class Forger:
    """Signs a kill, correctly or not, and sends it."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        keys = gate.ready["admin"]
        self.key_id, self.secret = str(keys["access_key_id"]), str(keys["secret_access_key"])
        self.region = str(gate.ready["region"])

    def signed(self, *, path: str = PATH, body: bytes = BODY, **changed: str) -> dict[str, str]:
        """The headers of a signed request. `region`, `service`, `secret`, `key_id`, and `token` can be overridden."""
        request = AWSRequest("POST", self.gate.api + path, headers={"content-type": "application/json"}, data=body)
        credentials = Credentials(
            changed.get("key_id", self.key_id), changed.get("secret", self.secret), changed.get("token")
        )
        service, region = changed.get("service", "execute-api"), changed.get("region", self.region)
        SigV4Auth(credentials, service, region).add_auth(request)
        return dict(request.headers.items())

    def at(self, moment: datetime) -> dict[str, str]:
        """Signed at another time."""
        own = {"host": urlsplit(self.gate.api).netloc, "content-type": "application/json"}
        signable = Signable("POST", PATH, "", tuple(own.items()), BODY)
        return own | sign(signable, key_id=self.key_id, secret=self.secret, region=self.region, now=moment)

    def in_the_query(self) -> str:
        """A presigned URL."""
        request = AWSRequest("POST", self.gate.api + PATH, data=BODY)
        SigV4QueryAuth(Credentials(self.key_id, self.secret), "execute-api", self.region).add_auth(request)
        return str(request.url).removeprefix(self.gate.api)

    def send(self, headers: Mapping[str, str], *, path: str = PATH, body: bytes = BODY, method: str = "POST") -> Answer:
        """Send unmodified."""
        return self.gate.http.send(method, self.gate.api + path, headers=headers, body=body)


def without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() != name}


def altered(headers: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    return {key: value.replace(old, new) if key.lower() == "authorization" else value for key, value in headers.items()}


Attempt = Callable[[Forger], Answer]
SIGNATURES: Mapping[str, Attempt] = {
    "unsigned": lambda f: f.send({}),
    "an empty Authorization": lambda f: f.send({"authorization": ""}),
    "Basic": lambda f: f.send({"authorization": "Basic YWRtaW46YWRtaW4="}),
    "another Region": lambda f: f.send(f.signed(region="eu-west-1")),
    "another service": lambda f: f.send(f.signed(service="dynamodb")),
    "another secret": lambda f: f.send(f.signed(secret="0" * 40)),
    "an unknown key": lambda f: f.send(f.signed(key_id="AKIA0000000000000000")),
    "the viewer's key with the admin's secret": lambda f: f.send(
        f.signed(key_id=f.gate.ready["viewer"]["access_key_id"])
    ),
    "an unknown session token": lambda f: f.send(f.signed(token="made-up")),
    "an altered body": lambda f: f.send(f.signed(), body=BODY.replace(b"because", b"BECAUSE")),
    "an unsigned body": lambda f: f.send(f.signed(body=b"")),
    "a missing body": lambda f: f.send(f.signed(), body=b""),
    "another flag": lambda f: f.send(f.signed(), path="/admin/v1/flags/gastown-access/kill"),
    "another call": lambda f: f.send(f.signed(), path=f"/admin/v1/flags/{KEY}/restore"),
    "an unsigned query": lambda f: f.send(f.signed(), path=PATH + "?x=1"),
    "a path in upper case": lambda f: f.send(f.signed(), path=PATH.replace("bad-access", "Bad-Access")),
    "an encoded path": lambda f: f.send(f.signed(), path=PATH.replace("bad-access", "bad%2Daccess")),
    "another date": lambda f: f.send({**f.signed(), "X-Amz-Date": "20200101T000000Z"}),
    "no date": lambda f: f.send(without(f.signed(), "x-amz-date")),
    "an invalid date": lambda f: f.send({**f.signed(), "X-Amz-Date": "now"}),
    "5 minutes and a half late": lambda f: f.send(f.at(datetime.now(UTC) - SKEWED)),
    "5 minutes and a half early": lambda f: f.send(f.at(datetime.now(UTC) + SKEWED)),
    "a day late": lambda f: f.send(f.at(datetime.now(UTC) - timedelta(days=1))),
    "a truncated signature": lambda f: f.send(altered(f.signed(), "Signature=", "Signature=0")),
    "a signature in upper case": lambda f: f.send(altered(f.signed(), "Signature=", "SIGNATURE=")),
    "another algorithm": lambda f: f.send(altered(f.signed(), "HMAC-SHA256", "HMAC-SHA1")),
    "an unsigned host": lambda f: f.send(altered(f.signed(), "host;", "")),
    "an added AWS header": lambda f: f.send({**f.signed(), "X-Amz-Meta": "x"}),
    "the hash of another body": lambda f: f.send({**f.signed(), "X-Amz-Content-Sha256": "0" * 64}),
    "an unsigned payload": lambda f: f.send({**f.signed(), "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}),
    "in the query": lambda f: f.send({}, path=f.in_the_query()),
    "two signatures": lambda f: f.send({**f.signed(), "authorization": f.signed()["Authorization"] + ", x"}),
    "a user's access token": lambda f: f.send(bearer(f.gate.access_token(Person(admin=True)))),
    "an admin's identity token": lambda f: f.send(bearer(f.gate.id_token(Person(admin=True)))),
    "a service token": lambda f: f.send(bearer(f.gate.service_token())),
}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("attempt", SIGNATURES.values(), ids=[f"A74-{name}" for name in SIGNATURES])
@pytest.mark.usefixtures("unchanged")
def test_kill_with_an_invalid_signature_is_denied(gate: Gate, attempt: Attempt) -> None:
    assert by_the_gateway(attempt(Forger(gate)))


def test_kill_signed_within_the_clock_skew_is_accepted(gate: Gate) -> None:
    """A74: the same forger without a fault. 4 minutes are clock skew, not an attack."""
    forger = Forger(gate)
    assert forger.send(forger.signed()).status == 200
    assert forger.send(forger.at(datetime.now(UTC) - timedelta(minutes=4))).status == 200
    gate.restore(KEY)


# -- rights

READS = (
    "GET /admin/v1/flags",
    f"GET /admin/v1/flags/{KEY}",
    f"GET /admin/v1/flags/{KEY}/allow",
    "GET /admin/v1/routes",
    "GET /admin/v1/manifest",
    "GET /admin/v1/audit",
    "GET /admin/v1/sessions",
    "GET /admin/v1/keys",
    "GET /admin/v1/health",
    "GET /admin/v1/kills",
)
ASKS = ("POST /admin/v1/explain", "POST /admin/v1/preview", "POST /admin/v1/manifest/plan")
CHANGES = (
    f"PUT /admin/v1/flags/{KEY}",
    f"DELETE /admin/v1/flags/{KEY}",
    f"POST /admin/v1/flags/{KEY}/stage",
    f"POST /admin/v1/flags/{KEY}/allow",
    f"POST /admin/v1/flags/{KEY}/restore",
    "PUT /admin/v1/routes",
    "POST /admin/v1/manifest",
    f"DELETE /admin/v1/sessions/{'0' * 64}",
)
KILL = (f"POST /admin/v1/flags/{KEY}/kill",)
ADMINS = ("POST /admin/v1/revocations", "POST /admin/v1/keys/rotate", "POST /admin/v1/keys/revoke")
SERVICE = ("POST /v1/service-token",)
EVERYTHING = (*READS, *ASKS, *CHANGES, *KILL, *ADMINS, *SERVICE)
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "viewer": (*READS, *ASKS),
    "kill_operator": (*KILL, "GET /admin/v1/kills"),
    "auditor": READS,
    "editor": (*READS, *ASKS, *CHANGES, *KILL),
    "service": SERVICE,
    "admin": EVERYTHING,
}
"""Principal to the calls it may make."""


@pytest.mark.parametrize("role", RIGHTS, ids=[f"A75-{role}" for role in RIGHTS])
@pytest.mark.usefixtures("unchanged")
def test_each_role_may_make_exactly_the_calls_its_policies_allow(gate: Gate, role: str) -> None:
    """The body is not JSON, so an allowed call gets 400 and changes nothing."""
    for call in EVERYTHING:
        method, _, path = call.partition(" ")
        answer = gate.signed(method, path, None if method == "GET" else b"-", role=role)
        if call in RIGHTS[role]:
            assert answer.status in (200, 400), (call, answer.text)
        else:
            assert by_the_gateway(answer), (call, answer.text)


# -- a repeated request


@pytest.fixture
def flag(gate: Gate) -> Mapping[str, Any]:
    """A flag of the test's own."""
    return gate.create(new_id("twice"))


def test_a76_repeated_request_gets_the_same_answer_and_one_entry(gate: Gate, flag: Mapping[str, Any]) -> None:
    path, body = f"/admin/v1/flags/{flag['key']}/stage", {"stage": "ga", "reason": "because"}
    revision = gate.revision()
    first = gate.change("POST", path, body, version=1, key="k-1").expect(200)
    for _ in range(3):  # its If-Match version is no longer current
        again = gate.change("POST", path, body, version=1, key="k-1").expect(200)
        assert (again.body, again.headers["etag"]) == (first.body, first.headers["etag"])
    assert [entry["action"] for entry in gate.audit(after=revision)] == ["flag.stage"]


def test_a76_replayed_request_changes_nothing(gate: Gate, flag: Mapping[str, Any]) -> None:
    """Byte for byte, signature included."""
    path = f"/admin/v1/flags/{flag['key']}/stage"
    body = json.dumps({"stage": "ga", "reason": "because"}).encode()
    keys = gate.ready["admin"]
    headers = {"content-type": "application/json", "idempotency-key": new_id("key"), "if-match": '"1"'}
    request = AWSRequest("POST", gate.api + path, headers=headers, data=body)
    credentials = Credentials(keys["access_key_id"], keys["secret_access_key"])
    SigV4Auth(credentials, "execute-api", gate.ready["region"]).add_auth(request)
    captured = dict(request.headers.items())
    answers = [gate.http.send("POST", gate.api + path, headers=captured, body=body).expect(200) for _ in range(3)]
    assert len({answer.body for answer in answers}) == 1
    assert gate.flag(flag["key"])["version"] == 2


@pytest.mark.parametrize("what", ["body", "reason", "path", "method", "blank"])
def test_a77_idempotency_key_of_another_request_is_rejected(gate: Gate, flag: Mapping[str, Any], what: str) -> None:
    key, path = new_id("key"), f"/admin/v1/flags/{flag['key']}"
    gate.change("POST", f"{path}/stage", {"stage": "ga", "reason": "because"}, version=1, key=key).expect(200)
    other: Mapping[str, tuple[str, str, Any]] = {
        "body": ("POST", f"{path}/stage", {"stage": "allowlist", "reason": "because"}),
        "reason": ("POST", f"{path}/stage", {"stage": "ga", "reason": "another"}),
        "path": ("POST", f"/admin/v1/flags/{KEY}/stage", {"stage": "ga", "reason": "because"}),
        "method": ("DELETE", path, {"reason": "because", "allow_shrink": True}),
        "blank": ("POST", f"{path}/stage", b'{"stage": "ga",  "reason": "because"}'),
    }
    method, where, body = other[what]
    answer = gate.change(method, where, body, version=2, key=key)
    assert (answer.status, answer.slug) == (422, "idempotency-key-reused")
    assert gate.flag(flag["key"])["version"] == 2


def test_a77_idempotency_key_belongs_to_its_caller(gate: Gate) -> None:
    key = new_id("key")
    for role in ("admin", "editor"):
        path = f"/admin/v1/flags/{new_id(role)}"
        gate.change("PUT", path, {"reason": "because"}, key=key, role=role, headers={"if-none-match": "*"}).expect(201)


def test_a77_refused_request_does_not_use_up_its_key(gate: Gate, flag: Mapping[str, Any]) -> None:
    key, path = new_id("key"), f"/admin/v1/flags/{flag['key']}/stage"
    body = {"stage": "ga", "reason": "because"}
    gate.change("POST", path, {**body, "stage": "beta"}, version=1, key=key).expect(400)
    gate.change("POST", path, body, version=9, key=key).expect(412)
    gate.change("POST", path, body, version=1, key=key).expect(200)


def test_a85_one_of_two_updates_with_the_same_version_succeeds(gate: Gate, flag: Mapping[str, Any]) -> None:
    path, body = f"/admin/v1/flags/{flag['key']}/stage", {"stage": "ga", "reason": "because"}
    gate.change("POST", path, body, version=1, role="admin").expect(200)
    late = gate.change("POST", path, body, version=1, role="editor")
    assert (late.status, late.slug, late.headers["etag"]) == (412, "precondition-failed", '"2"')
