"""Signature Version 4: what is accepted is what botocore and curl sign; whatever else is refused."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from plain_client import Client

from headgate_cli.local.sigv4 import Signable, SignatureRefused, sign, verify_signature
from headgate_cli.local.stack import Stack

KEY, SECRET, REGION = "AKIATESTTESTTESTTEST", "a/secret+value", "us-east-1"
SECRETS = {KEY: SECRET}
NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)


def signed(
    method: str = "POST",
    path: str = "/admin/v1/flags/a",
    query: str = "",
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
) -> Signable:
    """A request signed by this package."""
    own = (("host", "127.0.0.1:3000"), *(headers or {}).items())
    bare = Signable(method, path, query, own, body)
    extra = sign(bare, key_id=KEY, secret=SECRET, region=REGION, now=NOW)
    return replace(bare, headers=(*own, *extra.items()))


def with_header(request: Signable, name: str, value: str) -> Signable:
    kept = tuple(item for item in request.headers if item[0] != name)
    return replace(request, headers=(*kept, (name, value)))


def authorization(request: Signable, old: str, new: str) -> Signable:
    value = request.header("authorization")
    assert old in value
    return with_header(request, "authorization", value.replace(old, new))


def check(request: Signable, now: datetime = NOW, secrets: Mapping[str, str] = SECRETS) -> str:
    return verify_signature(request, secrets, region=REGION, now=now)


def test_accepts_what_it_signs() -> None:
    assert check(signed()) == KEY


def test_knows_which_key_signed() -> None:
    assert check(signed(), secrets={"AKIAOTHEROTHEROTHERO": "x", KEY: SECRET}) == KEY


SEGMENT = st.text("abc%20é /:+~*'()@=&$,;!", min_size=1, max_size=12)


@given(
    segments=st.lists(SEGMENT, min_size=1, max_size=4),
    query=st.lists(st.tuples(SEGMENT, SEGMENT), max_size=4),
    body=st.binary(max_size=64),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    extra=st.dictionaries(st.sampled_from(["x-amz-one", "x-amz-two", "content-type"]), st.text("ab  c", min_size=1)),
)
def test_accepts_what_botocore_signs(
    segments: list[str], query: list[tuple[str, str]], body: bytes, method: str, extra: dict[str, str]
) -> None:
    from urllib.parse import quote, urlencode

    path = "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
    suffix = urlencode(query, quote_via=quote, safe="-_.~")
    url = f"http://127.0.0.1:3000{path}" + (f"?{suffix}" if suffix else "")
    request = AWSRequest(method=method, url=url, data=body, headers=extra)
    SigV4Auth(Credentials(KEY, SECRET), "execute-api", REGION).add_auth(request)
    sent = request.prepare()
    headers = tuple((name.lower(), str(value)) for name, value in sent.headers.items() if name != "Content-Length")
    on_the_wire = Signable(method, path, suffix, (("host", "127.0.0.1:3000"), *headers), body)
    assert check(on_the_wire, now=datetime.now(UTC)) == KEY


@pytest.mark.parametrize("seconds", [-301, 301, -86400, 86400], ids=["late", "early", "yesterday", "tomorrow"])
def test_refuses_more_than_five_minutes_of_skew(seconds: int) -> None:
    with pytest.raises(SignatureRefused):
        check(signed(), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-300, 300])
def test_accepts_five_minutes_of_skew(seconds: int) -> None:
    assert check(signed(), now=NOW + timedelta(seconds=seconds)) == KEY


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda r: replace(r, body=b"{ }"), id="body"),
        pytest.param(lambda r: replace(r, method="PUT"), id="method"),
        pytest.param(lambda r: replace(r, path="/admin/v1/flags/b"), id="path"),
        pytest.param(lambda r: replace(r, path="/admin/v1/flags/%61"), id="path encoded otherwise"),
        pytest.param(lambda r: replace(r, query="a=1"), id="query"),
        pytest.param(lambda r: with_header(r, "host", "127.0.0.1:3001"), id="host"),
        pytest.param(lambda r: replace(r, headers=r.headers[1:]), id="host gone"),
        pytest.param(lambda r: with_header(r, "x-amz-date", "20300131T120001Z"), id="date moved"),
        pytest.param(lambda r: with_header(r, "x-amz-date", "20300130T120000Z"), id="date of another day"),
        pytest.param(lambda r: with_header(r, "x-amz-date", "2030-01-31T12:00:00Z"), id="date malformed"),
        pytest.param(lambda r: with_header(r, "x-amz-other", "1"), id="x-amz header not signed"),
        pytest.param(lambda r: with_header(r, "x-amz-security-token", "t"), id="session token not signed"),
        pytest.param(lambda r: with_header(r, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), id="unsigned payload"),
        pytest.param(lambda r: with_header(r, "authorization", ""), id="no signature"),
        pytest.param(lambda r: with_header(r, "authorization", "Bearer x"), id="a bearer token"),
        pytest.param(
            lambda r: replace(r, headers=(*r.headers, ("authorization", r.header("authorization")))), id="two"
        ),
        pytest.param(lambda r: replace(r, headers=(*r.headers, ("x-amz-date", "20300131T120000Z"))), id="two dates"),
        pytest.param(lambda r: authorization(r, "us-east-1", "eu-west-1"), id="region"),
        pytest.param(lambda r: authorization(r, "execute-api", "dynamodb"), id="service"),
        pytest.param(lambda r: authorization(r, "aws4_request", "aws4"), id="terminator"),
        pytest.param(lambda r: authorization(r, "20300131", "20300130"), id="scope of another day"),
        pytest.param(lambda r: authorization(r, KEY, "AKIAOTHEROTHEROTHERO"), id="unknown key"),
        pytest.param(lambda r: authorization(r, "host;x-amz-date", "x-amz-date"), id="host not signed"),
        pytest.param(lambda r: authorization(r, "host;x-amz-date", "host"), id="date not signed"),
        pytest.param(lambda r: authorization(r, "host;x-amz-date", "x-amz-date;host"), id="not sorted"),
        pytest.param(lambda r: authorization(r, "host;x-amz-date", "host;host;x-amz-date"), id="twice"),
        pytest.param(lambda r: authorization(r, "host;x-amz-date", "absent;host;x-amz-date"), id="signed but absent"),
        pytest.param(lambda r: authorization(r, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), id="algorithm"),
        pytest.param(lambda r: with_header(r, "authorization", r.header("authorization")[:-1]), id="cut"),
        pytest.param(lambda r: with_header(r, "authorization", r.header("authorization")[:-64] + "0" * 64), id="zeros"),
    ],
)
def test_refuses_a_request_that_was_altered(change: object) -> None:
    assert callable(change)
    with pytest.raises(SignatureRefused):
        check(change(signed()))


def test_refuses_a_session_token_that_no_key_here_has() -> None:
    with pytest.raises(SignatureRefused):
        check(signed(headers={"x-amz-security-token": "t"}))


def test_refuses_a_signed_hash_of_another_body() -> None:
    with pytest.raises(SignatureRefused):
        check(signed(headers={"x-amz-content-sha256": "0" * 64}))


def test_refuses_another_secret() -> None:
    with pytest.raises(SignatureRefused):
        check(signed(), secrets={KEY: "another"})


def as_botocore(small: Stack, name: str, method: str, target: str, body: bytes = b"") -> dict[str, str]:
    """The headers that botocore signs for one of the stack's principals."""
    key = small.ready[name]
    request = AWSRequest(method=method, url=small.api + target, data=body)
    credentials = Credentials(key["access_key_id"], key["secret_access_key"])
    SigV4Auth(credentials, "execute-api", small.ready["region"]).add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize(
    "target", ["/signed/a", "/signed/a%20b%2Fc", "/signed/%C3%A9?b=2&a=1&a=0", "/signed/a?x=%2B%20"]
)
def test_a_botocore_client_is_let_in(small: Stack, call: Client, target: str) -> None:
    answer = call("GET", target, headers=as_botocore(small, "viewer", "GET", target))
    assert answer.status == 200
    assert answer.event["requestContext"]["authorizer"]["iam"] == {
        "accessKey": small.ready["viewer"]["access_key_id"],
        "accountId": "123456789012",
        "callerId": "AROALOCALVIEWER000000:dev",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": "arn:aws:sts::123456789012:assumed-role/headgate-viewer/dev",
        "userId": "AROALOCALVIEWER000000:dev",
    }


@pytest.mark.parametrize(
    ("name", "method", "target", "status"),
    [
        ("admin", "POST", "/signed/a", 200),
        ("admin", "POST", "/signed/forbidden", 403),  # an explicit Deny wins over the Allow
        ("viewer", "POST", "/signed/a", 403),
        ("viewer", "POST", "/signed/a/kill", 403),
        ("kill_operator", "POST", "/signed/a/kill", 200),
        ("kill_operator", "POST", "/signed/a", 403),
        ("kill_operator", "GET", "/signed/a", 403),
    ],
)
def test_policies_decide_by_method_and_path(
    small: Stack, call: Client, name: str, method: str, target: str, status: int
) -> None:
    body = b"{}"
    answer = call(method, target, body, as_botocore(small, name, method, target, body))
    assert answer.status == status
    if status == 403:
        assert answer.document == {"message": "Forbidden"}


def test_unsigned_or_altered_requests_are_forbidden(small: Stack, call: Client) -> None:
    """A74."""
    good = as_botocore(small, "admin", "POST", "/signed/a", b"{}")
    for headers, body in (({}, b"{}"), (good, b"{} "), ({"authorization": "Bearer x"}, b"{}")):
        answer = call("POST", "/signed/a", body, headers)
        assert (answer.status, answer.document) == (403, {"message": "Forbidden"})


def test_a_signature_in_the_query_is_forbidden(small: Stack, call: Client) -> None:
    headers = as_botocore(small, "admin", "POST", "/signed/a", b"{}")
    query = f"X-Amz-Signature={headers['Authorization'][-64:]}&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    assert call("POST", f"/signed/a?{query}", b"{}").status == 403


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("target", ["/signed/a", "/signed/a?limit=2"])
def test_curl_is_let_in(small: Stack, target: str) -> None:
    key = small.ready["admin"]
    user = f"{key['access_key_id']}:{key['secret_access_key']}"
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:us-east-1:execute-api"]
    command += ["--user", user, "-H", "content-type: application/json", "--data", '{"a": 1}', small.api + target]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout == "200"
