"""`headgate local` as a whole: its output, its seed, how it stops, and that it leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from guarded_api import GUARDED_API
from plain_client import Client
from test_sigv4 import as_botocore

from headgate_cli.local.stack import Stack, StackFailed, running_stack

PROJECT = Path(__file__).parent / "project"
COMMAND = [sys.executable, "-m", "headgate_cli", "local", "--port", "0", "--idp-port", "0"]
PRINCIPALS = {"admin", "editor", "viewer", "kill_operator", "auditor", "service", "emergency"}


def processes() -> dict[int, int]:
    """Every process and its parent."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return {int(pid): int(parent) for pid, parent in (line.split() for line in lines.splitlines())}


def children(pid: int) -> set[int]:
    return {child for child, parent in processes().items() if parent == pid}


def gone(pids: set[int], seconds: float = 10) -> bool:
    """Whether all of these processes end within the given time."""
    deadline = time.monotonic() + seconds
    while pids & set(processes()):
        if time.monotonic() > deadline:
            return False
    return True


def test_ready_line_has_every_address(small: Stack) -> None:
    ready = dict(small.ready)
    for name in PRINCIPALS:
        key = ready.pop(name)
        assert set(key) == {"access_key_id", "secret_access_key"}
        assert re.fullmatch(r"[A-Z0-9]{20}", key["access_key_id"])
        assert len(key["secret_access_key"]) == 40
    for name in ("api", "idp", "page", "issuer", "control", "dynamodb"):
        assert re.match(r"http://127\.0\.0\.1:\d+", ready[name])
    assert ready["issuer"] == ready["api"]
    assert (ready["region"], ready["audience"]) == ("us-east-1", "small")
    assert ready["table"] == "headgate-local-Table"
    assert set(ready) == {
        "api", "idp", "console", "page", "control", "dynamodb", "table", "region", "issuer", "audience"
    }  # fmt: skip


def test_access_keys_differ_for_each_run(small: Stack) -> None:
    keys = {small.ready[name]["access_key_id"] for name in PRINCIPALS}
    assert len(keys) == len(PRINCIPALS)
    with running_stack(project=PROJECT, empty=True) as other:
        assert not keys & {other.ready[name]["access_key_id"] for name in PRINCIPALS}


def seeded(stack: Stack) -> dict[str, object]:
    target = "/admin/v1/manifest"
    found: dict[str, object] = Client(stack.api)(
        "GET", target, headers=as_botocore(stack, "admin", "GET", target)
    ).document
    return found


def test_manifest_is_applied_page_by_page(small: Stack) -> None:
    found = seeded(small)
    assert found["flags"] == [{"key": "small-access"}]
    assert found["access"] == "small-access"
    assert found["cursor"] == "second"
    assert found["idempotency_key"] == "headgate-local-1"
    assert str(found["reason"]).strip()


def test_empty_skips_only_the_flags(tmp_path: Path) -> None:
    manifest = tmp_path / "other.yaml"
    manifest.write_text(
        "access: other-access\nflags: [{key: other-access}]\nroutes: [{route: GET /a, class: observe}]\n"
    )
    with running_stack(project=PROJECT, manifest=manifest, empty=True) as stack:
        found = seeded(stack)
    assert found["flags"] == []
    assert found["access"] == "other-access"
    assert found["routes"] == [{"route": "GET /a", "class": "observe"}]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_clean_and_leaves_no_process(number: signal.Signals) -> None:
    with running_stack(project=PROJECT) as stack:
        before = children(stack.process.pid)
        assert len(before) == 5  # four functions and the local DynamoDB
        stack.process.send_signal(number)
        assert stack.process.wait(15) == 0
        assert gone(before)
        with pytest.raises(OSError, match=r"refused|reset"):
            Client(stack.api)("GET", "/open")


def test_stop_during_a_request_is_clean() -> None:
    with running_stack(project=PROJECT) as stack:
        host, port = Client(stack.api).netloc.split(":")
        with socket.create_connection((host, int(port))) as connection:
            body = b'{"print": "started", "sleep": 30}'
            head = b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            deadline = time.monotonic() + 10
            while "started" not in stack.logs.read_text():
                assert time.monotonic() < deadline
            assert stack.stop() == 0


def test_children_end_when_it_is_killed() -> None:
    with running_stack(project=PROJECT) as stack:
        before = children(stack.process.pid)
        Client(stack.api)("POST", "/open", {"print": "x"})
        stack.process.kill()
        stack.process.wait()
        assert gone(before)


def test_children_end_when_it_is_killed_during_work() -> None:
    with running_stack(project=PROJECT) as stack:
        before = children(stack.process.pid)
        host, port = Client(stack.api).netloc.split(":")
        with socket.create_connection((host, int(port))) as connection:
            body = b'{"print": "started", "sleep": 30}'
            head = b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            deadline = time.monotonic() + 10
            while "started" not in stack.logs.read_text():
                assert time.monotonic() < deadline
            stack.process.kill()
            stack.process.wait()
            assert gone(before)


def test_stack_ends_with_its_parent_process() -> None:
    """A test run that is killed leaves no stack behind."""
    code = f"""
import sys
from pathlib import Path
from headgate_cli.local.stack import running_stack
with running_stack(project=Path({str(PROJECT)!r})) as stack:
    print(stack.process.pid, flush=True)
    sys.stdin.read()
"""
    asker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    assert asker.stdin is not None
    runner = int(asker.stdout.readline())
    left = {runner} | children(runner)
    asker.kill()
    asker.wait()
    asker.stdin.close()
    asker.stdout.close()
    assert gone(left)


def test_stop_during_start_is_clean() -> None:
    process = subprocess.Popen([*COMMAND, "--project", str(PROJECT), "--ready-json"], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 10
    while not (before := children(process.pid)):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()
    assert gone(before)


SERVICE = (
    """
Transform: AWS::Serverless-2016-10-31
Parameters:
  GateArn: {Type: String}
Resources:
"""
    + GUARDED_API
    + """  Orders:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      CodeUri: .
      Handler: app.handler
      Events:
        List: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /orders, Method: GET}}
"""
)


def test_unfinished_service_without_a_manifest_runs(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(SERVICE)
    (tmp_path / "app.py").write_text("def handler(event, context):\n    raise RuntimeError('no database')\n")
    with running_stack(apps=[tmp_path]) as stack:
        told = [line for line in stack.logs.read_text().splitlines() if line.startswith("[headgate local]")]
        assert told == [
            '[headgate local] GET /orders answered 500: {"message": "Internal Server Error"}',
            "[headgate local] there is no manifest: only admins are let in",
        ]
        assert Client(stack.api)("GET", "/orders").status == 401


def failed_start(*options: str, project: Path = PROJECT, **environ: str) -> subprocess.CompletedProcess[str]:
    """A start that must fail."""
    command = [*COMMAND, "--project", str(project), "--ready-json", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}, check=False
    )


def test_port_in_use_is_reported(small: Stack) -> None:
    port = Client(small.api).netloc.split(":")[1]
    result = failed_start("--port", port)
    assert (result.returncode, result.stdout) == (7, "")
    assert f"port {port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_unreadable_manifest_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("flags: [")
    for name in ("bad.yaml", "none.yaml"):
        result = failed_start("--manifest", str(tmp_path / name))
        assert (result.returncode, result.stdout) == (2, "")
        assert name in result.stderr
        assert "Traceback" not in result.stderr


def test_unsupported_template_is_reported(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    template = project / "template.yaml"
    template.write_text(template.read_text().replace("Method: POST, Path: /open", "Method: ANY, Path: /open"))
    result = failed_start(project=project)
    assert (result.returncode, result.stdout) == (2, "")
    assert "EchoFunction.Open" in result.stderr
    assert "Traceback" not in result.stderr


def test_function_that_cannot_start_is_reported(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    (project / "functions" / "gate" / "app.py").write_text("import no_such_module_here")
    result = failed_start(project=project)
    assert (result.returncode, result.stdout) == (7, "")
    assert "GateFunction did not start" in result.stderr
    assert "no_such_module_here" in result.stderr


def test_rejected_manifest_is_reported(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    code = project / "functions" / "data" / "app.py"
    code.write_text(
        code.read_text().replace('return {"next": "second"}', 'return {"statusCode": 400, "body": "bad flag"}')
    )
    result = failed_start(project=project)
    assert (result.returncode, result.stdout) == (7, "")
    assert "400 bad flag" in result.stderr


def test_printed_text_can_be_copied_into_a_shell() -> None:
    process = subprocess.Popen([*COMMAND, "--project", str(PROJECT)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "--ready-json" not in lines[-1]:  # the last line
        lines.append(process.stdout.readline())
        assert lines[-1]
    exports = [line.strip() for line in lines if line.strip().startswith(("export ", "unset "))]
    examples = "".join(lines).partition("For example:")[2].partition("For the keys")[0]
    script = "\n".join([*exports, examples, "echo $ID"])
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=30, check=True)
    token, flags, identity = done.stdout.partition("}")[0] + "}", done.stdout, done.stdout.split()[-1]
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    process.stdout.close()
    assert json.loads(token) == {"access_token": "yes"}
    assert "Not Found" in flags  # the small project has no such route
    assert identity.count(".") == 2


def test_context_manager_reports_a_failed_start(tmp_path: Path) -> None:
    with pytest.raises(StackFailed, match=r"none\.yaml"):  # noqa: SIM117
        with running_stack(project=PROJECT, manifest=tmp_path / "none.yaml"):
            pass
