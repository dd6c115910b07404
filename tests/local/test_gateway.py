"""The gateway as API Gateway's HTTP API, over real sockets: routes, events, limits, answers."""

import base64
import json
import re
import socket
import time
from typing import Any

import pytest
from plain_client import Client

from headgate_cli.local.stack import Stack

NOT_FOUND = {"message": "Not Found"}


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/open/"),
        ("GET", "//open"),
        ("GET", "/./open"),
        ("GET", "/x/../open"),
        ("GET", "/open;a=b"),
        ("GET", "/Open"),
        ("GET", "/%6fpen"),
        ("GET", "/prod/open"),
        ("GET", "/things/"),
        ("GET", "/things/.."),
        ("HEAD", "/open"),
        ("TRACE", "/open"),
        ("OPTIONS", "/open"),
        ("PUT", "/open"),
        ("DELETE", "/guarded"),
        ("OPTIONS", "/guarded"),
        ("GET", "/signed/a/kill"),
        ("POST", "/v1/unknown"),
    ],
)
def test_undeclared_route_is_not_found(call: Client, method: str, target: str) -> None:
    """P51, P54, P55, P57."""
    answer = call(method, target)
    assert answer.status == 404
    assert answer.body == b"" if method == "HEAD" else answer.document == NOT_FOUND
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", ["x-http-method-override", "x-original-url", "x-rewrite-url", "x-forwarded-host"])
def test_headers_do_not_change_the_route(call: Client, name: str) -> None:
    """P56."""
    answer = call("GET", "/open", headers={name: "/guarded" if "url" in name else "DELETE"})
    assert answer.event["routeKey"] == "GET /open"
    assert answer.event["requestContext"]["http"]["method"] == "GET"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "x.execute-api.us-east-1.amazonaws.com"])
def test_unknown_host_name_is_forbidden(call: Client, host: str) -> None:
    """P58, and a page that rebinds its name to loopback."""
    answer = call("GET", "/open", headers={"host": host})
    assert (answer.status, answer.document) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "LOCALHOST"])
def test_loopback_host_names_are_accepted(call: Client, host: str) -> None:
    answer = call("GET", "/open", headers={"host": host})
    assert answer.status == 200
    assert answer.event["requestContext"]["domainName"] == call.netloc


# ---- the event


def test_the_event_is_payload_2(call: Client, small: Stack) -> None:
    before = time.time()
    answer = call("GET", "/things/a%20b?x=1&x=2&y=&z=%26", headers={"user-agent": "agent/1", "cookie": "a=1; b=2"})
    event = answer.event
    context = event.pop("requestContext")
    trace = event["headers"].pop("x-amzn-trace-id")
    assert event == {
        "version": "2.0",
        "routeKey": "GET /things/{thing}",
        "rawPath": "/things/a b",
        "rawQueryString": "x=1&x=2&y=&z=%26",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": call.netloc,
            "user-agent": "agent/1",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": call.netloc.split(":")[1],
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"x": "1,2", "y": "", "z": "&"},
        "pathParameters": {"thing": "a b"},
        "isBase64Encoded": False,
    }
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert before - 1 < context.pop("timeEpoch") / 1000 < time.time() + 1
    assert context.pop("requestId") == answer.headers["apigw-requestid"]
    assert context == {
        "accountId": "123456789012",
        "apiId": "headgate",
        "domainName": call.netloc,
        "domainPrefix": "127",
        "http": {
            "method": "GET",
            "path": "/things/a b",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "agent/1",
        },
        "routeKey": "GET /things/{thing}",
        "stage": "$default",
    }


def test_event_omits_absent_members(call: Client) -> None:
    event = call("GET", "/open").event
    assert not {"queryStringParameters", "pathParameters", "cookies", "body"} & set(event)
    assert event["rawQueryString"] == ""


def test_header_names_are_lower_case_and_repeats_are_joined(call: Client) -> None:
    headers = [("X-One", "a"), ("x-one", "b"), ("Accept", "x"), ("Cookie", "a=1"), ("Cookie", "b=2")]
    event = call("GET", "/open", headers=headers).event
    assert event["headers"]["x-one"] == "a,b"
    assert event["headers"]["accept"] == "x"
    assert "cookie" not in event["headers"]


def test_forged_gateway_headers_do_not_change_the_request_context(call: Client) -> None:
    """P56: the request context never comes from the caller."""
    forged = {
        "x-forwarded-for": "10.0.0.1",
        "x-forwarded-port": "1",
        "x-forwarded-proto": "gopher",
        "x-amzn-trace-id": "Root=1-00000000-000000000000000000000000",
        "x-amzn-request-context": "{}",
        "x-amzn-oidc-identity": "root",
    }
    event = call("GET", "/open", headers=forged).event
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert "authorizer" not in event["requestContext"]
    assert event["headers"]["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert event["headers"]["x-amzn-trace-id"] != forged["x-amzn-trace-id"]


@pytest.mark.parametrize(
    ("target", "thing", "raw_path"),
    [
        ("/things/a%2Fb", "a/b", "/things/a/b"),
        ("/things/%2e%2e%2f", "../", "/things/../"),
        ("/things/%252F", "%2F", "/things/%2F"),
        ("/things/a%3Fb%23c?q=1", "a?b#c", "/things/a?b#c"),
        ("/things/%00", "\0", "/things/\0"),
        ("/things/%c0%ae", "��", "/things/��"),
    ],
)
def test_encoded_path_parameters_arrive_decoded(call: Client, target: str, thing: str, raw_path: str) -> None:
    """P52, P53: the function sees what it must reject; the query is untouched."""
    event = call("GET", target).event
    assert event["pathParameters"] == {"thing": thing}
    assert event["rawPath"] == raw_path
    assert event["rawQueryString"] == target.partition("?")[2]


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("APPLICATION/JSON", True),
        ("application/xml", True),
        ("application/javascript", True),
        ("text/plain", True),
        ("application/x-www-form-urlencoded", False),
        ("application/problem+json", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
def test_text_arrives_as_text_and_other_types_as_base64(call: Client, content_type: str, text: bool) -> None:
    body = "grüße=1".encode()
    event = call("POST", "/open", body, {"content-type": content_type} if content_type else {}).event
    assert event["isBase64Encoded"] is not text
    assert event["body"] == (body.decode() if text else base64.b64encode(body).decode())


def test_text_that_is_not_utf8_arrives_as_base64(call: Client) -> None:
    event = call("POST", "/open", b"\xff\xfe", {"content-type": "text/plain"}).event
    assert (event["isBase64Encoded"], event["body"]) == (True, "//4=")


# ---- limits


def test_headers_over_10240_bytes_are_rejected(call: Client) -> None:
    answer = call("GET", "/open", headers={"x-long": "a" * 10_300})
    assert (answer.status, answer.document) == (431, {"message": "Request Header Fields Too Large"})


def test_request_line_counts_toward_the_header_limit(call: Client) -> None:
    assert call("GET", "/open?" + "a" * 10_300).status == 431


def test_headers_up_to_10240_bytes_are_accepted(call: Client) -> None:
    used = len(f"GET /open? HTTP/1.1\r\nHost: {call.netloc}\r\nx-long: \r\n")
    assert call("GET", "/open", headers={"x-long": "a" * (10_240 - used)}).status == 200
    assert call("GET", "/open", headers={"x-long": "a" * (10_241 - used)}).status == 431


def test_body_over_10_megabytes_is_rejected(call: Client) -> None:
    answer = call("POST", "/open", b"a" * 10_000_001)
    assert (answer.status, answer.document) == (413, {"message": "Request Entity Too Large"})


def test_chunked_body_over_10_megabytes_is_rejected(call: Client) -> None:
    host, port = call.netloc.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"POST /open HTTP/1.1\r\nHost: {call.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"%x\r\n" % 1_000_000 + b"a" * 1_000_000 + b"\r\n"
        try:
            for _ in range(12):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was answered before the whole body was sent
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_event_over_the_lambda_limit_is_rejected(call: Client) -> None:
    assert call("POST", "/open", b"a" * 6_000_000).status == 413  # 8 MB as base64


def test_malformed_http_is_a_bad_request(call: Client) -> None:
    host, port = call.netloc.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /open HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 400 ")


# ---- answers


def echoed(call: Client, value: Any, path: str = "/open") -> Any:
    return call("POST", path, {"return": value})


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": [1, None]}, b'{"a": [1, null]}'),
        ("text", b"text"),
        (7, b"7"),
        (True, b"true"),
        ([], b"[]"),
        (None, b"null"),
    ],
)
def test_answer_without_a_status_is_the_json_body(call: Client, value: Any, body: bytes) -> None:
    answer = echoed(call, value)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", body)


def test_status_headers_cookies_and_body_are_passed_on(call: Client) -> None:
    answer = echoed(
        call,
        {
            "statusCode": 201,
            "headers": {"Content-Type": "application/problem+json", "X-Number": 3, "x-true": True, "ETag": '"a"'},
            "cookies": ["a=1; HttpOnly", "b=2"],
            "body": "{}",
        },
    )
    assert (answer.status, answer.body) == (201, b"{}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-number"] == "3"
    assert answer.headers["x-true"] == "true"
    assert answer.headers["etag"] == '"a"'
    assert answer.headers["set-cookie"] == "a=1; HttpOnly,b=2"


def test_base64_body_is_decoded(call: Client) -> None:
    answer = echoed(call, {"statusCode": 200, "body": "//4=", "isBase64Encoded": True})
    assert answer.body == b"\xff\xfe"


def test_body_without_a_content_type_is_plain_text(call: Client) -> None:
    assert echoed(call, {"statusCode": 200, "body": "x"}).headers["content-type"] == "text/plain;charset=UTF-8"


@pytest.mark.parametrize("status", [204, 304])
def test_204_and_304_have_no_body(call: Client, status: int) -> None:
    answer = echoed(call, {"statusCode": status, "headers": {"etag": '"1"'}, "body": "x"})
    assert (answer.status, answer.body, answer.headers["etag"]) == (status, b"", '"1"')


def test_function_cannot_set_connection_headers(call: Client) -> None:
    headers = {"Content-Length": "1", "Transfer-Encoding": "chunked", "Connection": "upgrade", "Server": "x"}
    answer = echoed(call, {"statusCode": 200, "headers": headers, "body": "four"})
    assert answer.body == b"four"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": "abc"},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 99},
        {"statusCode": 101},
        {"statusCode": 600},
        {"statusCode": 200.5},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": 7},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": {"b": 1}}},
        {"statusCode": 200, "headers": {"a b": "1"}},
        {"statusCode": 200, "headers": {"a": "1\r\nx-evil: 1"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "cookies": ["a=1\r\nx-evil: 1"]},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
    ],
)
def test_malformed_answer_is_an_internal_error(call: Client, value: Any) -> None:
    answer = echoed(call, value)
    assert (answer.status, answer.document) == (500, {"message": "Internal Server Error"})


def test_status_may_be_a_string(call: Client) -> None:
    assert echoed(call, {"statusCode": "202"}).status == 202


def test_answer_over_6_megabytes_is_an_internal_error(call: Client) -> None:
    assert call("POST", "/open", {"size": 6_300_000}).status == 500
    assert call("POST", "/open", {"size": 6_000_000}).status == 200


def test_a_lone_surrogate_does_not_break_the_gateway(call: Client) -> None:
    assert call("POST", "/open", b'{"return": {"statusCode": 200, "body": "\\ud800"}}', JSON).body == b"?"


JSON = {"content-type": "application/json"}


def test_function_that_raises_is_an_internal_error_without_its_message(call: Client, small: Stack) -> None:
    answer = call("POST", "/open", {"raise": "secret detail"})
    assert (answer.status, answer.document) == (500, {"message": "Internal Server Error"})
    assert "[EchoFunction]" in small.logs.read_text()


# ---- CORS


@pytest.fixture
def origin(small: Stack) -> dict[str, str]:
    """The one allowed origin: the development identity provider's page."""
    return {"origin": small.idp}


@pytest.mark.parametrize("target", ["/open", "/guarded", "/signed/a", "/no/such/route"])
def test_preflight_is_answered_by_the_gateway(call: Client, origin: dict[str, str], target: str) -> None:
    answer = call("OPTIONS", target, headers={**origin, "access-control-request-method": "POST"})
    assert (answer.status, answer.body) == (204, b"")
    assert {name: value for name, value in answer.headers.items() if name.startswith("access-control")} == {
        "access-control-allow-origin": origin["origin"],
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "authorization,content-type",
        "access-control-max-age": "600",
    }


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "null"])
def test_preflight_from_an_unknown_origin_has_no_cors_headers(call: Client, origin: str) -> None:
    answer = call("OPTIONS", "/open", headers={"origin": origin, "access-control-request-method": "POST"})
    assert answer.status == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_gateway_replaces_the_functions_cors_headers(call: Client, origin: dict[str, str]) -> None:
    own = {"Access-Control-Allow-Origin": "*", "access-control-allow-credentials": "true", "etag": '"1"'}
    body = json.dumps({"return": {"statusCode": 200, "headers": own}}).encode()
    answer = call("POST", "/open", body, {**JSON, **origin})
    assert answer.headers["access-control-allow-origin"] == origin["origin"]
    assert answer.headers["access-control-expose-headers"] == "etag"
    assert "access-control-allow-credentials" not in answer.headers
    foreign = call("POST", "/open", body, {**JSON, "origin": "https://evil.example"})
    assert not [name for name in foreign.headers if name.startswith("access-control")]
    assert not [name for name in call("POST", "/open", body, JSON).headers if name.startswith("access-control")]


@pytest.mark.parametrize(("target", "status"), [("/guarded", 401), ("/signed/a", 403), ("/nothing", 404)])
def test_gateway_errors_have_cors_headers(call: Client, origin: dict[str, str], target: str, status: int) -> None:
    answer = call("GET", target, headers=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, origin["origin"])
