"""What is repeated, what is refused before it is sent, and which exit code tells of which answer."""

import json
import socket
from typing import Any

import pytest
from boto3 import Session

from headgate_cli.client import Client
from headgate_cli.failures import EXIT_OF_STATUS, ExitCode, exit_of
from headgate_cli.settings import region_of
from headgate_cli.transport import Transport, checked_url, is_loopback

PATH = "/admin/v1/flags/gastown-access"
READ, STAGE, KILL = f"GET {PATH}", f"POST {PATH}/stage", f"POST {PATH}/kill"
OPEN = ("stage", "gastown-access", "ga", "--reason", "open", "--if-match", "7")
SHOW = ("flags", "show", "gastown-access")


def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    headgate: Any, upstream: Any, flag: Any, reply: Any
) -> None:
    upstream.on(STAGE, reply(hang_up=True), reply(hang_up=True), reply(body=flag(stage="ga")))
    assert headgate(*OPEN).returncode == 0
    keys = [request.headers["idempotency-key"] for request in upstream.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert all(request.signed_by for request in upstream.asked)


def test_two_commands_have_two_keys(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(STAGE, reply(body=flag(stage="ga")))
    headgate(*OPEN)
    headgate(*OPEN)
    assert len({request.headers["idempotency-key"] for request in upstream.asked}) == 2


def test_a_busy_server_that_says_when_is_asked_again(invoke: Any, upstream: Any, flag: Any, reply: Any) -> None:
    busy = reply(503, {"type": "urn:headgate:busy", "title": "busy", "status": 503}, headers={"Retry-After": "0"})
    upstream.on(STAGE, busy, reply(body=flag(stage="ga")))
    assert invoke(*OPEN).exit_code == 0
    assert len({request.headers["idempotency-key"] for request in upstream.asked}) == 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "600"}, {"Retry-After": "Fri, 31 Dec 2030 23:59:59 GMT"}])
def test_a_server_that_is_down_for_long_is_not_waited_for(
    invoke: Any, upstream: Any, reply: Any, headers: dict[str, str]
) -> None:
    upstream.on(STAGE, reply(503, {"title": "unavailable", "status": 503}, headers=headers))
    assert invoke(*OPEN).exit_code == 7
    assert len(upstream.asked) == 1


def test_repeating_ends(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(STAGE, reply(503, {"title": "busy", "status": 503}, headers={"Retry-After": "0"}))
    assert invoke(*OPEN).exit_code == 7
    assert len(upstream.asked) == 4


def test_a_kill_is_repeated_too(invoke: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(KILL, reply(hang_up=True), reply(body=flag()))
    assert invoke("kill", "gastown-access", "--reason", "leak").exit_code == 0
    assert upstream.lines() == [KILL, KILL]


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 3), (413, 3), (422, 3), (302, 3), (401, 6), (403, 6), (404, 5), (409, 4), (412, 4), (428, 4), (429, 7),
     (500, 7), (502, 7), (503, 7)],
)  # fmt: skip
def test_each_status_has_its_exit_code(invoke: Any, upstream: Any, reply: Any, status: int, code: int) -> None:
    upstream.on(READ, reply(status, {"title": "no", "status": status}, headers={"Location": "/elsewhere"}))
    done = invoke(*SHOW)
    assert done.exit_code == code
    assert done.stdout == ""
    assert len(upstream.asked) == 1  # a redirect is not followed


def test_every_exit_code_is_documented(invoke: Any) -> None:
    text = invoke("--help").stdout
    assert all(f"  {int(code)}  " in text for code in ExitCode)
    assert {exit_of(status) for status in (400, 500, *EXIT_OF_STATUS)} <= set(ExitCode)


def test_a_problem_is_told_with_each_fault_and_what_to_do(headgate: Any, upstream: Any, reply: Any) -> None:
    problem = {
        "type": "urn:headgate:would-shrink", "title": "This takes access away", "status": 409,
        "detail": "12 would lose", "errors": [{"path": "percent", "message": "lower than now"}],
    }  # fmt: skip
    upstream.on(STAGE, reply(409, problem))
    done = headgate(*OPEN)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "headgate: This takes access away: 12 would lose (409)",
        "  percent: lower than now",
        "  hint: this takes access away; add --allow-shrink if that is what you want",
    ]


def test_with_json_a_failure_is_the_problem_document_on_stderr(headgate: Any, upstream: Any, reply: Any) -> None:
    problem = {"type": "urn:headgate:unknown-flag", "title": "no such flag", "status": 404, "detail": "d"}
    upstream.on(READ, reply(404, problem))
    done = headgate(*SHOW, "--json")
    assert (done.returncode, done.stdout) == (5, "")
    assert json.loads(done.stderr) == {**problem, "exit_code": 5}


def test_the_options_of_the_whole_command_stand_anywhere(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(READ, reply(body=flag()))
    for args in (("--json", "--api", upstream.url, *SHOW), (*SHOW, f"--api={upstream.url}", "--json")):
        assert json.loads(headgate(*args, api=False).stdout)["key"] == "gastown-access"


def test_what_the_gateway_itself_answers(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(READ, reply(502, b"<html>bad gateway</html>"))
    assert invoke(*SHOW).exit_code == 7
    upstream.on(READ, reply(200, b"<html>a captive portal</html>"))
    assert invoke(*SHOW).exit_code == 7
    upstream.on(READ, reply(200, b"[" * 100_000))
    assert invoke(*SHOW).exit_code == 7


def test_a_wrong_secret_is_forbidden_and_none_is_asked_for(invoke: Any, headgate: Any, upstream: Any) -> None:
    assert invoke(*SHOW, env={"AWS_SECRET_ACCESS_KEY": "another"}).exit_code == 6
    assert len(upstream.asked) == 1
    done = headgate(*SHOW, env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert done.returncode == 6
    assert "no AWS credentials" in done.stderr
    assert len(upstream.asked) == 1


def test_a_profile_that_is_not_there_is_wrong_usage(invoke: Any, upstream: Any) -> None:
    assert invoke(*SHOW, "--profile", "nobody").exit_code == 2
    assert upstream.asked == []


def test_the_profile_signs(headgate: Any, upstream: Any, flag: Any, reply: Any, tmp_path: Any) -> None:
    upstream.on(READ, reply(body=flag()))
    file = tmp_path / "credentials"
    file.write_text("[ops]\naws_access_key_id = AKIATESTTESTTEST\naws_secret_access_key = ")
    file.write_text(file.read_text() + "a-secret-that-must-never-be-printed\n")
    env = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_ACCESS_KEY_ID": "AKIAOTHEROTHEROT"}
    assert headgate(*SHOW, "--profile", "ops", env=env).returncode == 0
    assert upstream.asked[0].signed_by == "AKIATESTTESTTEST"


@pytest.mark.parametrize(
    "api", ["http://example.com", "ftp://127.0.0.1", "127.0.0.1:3000", "https://u:p@127.0.0.1", "http://127.0.0.1/?a=b"]
)
def test_an_address_that_is_not_safe_to_send_to(invoke: Any, upstream: Any, api: str) -> None:
    done = invoke(*SHOW, "--api", api)
    assert done.exit_code == 2
    assert "u:p" not in done.stderr
    assert upstream.asked == []


def test_no_address_at_all(invoke: Any) -> None:
    done = invoke(*SHOW, env={"HEADGATE_API": ""})
    assert done.exit_code == 2
    assert "HEADGATE_API" in done.stderr


def test_nobody_there(invoke: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = invoke(*SHOW, "--api", f"http://127.0.0.1:{port}")
    assert done.exit_code == 7
    assert f"no answer from 127.0.0.1:{port}" in done.stderr


def test_loopback_by_name_and_number() -> None:
    assert all(is_loopback(url) for url in ("http://localhost:1", "http://127.0.0.9", "http://[::1]:3000"))
    assert not any(
        is_loopback(url) for url in ("http://localhost.example.com", "http://10.0.0.1", "http://127.1.example")
    )
    assert checked_url("https://a.example/prod/") == "https://a.example/prod"


def test_the_region_is_the_one_of_the_gateway() -> None:
    assert region_of("https://abc.execute-api.ap-south-1.amazonaws.com", Session()) == "ap-south-1"


def test_pages_and_queries_are_encoded_and_signed(upstream: Any, reply: Any) -> None:
    upstream.on("GET /x", reply(body={"n": 1, "next": "a b&c/é"}), reply(body={"n": 2, "next": None}))
    client = Client(upstream.url, None, Transport())
    assert [page["n"] for page in client.pages("/x", {"flag": "a+b", "none": None})] == [1, 2]
    assert upstream.asked[1].query == "limit=200&flag=a%2Bb&cursor=a%20b%26c%2F%C3%A9"
