"""`headgate restore confirm`: what it makes again, when it refuses, and that it can be run again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from desk import Ask, quiet
from in_memory_gate import InMemoryGate
from operators import entries

RESTORED, AUDIT = "POST /admin/v1/restored", "GET /admin/v1/audit"
KILL, PUT = "POST /admin/v1/flags/{key}/kill", "PUT /admin/v1/flags/{key}"
WHY = {"reason": "why"}
FLAGS = ("access", "other", "third")
NOW = 2_000_000_000.0
"""Later than the command's own clock, so that nothing has expired."""


class Desk:
    """An admin API whose table was restored to before the last changes of `log`."""

    def __init__(self, folder: Path, upstream: Any, reply: Any) -> None:
        self.gate, self.log = InMemoryGate(), folder / "audit.jsonl"
        self.gate.clock.now = NOW
        self.desk, self.gate.table.home = self.gate.desk(), "old"
        self.ask("POST /admin/v1/manifest", {"access": "access", "flags": [{"key": key} for key in FLAGS], **WHY})
        saved = self.gate.table.saved()
        self.base = self.revision
        self.ask(PUT, {"stage": "ga", **WHY}, key="later", headers={"if-none-match": "*"})
        for key in ("access", "other", "later", "third"):
            self.ask(KILL, WHY, key=key)
        self.ask("POST /admin/v1/flags/{key}/restore", WHY, key="third")
        self.ask(KILL, {**WHY, "reach": "drain", "drain_until": "2033-06-01T00:00:00Z"}, key="access")
        self.ask("POST /admin/v1/keys/revoke", {"kid": "key-2", **WHY})
        self.ask("POST /admin/v1/revocations", {"subject": "alice", **WHY})
        self.highest = self.revision
        self.log.write_text("".join(json.dumps(entry) + "\n" for entry in entries(self.gate.table)))
        self.gate.table.restore(saved)
        self.gate.table.home = "new"
        for route in (RESTORED, AUDIT, "GET /admin/v1/keys", "POST /admin/v1/keys/revoke"):
            upstream.on(route, self.answers(route, reply))
        for key in (*FLAGS, "later"):
            upstream.on(KILL.format(key=key), self.answers(KILL, reply, key=key))

    def answers(self, route: str, reply: Any, **path: str) -> Callable[[Any], Any]:
        def answer(asked: Any) -> Any:
            with quiet():
                made = self.desk.answers(Ask(
                    route, asked.json if asked.body else None, path, {}, asked.headers.get("idempotency-key"),
                    query=dict(parse_qsl(asked.query)),
                ))  # fmt: skip
            return reply(made.status, made.body)

        return answer

    def ask(self, route: str, body: Any, *, headers: Any = None, **path: str) -> Any:
        with quiet():
            return self.desk.must(Ask(route, body, path, headers or {})).body

    @property
    def revision(self) -> int:
        return int(entries(self.gate.table)[-1]["revision"])

    def since(self, revision: int) -> list[tuple[str, str | None]]:
        return [(one["action"], one["flag"]) for one in entries(self.gate.table) if one["revision"] > revision]


@pytest.fixture
def table(tmp_path: Path, upstream: Any, reply: Any) -> Desk:
    return Desk(tmp_path, upstream, reply)


MADE = [
    ("restore.begin", None), ("flag.kill", "access"), ("flag.kill", "other"), ("keys.revoke", None),
    ("restore.confirm", None),
]  # fmt: skip


def confirm(invoke: Any, *more: str) -> Any:
    return invoke("restore", "confirm", "--reason", "restored", "--yes", *more)


def test_what_the_log_has_and_the_table_lost_is_made_again(invoke: Any, table: Desk) -> None:
    done = confirm(invoke, "--log", str(table.log))
    assert done.exit_code == 0, done.stderr
    assert table.since(table.base) == MADE
    assert table.revision == table.highest + len(MADE)
    lost = [line.split()[:2] for line in done.stdout.splitlines() if "-lost" in line]
    assert lost == [["kill-lost", "access"], ["kill-lost", "other"], ["kill-lost", "later"], ["key-lost", "keys"],
                    ["revocation-lost", "subject"]]  # fmt: skip
    assert f"the table lost 9 changes; read them in the log, after {table.base}" in done.stdout
    assert "killed again: later" not in done.stdout, "the restored table has no such flag: only admins pass"
    made = next(one for one in entries(table.gate.table) if one["flag"] == "access" and one["action"] == "flag.kill")
    assert (made["after"]["killed"]["reach"], made["after"]["killed"]["drain_until"][:10]) == ("drain", "2033-06-01")


def test_it_can_be_run_again_after_an_interruption_and_after_changes_by_hand(
    invoke: Any, table: Desk, upstream: Any, reply: Any
) -> None:
    table.ask(KILL, WHY, key="third")
    whole = upstream.replies[KILL.format(key="other")]
    upstream.on(KILL.format(key="other"), reply(403, {"message": "Forbidden"}))
    assert confirm(invoke, "--log", str(table.log)).exit_code == 6
    assert [action for action, _ in table.since(table.highest)] == ["restore.begin", "flag.kill"]
    upstream.on(KILL.format(key="other"), *whole)
    done = confirm(invoke, "--log", str(table.log), "--json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["restored_revision"], answer["killed"], answer["revoked_keys"]) == (
        table.base, ["access", "other"], ["key-2"]
    )  # fmt: skip
    assert table.since(table.highest + 2) == MADE


def test_without_a_log_the_highest_revision_is_given(invoke: Any, table: Desk) -> None:
    assert confirm(invoke).exit_code == 2
    assert invoke("restore", "confirm", "--reason", "x", "--log", str(table.log)).exit_code == 2, "not a terminal"
    done = confirm(invoke, "--highest", "500")
    assert (done.exit_code, table.since(table.base)) == (0, [("restore.confirm", None)])
    assert table.revision == 501
    assert f"revisions {table.base + 1} to 500 are in no log" in done.stdout


def test_a_log_with_a_gap_is_read_in_few_calls(invoke: Any, table: Desk, upstream: Any, tmp_path: Path) -> None:
    assert confirm(invoke, "--highest", str(table.base + 1_000_000)).exit_code == 0
    table.ask(KILL, WHY, key="third")
    upstream.asked.clear()
    done, file = invoke("audit", "verify"), tmp_path / "whole.jsonl"
    assert f"verified: {table.base + 2} entries" in done.stdout
    assert len(upstream.asked) < 100
    assert f"{table.base + 2} entries, {table.base + 2} new" in invoke("audit", "export", str(file)).stdout
    assert f"{table.base + 2} entries, 0 new" in invoke("audit", "export", str(file)).stdout
    assert invoke("audit", "verify", "--file", str(file)).exit_code == 0
    shown = invoke("audit", "--limit", "2")
    assert "restore.confirm" in shown.stdout


@pytest.mark.parametrize("edit", [
    lambda log: [{**log[0], "reason": "edited"}, *log[1:]],
    lambda log: log[1:],
    lambda _: "not json",
], ids=["edited", "without its first entry", "no log"])  # fmt: skip
def test_a_log_that_does_not_verify_changes_nothing(invoke: Any, table: Desk, edit: Any) -> None:
    log = edit([json.loads(line) for line in table.log.read_text().splitlines()])
    table.log.write_text(log if isinstance(log, str) else "".join(json.dumps(one) + "\n" for one in log))
    assert confirm(invoke, "--log", str(table.log)).exit_code == 1
    assert table.since(table.base) == []


def test_a_log_of_another_table_changes_nothing(
    invoke: Any, table: Desk, tmp_path_factory: Any, upstream: Any, reply: Any
) -> None:
    other = Desk(tmp_path_factory.mktemp("other"), upstream, reply)
    done = confirm(invoke, "--log", str(table.log))
    assert (done.exit_code, "not the same table" in done.stderr) == (1, True)
    assert other.since(other.base) == []


def test_a_flag_named_confirm_can_be_restored(invoke: Any, upstream: Any, reply: Any, flag: Any) -> None:
    upstream.on("POST /admin/v1/flags/confirm/restore", reply(body=flag(key="confirm")))
    assert invoke("restore", "--flag", "confirm", "--reason", "fixed").exit_code == 0
    for words in (("--reason", "fixed", "confirm"), ("--reason", "fixed"), ("a", "--flag", "b", "--reason", "x")):
        assert invoke("restore", *words).exit_code == 2, words
    assert upstream.lines() == ["POST /admin/v1/flags/confirm/restore"]
