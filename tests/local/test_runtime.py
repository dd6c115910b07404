"""Functions as child processes behind the Lambda Runtime API: variables, order, timeouts, and crashes."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plain_client import Client

from headgate_cli.local.addresses import LOOPBACK, listen, port_of
from headgate_cli.local.children import interpreter
from headgate_cli.local.declared import DeclaredRoute, Function, Template
from headgate_cli.local.gateway import Gateway
from headgate_cli.local.runtime import BOOTSTRAP, Environment, Invocation, Outcome
from headgate_cli.local.runtime_api import RuntimeApi
from headgate_cli.local.serving import LocalServer
from headgate_cli.local.stack import Stack


def test_function_sees_only_its_own_and_lambdas_variables(call: Client, small: Stack) -> None:
    found = call("GET", "/open").document["environment"]
    own = {"TABLE", "KEYS", "OWN"}
    lambdas = {
        "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY", "LAMBDA_TASK_ROOT", "LANG", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "TZ",
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_XRAY_SDK_ENABLED",
    }  # fmt: skip
    laptops = {
        "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED",
    }  # fmt: skip
    assert set(found) - {"LC_CTYPE"} == own | lambdas | laptops
    assert found["OWN"] == f"{small.ready['issuer']}/of/headgate-local"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == "EchoFunction"
    assert found["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert found["AWS_CONFIG_FILE"] == "/dev/null"


def test_function_imports_its_own_code_then_its_layer(call: Client) -> None:
    answer = call("GET", "/open").document
    assert answer["path"].endswith("/functions/echo")
    assert answer["layer"] == 42


def test_context_has_name_arn_and_remaining_time(call: Client) -> None:
    context = call("GET", "/open").document["context"]
    assert context["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:EchoFunction"
    assert context["name"] == "EchoFunction"
    assert 3000 < context["remaining"] <= 5000


def test_environment_answers_one_event_at_a_time(call: Client) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call("POST", "/open", {"sleep": 0.2}), range(4)))
    assert time.monotonic() - began >= 0.8
    assert {answer.document["process"] for answer in answers} == {answers[0].document["process"]}


def test_each_function_is_its_own_process(call: Client) -> None:
    assert call("GET", "/open").document["process"] != call("POST", "/slow").document["process"]


def test_handler_that_raises_keeps_its_process(call: Client) -> None:
    before = call("GET", "/open").document["process"]
    assert call("POST", "/open", {"raise": "x"}).status == 500
    assert call("GET", "/open").document["process"] == before


@pytest.mark.parametrize("code", [0, 1])
def test_process_that_exits_fails_its_event_and_is_restarted(call: Client, code: int) -> None:
    before = call("POST", "/slow").document["process"]
    assert call("POST", "/slow", {"exit": code}).status == 500
    after = call("POST", "/slow").document
    assert after["process"] != before
    assert after["calls"] == 1


def test_handler_past_its_timeout_is_killed_and_waiting_events_are_served(call: Client, small: Stack) -> None:
    before = call("POST", "/slow").document["process"]
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(call, "POST", "/slow", {"print": "asleep", "sleep": 30})
        while "asleep" not in small.logs.read_text():
            assert time.monotonic() < began + 5
        behind = pool.submit(call, "POST", "/slow")
        answer = late.result()
        assert (answer.status, answer.document) == (500, {"message": "Internal Server Error"})
        assert 1 <= time.monotonic() - began < 5
        assert behind.result().status == 200
    assert call("POST", "/slow").document["process"] != before
    assert "Task timed out after 1.00 seconds" in small.logs.read_text()


def test_function_output_is_logged_under_its_name(call: Client, small: Stack) -> None:
    call("POST", "/open", {"print": "first line\nsecond ünïcode line"})
    deadline = time.monotonic() + 5
    while "[EchoFunction] second ünïcode line" not in small.logs.read_text():
        assert time.monotonic() < deadline
    assert "[EchoFunction] first line\n" in small.logs.read_text()


# ---- the Runtime API, with misbehaving clients


class Counting(Environment):
    """Counts how often its client requested an event."""

    asked = 0

    async def next(self, disconnected: asyncio.Future[Any]) -> Invocation | None:
        self.asked += 1
        return await super().next(disconnected)


@contextlib.asynccontextmanager
async def served(tmp_path: Path, client: str, timeout: int = 5) -> AsyncIterator["Counting"]:
    """An environment whose child runs the given Python code in place of our runtime client."""
    listener = listen(0)
    function = Function("F", tmp_path, "app.handler", {}, timeout, 128, ())
    variables = {"AWS_LAMBDA_RUNTIME_API": f"{LOOPBACK}:{port_of(listener)}/{SECRET}"}
    command = (sys.executable, "-S", "-c", HELPERS + client)
    environment = Counting(function, variables, lambda name, line: print(name, line), command)
    server = LocalServer([listener], {port_of(listener): RuntimeApi({port_of(listener): environment}, SECRET)})
    await server.start()
    try:
        yield environment
    finally:
        await environment.stop()
        await server.stop()


SECRET = "of-this-test"
HELPERS = """
import http.client, os, json
API, _, SECRET = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
def call(method, path, body=None):
    connection = http.client.HTTPConnection(API)
    connection.request(method, f"/{SECRET}/2018-06-01/runtime{path}", body)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()
def next_event():
    status, headers, body = call("GET", "/invocation/next")
    assert status == 200
    return headers["lambda-runtime-aws-request-id"], headers, json.loads(body)
"""


def outcome(tmp_path: Path, client: str, timeout: int = 5, events: int = 1) -> list[Outcome]:
    async def run() -> list[Outcome]:
        async with served(tmp_path, client, timeout) as environment:
            return await asyncio.gather(*(environment.invoke({"n": n}) for n in range(events)))

    return asyncio.run(asyncio.wait_for(run(), 20))


def test_runtime_api_follows_the_documented_protocol(tmp_path: Path) -> None:
    client = """
import time
rid, headers, event = next_event()
left = int(headers["lambda-runtime-deadline-ms"]) / 1000 - time.time()
facts = {
    "event": event,
    "left": 4 < left <= 5,
    "arn": headers["lambda-runtime-invoked-function-arn"],
    "trace": headers["lambda-runtime-trace-id"].startswith("Root=1-"),
    "wrong id": call("POST", "/invocation/other/response", "{}")[0],
    "wrong error id": call("POST", "/invocation/other/error", "{}")[0],
    "unknown call": call("GET", "/nothing")[0],
}
facts["taken"] = None
status = call("POST", f"/invocation/{rid}/response", json.dumps(facts))[0]
rid2, *_ = next_event()
late = call("POST", f"/invocation/{rid}/response", "1")[0]
call("POST", f"/invocation/{rid2}/response", json.dumps({"first": status, "late": late}))
next_event()
"""
    first, second = outcome(tmp_path, client, events=2)
    assert first.answer == {
        "event": {"n": 0},
        "left": True,
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:F",
        "trace": True,
        "wrong id": 400,
        "wrong error id": 400,
        "unknown call": 404,
        "taken": None,
    }
    assert second.answer == {"first": 202, "late": 400}


def answering(path: str, body: str) -> str:
    """A client that requests one event and posts this for it."""
    return f"rid, *_ = next_event(); call('POST', f'/invocation/{{rid}}/{path}', {body!r}); next_event()"


@pytest.mark.parametrize(
    ("client", "failure"),
    [
        (answering("response", "not json"), "Runtime.MarshalError"),
        (answering("error", '{"errorType": "Odd"}'), "Odd"),
        (answering("error", "no json"), "Error"),
        (answering("error", "[]"), "Error"),
        ("next_event(); next_event()", "Runtime.NoResponse"),
        ("next_event(); os._exit(3)", "Runtime.ExitError"),
        ("os._exit(3)", "Runtime.InitError"),
        ("call('POST', '/init/error', '{\"errorMessage\": \"no module\"}')", "Runtime.InitError"),
    ],
)
def test_misbehaving_client_fails_its_event(tmp_path: Path, client: str, failure: str) -> None:
    assert outcome(tmp_path, client)[0].failure == failure


def test_handler_that_cannot_be_imported_is_reported(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import no_such_module_here")

    async def run() -> str:
        async with served(tmp_path, "") as environment:
            environment._command = interpreter(BOOTSTRAP)
            environment._variables |= {"_HANDLER": "app.handler", "PYTHONPATH": str(tmp_path)}
            await environment.start()
            await environment.ready.wait()
            return environment.init_error

    assert "no_such_module_here" in asyncio.run(asyncio.wait_for(run(), 20))


def test_client_that_disconnects_while_waiting_loses_no_event(tmp_path: Path) -> None:
    client = """
import socket
host, port = API.split(":")
connection = socket.create_connection((host, int(port)))
head = f"GET /{SECRET}/2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n"
connection.sendall(head.encode())
connection.close()
rid, *_ = next_event()
call("POST", f"/invocation/{rid}/response", '"second"')
next_event()
"""

    async def run() -> Outcome:
        async with served(tmp_path, client) as environment:
            await environment.start()
            while environment.asked < 2:  # until the client has disconnected and asked again
                await asyncio.sleep(0.01)
            return await environment.invoke({})

    assert asyncio.run(asyncio.wait_for(run(), 20)).answer == "second"


def test_stop_fails_waiting_events_and_leaves_no_process(tmp_path: Path) -> None:
    async def run() -> list[Outcome]:
        async with served(tmp_path, "next_event(); import time; time.sleep(60)") as environment:
            await environment.start()
            await environment.ready.wait()
            waiting = [asyncio.create_task(environment.invoke({})) for _ in range(2)]
            await asyncio.sleep(0)
        return await asyncio.gather(*waiting)

    assert {found.failure for found in asyncio.run(asyncio.wait_for(run(), 20))} == {"Runtime.ExitError", "Stopped"}


# ---- the gateway's timeout


def test_answer_slower_than_the_gateway_timeout_is_unavailable(tmp_path: Path) -> None:
    route = DeclaredRoute("GET", "/slow", "F", "NONE")

    async def run() -> bytes:
        async with served(tmp_path, "next_event(); import time; time.sleep(60)", timeout=60) as environment:
            template = Template({}, (route,), {}, None, (), (), {}, {})
            listener = listen(0)
            gateway = Gateway(template, {"F": environment}, {}, "127.0.0.1", patience=0.3)
            server = LocalServer([listener], {port_of(listener): gateway})
            await server.start()
            reader, writer = await asyncio.open_connection(LOOPBACK, port_of(listener))
            writer.write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await server.stop()
            return answer

    answer = asyncio.run(asyncio.wait_for(run(), 20))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b'{"message": "Service Unavailable"}')
