"""The commands against a running stack: the real API, signatures, permissions, and messages."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run_here

from headgate_cli.local.stack import Stack, running_stack

pytestmark = pytest.mark.system

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as found:
        yield found


@pytest.fixture
def hg(stack: Stack, environment: dict[str, str]) -> Run:
    """Run the command as one of the stack's principals."""

    def run(*args: str, by: str = "admin", stdin: str = "") -> "subprocess.CompletedProcess[str]":
        keys = stack.ready[by]
        env = {
            **environment, "HEADGATE_API": stack.api, "HEADGATE_IDP": stack.idp, "AWS_REGION": stack.ready["region"],
            "AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        }  # fmt: skip
        done = run_here(args, env, stdin)
        assert keys["secret_access_key"] not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def succeeded(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_flag_lifecycle(hg: Run) -> None:
    made = succeeded(
        hg("flags", "create", "beta", "--reason", "start", "--user", "alice", "--requires", "gastown-access", "--json")
    )
    assert (made["stage"], made["version"]) == ("admin_only", 1)
    assert hg("flags", "create", "beta", "--reason", "again").returncode == 4
    ramp = ("stage", "beta", "percentage", "--percent", "12.5", "--unit", "org_or_user", "--reason", "ramp", "--json")
    assert succeeded(hg(*ramp))["percent"] == 12.5
    back = hg("stage", "beta", "admin_only", "--reason", "back")
    assert (back.returncode, "--allow-shrink" in back.stderr) == (4, True)
    assert succeeded(hg("stage", "beta", "admin_only", "--reason", "back", "--allow-shrink", "--json"))["version"] == 3
    assert hg("stage", "beta", "ga", "--reason", "x", "--if-match", "2").returncode == 4
    gone = succeeded(hg("allow", "beta", "--org", "acme", "--remove-user", "alice", "--reason", "swap", "--json"))
    assert (gone["added"], gone["removed"]) == (1, 1)
    assert hg("flags", "delete", "beta", "--reason", "over", "--yes").returncode == 0
    assert hg("flags", "show", "beta").returncode == 5
    assert hg("flags", "create", "beta", "--reason", "again").returncode == 4


def test_kill_restore_explain_and_audit(hg: Run) -> None:
    key = "gastown-access"
    assert hg("token", "--sub", "alice").returncode == 6
    succeeded(hg("allow", key, "--user", "alice", "--reason", "pilot", "--json"))
    listed = succeeded(hg("stage", key, "allowlist", "--reason", "pilot", "--json"))
    assert hg("token", "--sub", "alice").stdout.count(".") == 2
    assert hg("token", "--sub", "alice", "--session", "town:1").returncode == 0
    killed = succeeded(hg("kill", key, "--reason", "leak", "--json", by="kill_operator"))
    assert killed["killed"]["reach"] == "gate"
    assert killed["sessions_inside"] in (1, None)  # None: a busy machine does not count within 0.3 s
    assert hg("token", "--sub", "alice").returncode == 6
    assert hg("token", "--sub", "alice", "--session", "town:1").returncode == 0
    assert hg("restore", key, "--reason", "no", by="kill_operator").returncode == 6
    restored = succeeded(hg("restore", key, "--reason", "fixed", "--json"))
    assert {**restored, "version": 0, "revision": 0, "updated_at": ""} == {
        **listed, "version": 0, "revision": 0, "updated_at": "", "allow": {"users": ["alice"], "orgs": [], "rules": []}
    }  # fmt: skip
    at = str(killed["revision"])
    assert "is off: KILLED" in hg("explain", key, "--user", "alice", "--as-of", at).stdout
    assert "is on: ALLOWLIST" in hg("explain", key, "--user", "alice", by="viewer").stdout
    lines = hg("audit", "--flag", key, "--limit", "2").stdout.splitlines()
    assert f"restore {key}: restored  “fixed”  assumed-role/headgate-admin/dev" in lines[0]
    assert f"kill {key}: killed (gate)  “leak”  assumed-role/headgate-kill-operator/dev" in lines[1]
    verified = hg("audit", "verify", by="auditor")
    assert verified.returncode == 0
    assert "verified: " in verified.stdout


def test_preview_matches_the_change(hg: Run) -> None:
    assert hg("flags", "create", "beach", "--stage", "allowlist", "--user", "bob", "--reason", "x").returncode == 0
    assert hg("flags", "create", "huts", "--requires", "beach", "--reason", "x").returncode == 0
    listed = ("--user", "carol", "--org", "acme")
    previewed = succeeded(hg("preview", "beach", *listed, "--json", by="viewer"))
    assert (previewed["gains"], previewed["loses"], previewed["affects"], previewed["shrinks"]) == (2, 0, [], False)
    assert hg("allow", "beach", *listed, "--reason", "pilot").returncode == 0
    previewed = succeeded(hg("preview", "huts", "--stage", "ga", "--json"))
    assert [move["subject"]["user"] for move in previewed["samples"]["gains"]] == ["bob", "carol", None]
    assert hg("stage", "huts", "ga", "--reason", "open").returncode == 0
    lines = hg("preview", "beach", "--kill").stdout.splitlines()
    assert "loses  carol" in "\n".join(lines)
    assert "also: huts: 0 gain, 3 lose" in lines
    assert hg("preview", "beach", "--kill", by="kill_operator").returncode == 6


def test_permissions(hg: Run) -> None:
    assert hg("flags", by="viewer").returncode == 0
    assert hg("stage", "gastown-convoys", "ga", "--reason", "x", by="viewer").returncode == 6
    assert hg("kill", "gastown-convoys", "--reason", "x", by="viewer").returncode == 6
    assert hg("token", "--scope", "service", by="viewer").returncode == 6
    assert hg("token", "--scope", "service").returncode == 0


def test_applying_an_export_changes_nothing(hg: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(hg("export").stdout)
    assert succeeded(hg("plan", str(file), "--prune", "--json"))["changes"] == []
    assert "no changes" in hg("apply", str(file), "--prune").stdout
    file.write_text(file.read_text().replace("key: gastown-molecules", "key: gastown-guilds"))
    planned = succeeded(hg("plan", str(file), "--prune", "--json", by="viewer"))["changes"]
    assert [(step["action"], step["flag"]) for step in planned] == [
        ("create", "gastown-guilds"),
        ("delete", "gastown-molecules"),
    ]
    applied = succeeded(hg("apply", str(file), "--prune", "--reason", "guilds", "--json"))["changes"]
    assert applied == [{name: step[name] for name in ("target", "action", "flag", "shrinks")} for step in planned]
    assert hg("plan", str(file), "--prune").stdout == "no changes\n"
    refused = hg("apply", "-", "--reason", "x", stdin="flags: [{key: gastown-access, stage: wide, percent: 101}]")
    assert refused.returncode == 3
    assert "  flags.0.percent: must be a number from 0 to 100" in refused.stderr.splitlines()


def test_plan_names_what_changes_and_apply_asks_for_what_opens(hg: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    whole = yaml.safe_load(hg("export").stdout)
    flags = [{"key": "ramp", "stage": "percentage", "percent": 10}]
    assert hg("apply", "-", "--reason", "ramp", stdin=json.dumps({"flags": flags})).returncode == 0
    route = next(policy for policy in whole["routes"] if policy["class"] == "entry" and "route" in policy)
    opened = {"route": route["route"], "class": "open"}
    routes = [opened if policy is route else policy for policy in whole["routes"]]
    file.write_text(json.dumps({"flags": [{"key": "ramp", "stage": "ga"}], "routes": routes}))
    done = hg("plan", str(file), "--detailed-exitcode", by="viewer")
    assert done.returncode == 2
    assert "by user: 10 % → 100 %, 90 % gain" in done.stdout
    assert "  stage: percentage → ga" in done.stdout.splitlines()
    assert any(line.startswith(f"  {route['route']}: entry → open") for line in done.stdout.splitlines())
    refused = hg("apply", str(file), "--reason", "open", "--allow-shrink")
    assert (refused.returncode, f"routes.{route['route']}: entry → open" in refused.stderr) == (4, True)
    assert hg("apply", str(file), "--reason", "open", "--allow-shrink", "--allow-open").returncode == 0
    assert f"{route['route']}: entry → open" in hg("audit", "--limit", "1").stdout
    assert hg("plan", str(file), "--detailed-exitcode").returncode == 0
    file.write_text(json.dumps({"routes": whole["routes"]}))
    assert hg("apply", str(file), "--reason", "back", "--allow-shrink").returncode == 0


def test_health_and_routes(hg: Run) -> None:
    assert succeeded(hg("health", "--json"))["quarantined_flags"] == []
    assert "POST /api/users/{user}/towns" in hg("routes").stdout
