"""`headgate audit reconcile`: its output and exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from desk import Ask, quiet
from in_memory_gate import InMemoryGate
from operators import entries

from headgate.core.session import record_id

LINE = "GET /admin/v1/audit/reconcile"
HEAD = {"revision": 7, "digest": "a" * 64}
FINDING = {"what": "state-older", "record": "flag#f", "flag": "f", "revision": 7, "stored_version": 2,
           "recorded_version": 3}  # fmt: skip


def test_agreement_is_one_line(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(LINE, reply(body={"consistent": True, "findings": [], "total": 0, "head": HEAD}))
    done = invoke("audit", "reconcile")
    assert (done.exit_code, done.stdout) == (
        0, "consistent: the stored state matches the log up to revision 7\n"
    )  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_findings_are_shown_and_fail(invoke: Any, upstream: Any, reply: Any, as_json: bool) -> None:
    found = {"consistent": False, "findings": [FINDING], "total": 1, "head": HEAD}
    upstream.on(LINE, reply(body=found))
    done = invoke("audit", "reconcile", *(["--json"] if as_json else []))
    assert done.exit_code == 1
    assert "the stored state does not match the log" in done.stderr
    if as_json:
        assert json.loads(done.stdout) == found
    else:
        assert done.stdout.splitlines()[1].split() == ["state-older", "flag#f", "7", "2", "3"]


def test_unavailable_table_is_not_a_finding(invoke: Any, upstream: Any) -> None:
    """No server listens, and the API is not called."""
    done = invoke("audit", "reconcile", "--table", "t", env={"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"})
    assert done.exit_code == 7
    assert "cannot read table t" in done.stderr
    assert upstream.asked == []


@pytest.fixture(scope="module")
def log() -> list[dict[str, Any]]:
    """A log: two flags, then refusals of every kind, two of which no longer matter."""
    gate = InMemoryGate()
    gate.clock.now = 2_000_000_000.0  # later than the command's own clock: nothing has expired
    gate.start_session("bob", "s")
    desk, kill, key = gate.desk(), "POST /admin/v1/flags/{key}/kill", "PUT /admin/v1/flags/{key}"
    with quiet():
        for route, body, path in (
            (key, {}, {"key": "access"}), (key, {}, {"key": "other"}),
            (kill, {}, {"key": "access"}), (kill, {}, {"key": "other"}),
            ("POST /admin/v1/flags/{key}/restore", {}, {"key": "other"}),
            ("POST /admin/v1/revocations", {"subject": "alice"}, {}),
            ("POST /admin/v1/revocations", {"jti": "a-token"}, {}),
            ("DELETE /admin/v1/sessions/{id}", {}, {"id": record_id("bob", "s")}),
            ("POST /admin/v1/keys/revoke", {"kid": "key-2"}, {}),
        ):  # fmt: skip
            desk.must(Ask(route, {**body, "reason": "x"}, path, {"if-none-match": "*"}))
    return entries(gate.table)


LOST = [
    ["kill-lost", "access", "3"], ["revocation-lost", "subject", "alice", "6"],
    ["revocation-lost", "jti", "a-token", "7"],
    ["revocation-lost", "session", record_id("bob", "s"), "8"], ["key-lost", "keys", "9"],
]  # fmt: skip


@pytest.mark.parametrize(("restored_to", "lost"), [(0, LOST), (2, LOST), (6, LOST[2:]), (9, [])])
def test_what_a_restored_table_has_lost_is_found_in_an_exported_log(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, log: list[dict[str, Any]], restored_to: int, lost: Any
) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in log))
    head = {"revision": restored_to, "digest": log[restored_to - 1]["digest"] if restored_to else "0" * 64}
    upstream.on(LINE, reply(body={"consistent": True, "findings": [], "total": 0, "head": head}))
    done = invoke("audit", "reconcile", "--log", str(file))
    assert done.exit_code == (1 if lost else 0)
    assert [line.split() for line in done.stdout.splitlines()[1:] if lost] == lost


def test_a_log_of_another_table_is_refused(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, log: list[dict[str, Any]]
) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(log[0]) + "\n")
    for head, code in ((HEAD, 0), ({**HEAD, "revision": 1}, 1)):  # a log that ends before the head has nothing to say
        upstream.on(LINE, reply(body={"consistent": True, "findings": [], "total": 0, "head": head}))
        done = invoke("audit", "reconcile", "--log", str(file))
        assert (done.exit_code, "not the same table" in done.stderr) == (code, code == 1)
    assert invoke("audit", "reconcile", "--log", str(tmp_path / "none")).exit_code == 2
