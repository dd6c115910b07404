"""No control character from the server reaches a terminal, and a change is described in words."""

import json
import os
import pty
import subprocess
import sys
import unicodedata
from typing import Any

import pytest

from headgate_cli.render import UNSAFE, escaped, json_text
from headgate_cli.wording import difference, entry_line, listed_text, state

FORGED = "ok\n  999  2030-01-01 00:00:00  kill forged\x1b[2J\x07\x9b31m\x7f\u202egnp.exe\u2066\u200b\u2028\ud800"


def test_every_unsafe_character_is_escaped() -> None:
    shown = escaped(FORGED)
    assert not any(unicodedata.category(ch) in UNSAFE for ch in shown)
    assert shown.startswith("ok\\n  999")
    for written in ("\\x1b[2J", "\\x07", "\\x9b31m", "\\x7f", "\\u202e", "\\u2066", "\\u200b", "\\u2028", "\\ud800"):
        assert written in shown
    assert escaped("Zürich – 東京 ✓") == "Zürich – 東京 ✓"


def test_json_is_safe_and_lossless() -> None:
    document = {"reason": FORGED, FORGED: ["東京", "\U000e0041"]}
    text = json_text(document)
    assert json.loads(text) == document
    assert not any(unicodedata.category(ch) in UNSAFE for ch in text.replace("\n", ""))
    assert "東京" in text


def _entry(**changes: Any) -> dict[str, Any]:
    return {
        "revision": 12, "at": "2030-01-02T03:04:05.678Z", "action": "flag.kill", "flag": "gastown-access",
        "actor": {"arn": "arn:aws:sts::1:assumed-role/Ops/anna", "session": "anna", "source_ip": "192.0.2.1"},
        "before": {"stage": "ga", "killed": None, "version": 3}, "after": {"stage": "ga", "killed": {"reach": "gate"}},
        "reason": "leak", "request_id": "r", "prev": "0", "digest": "1", **changes,
    }  # fmt: skip


def test_audit_entry_is_one_line() -> None:
    assert entry_line(_entry()) == (
        "   12  2030-01-02 03:04:05  kill gastown-access: killed (gate)  “leak”  assumed-role/Ops/anna from 192.0.2.1"
    )
    assert "kill gastown-access: no change" in entry_line(_entry(before=None, after=None))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, {"kind": "subject", "value": "alice", "at": 1, "expires": 2}, ["subject alice"]),
        (
            {"keys": [{"kid": "k1", "state": "active"}, {"kid": "k2", "state": "next"}]},
            {"keys": [{"kid": "k1", "state": "previous"}, {"kid": "k2", "state": "active"}], "version": 2},
            ["k1 previous", "k2 active"],
        ),
        (None, {"keys": [{"kid": "k1", "state": "revoked"}]}, ["k1 revoked"]),
        (None, {"stage": "admin_only"}, ["created at admin_only"]),
        ({"stage": "percentage", "percent": 12.5}, None, ["deleted (was percentage 12.5 %)"]),
        ({"stage": "allowlist", "percent": 0}, {"stage": "percentage", "percent": 25}, ["allowlist → percentage 25 %"]),
        (
            {"stage": "percentage", "percent": 5},
            {"stage": "percentage", "percent": 10},
            ["percentage 5 % → percentage 10 %"],
        ),
        ({"stage": "ga", "percent": 5}, {"stage": "ga", "percent": 10}, ["percent: 5 → 10"]),
        ({"killed": {"reach": "gate"}, "version": 1}, {"killed": None, "version": 2}, ["restored"]),
        (
            {"allow": {"users": ["a"], "orgs": []}},
            {"allow": {"users": ["b"], "orgs": ["o"]}},
            ["+user b", "-user a", "+org o"],
        ),
        ({"salt": "old"}, {"salt": "new"}, ["salt changed"]),
        ({"requires": []}, {"requires": ["p"]}, ['requires: [] → ["p"]']),
        ({"routes": [{"route": "GET /a"}]}, {"routes": [{"procedure": "b"}]}, [
            "routes: +1 -1 ~0", "GET /a: entry → entry (not listed)", "b: entry (not listed) → entry",
        ]),
        (None, {"routes": [{"route": "GET /a"}], "version": 1}, [
            "routes: +1 -0 ~0", "GET /a: entry (not listed) → entry",
        ]),
        (
            {"routes": [{"route": "GET /a", "class": "entry", "flags": ["f"], "asks": ["g"]}]},
            {"routes": [{"route": "GET /a", "class": "open"}]},
            ["routes: +0 -0 ~1", "GET /a: entry → open, -flag f, -ask g"],
        ),
        (None, {"max_stale": 60, "revision": 6}, ["max_stale: none → 60"]),
        ({"version": 1}, {"version": 2}, []),
        (None, None, []),
    ],
)  # fmt: skip
def test_differences_are_described(before: Any, after: Any, expected: list[str]) -> None:
    assert difference(before, after) == expected


def test_long_list_changes_are_described() -> None:
    allow = {"users": ["a"], "orgs": [], "rules": []}
    before: dict[str, Any] = {"stage": "ga", "allow": allow}
    small = {"added": 2, "removed": 1, "ids": {"added": {"users": ["b"], "orgs": ["o"]}, "removed": {"users": ["c"]}}}
    after = {**before, "members": {"users": 3_000, "orgs": 1, "imports": [], "changed": small}}
    assert difference(before, after) == ["+user b", "+org o", "-user c"]
    assert listed_text(after) == "3001 users, 1 org"
    batch = {"id": "people", "kind": "user", "mode": "add", "count": 2_500, "digest": "0123456789abcdef"}
    later = {**after, "members": {**after["members"], "changed": {"added": 2_499, "removed": 0, "import": batch}}}
    assert difference(after, later) == ["import people: +2499 -0 of 2500 ids, digest 0123456789ab…"]


def test_long_lists_are_truncated() -> None:
    many = {"allow": {"users": [f"u{n:03}" for n in range(300)]}}
    expected = difference({"allow": {"users": []}}, many)
    assert expected[0] == "+user u000"
    assert expected[-1] == "+user … 295 more"
    assert len(expected) == 6


def test_flag_is_described() -> None:
    flag = {
        "stage": "ga",
        "killed": {"reach": "drain", "drain_until": "2030-01-02T14:00:00Z"},
        "allow": {"users": ["a"]},
    }
    assert state(flag) == "killed (drain until 2030-01-02T14:00:00Z) over ga"
    assert listed_text(flag) == "1 user"
    assert listed_text({}) == ""


def test_forged_reason_stays_on_its_line(headgate: Any, upstream: Any, reply: Any) -> None:
    head = {"revision": 12, "digest": "1"}
    body = {"entries": [_entry(reason=FORGED[:-1], flag="x\x1b]0;owned\x07")], "head": head, "next": None}
    upstream.on("GET /admin/v1/audit", reply(body=body))
    done = headgate("audit")
    assert len(done.stdout.splitlines()) == 1
    assert "\x1b" not in done.stdout
    assert "\\n  999" in done.stdout
    assert "\x1b" not in headgate("audit", "--json").stdout


def test_forged_problem_stays_on_its_line(headgate: Any, upstream: Any, reply: Any) -> None:
    problem = {
        "title": "no\nheadgate: all is well",
        "detail": "\x1b[31m",
        "errors": [{"path": "\r", "message": "\x1b"}],
    }
    upstream.on("GET /admin/v1/flags/k", reply(400, problem))
    done = headgate("flags", "show", "k")
    assert done.stderr.splitlines() == ["headgate: no\\nheadgate: all is well: \\x1b[31m (400)", "  \\r: \\x1b"]


def test_latin1_terminal_shows_escapes_and_never_fails(child: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on("GET /admin/v1/flags/k", reply(body=flag(description="東京")))
    done = child("flags", "show", "k", env={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0
    assert "\\u6771\\u4eac" in done.stdout


def _at_a_terminal(env: dict[str, str], *args: str) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "headgate_cli", *args]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # Linux raises this when the other side is closed
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return shown.decode()


def test_table_at_a_terminal_has_styles_but_none_from_the_server(
    upstream: Any, environment: dict[str, str], flag: Any, reply: Any
) -> None:
    hostile = flag(stage="ga", requires=["[bold]x[/bold]", "\x1b[2J\x1b]0;owned\x07"])
    upstream.on("GET /admin/v1/flags", reply(body={"flags": [hostile], "revision": 1, "next": None}))
    env = {**environment, "HEADGATE_API": upstream.url, "TERM": "xterm-256color", "COLUMNS": "200"}
    shown = _at_a_terminal(env, "flags")
    assert "gastown-access" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "[bold]x[/bold], \\x1b[2J" in shown
    assert "\x1b[" in shown
    assert "\x1b[3" not in _at_a_terminal({**env, "NO_COLOR": "1"}, "flags")
