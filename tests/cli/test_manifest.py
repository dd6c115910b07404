"""Manifest files are read strictly, planned, applied page by page, and exported so that they read back the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from samcli.yamlhelper import yaml_parse

from headgate_cli.failures import Failure
from headgate_cli.manifest_file import manifest_text, read_manifest

APPLY = "POST /admin/v1/manifest"
TEXT = """
access: gastown-access
flags:
  - {key: gastown-access, stage: percentage, percent: 12.5, values: {on: yes, off: no}, salt: 012}
routes: []
"""
DOCUMENT = {
    "access": "gastown-access",
    "flags": [
        {"key": "gastown-access", "stage": "percentage", "percent": 12.5, "values": {"on": "yes", "off": "no"},
         "salt": "012"}
    ],
    "routes": [],
}  # fmt: skip
CHANGE = {"target": "flag", "action": "create", "flag": "gastown-access", "shrinks": False}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.yaml"
    path.write_text(TEXT)
    return path


def test_yaml_scalars_keep_their_literal_type(file: Path) -> None:
    assert read_manifest(file) == DOCUMENT


def test_yaml_tags_registered_by_other_libraries_are_rejected(tmp_path: Path) -> None:
    yaml_parse("a: {Ref: b}")  # SAM's reader changes SafeLoader for the whole process
    path = tmp_path / "m.yaml"
    for text in ("a: !Ref b", "access: a\naccess: b"):
        path.write_text(text)
        with pytest.raises(Failure, match="is not valid YAML"):
            read_manifest(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("access: a\naccess: b", "line 2: duplicate key 'access'"),
        ("flags:\n- {key: a, key: b}", "line 2: duplicate key 'key'"),
        ("1: a", "line 1: a key must be text, not 1"),
        ("a: [", "line 1:"),
        ("- a", "must contain a mapping"),
        ("", "must contain a mapping"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a:\n " + "[" * 50_000, "line 2: nested more than 64 levels deep"),
        ("a: &x [1]\nb: *x", "line 2: an alias (*x) is not allowed"),
        ("a: 1\nb: &x\n  c: *x", "line 3: an alias (*x) is not allowed"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "line 3: an alias (*x) is not allowed"),
        ("\n".join(["x0: &x0 [1]", *(f"x{n + 1}: &x{n + 1} [*x{n}, *x{n}]" for n in range(99))]), "line 2: an alias"),
        *((f"a: 1\nb: {value}", "line 2: ") for value in (".inf", "-.INF", ".nan", "1e999", "9" * 5_000)),
        *((f"a: 1\nb: !!{value}", "line 2: ") for value in ("bool yes", "null no", "int 012", "float x", "set {x}")),
        ("a: " + "x" * 6_291_456, "is larger than 6 MB"),
    ],
)
def test_invalid_manifest_file_is_rejected(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(Failure, match=r"m\.yaml") as failure:
        read_manifest(path)
    assert expected in str(failure.value)


def test_missing_file_is_reported(invoke: Any, upstream: Any) -> None:
    assert invoke("plan", "/nowhere/m.yaml").exit_code == 2
    assert upstream.asked == []


CORE = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
    "-7": -7,
    "+7": 7,
    "0x1F": 31,
    "0o17": 15,
    "1e3": 1000.0,
    ".5": 0.5,
    "-1.": -1.0,
    "+1.5E-1": 0.15,
    **{text: text for text in ("yes", "ON", "tRUE", "nULL", "012", "00", "1_0", "12:30", "2030-01-01", "0x", "1e")},
}


@pytest.mark.parametrize(("text", "value"), CORE.items())
def test_plain_scalars_are_those_of_the_core_schema(tmp_path: Path, text: str, value: object) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"a: {text}\n")
    found = read_manifest(path)["a"]
    assert (found, type(found)) == (value, type(value))
    path.write_text(f"a: '{text}'\n")
    assert read_manifest(path)["a"] == text


AMBIGUOUS = (
    "on",
    "no",
    "012",
    "1e3",
    "0x1F",
    "12:30",
    "~",
    "null",
    "2030-01-01",
    "-",
    "=",
    "1_0",
    "",
    "TRUE",
    "Null",
    "0o17",
    "+1",
    ".5",
    ".inf",
    "1.",
)


@pytest.mark.parametrize("value", [*AMBIGUOUS, "é\u202e\x1b", "a: b", "#", "two\nlines"])
def test_exported_value_reads_back_the_same(tmp_path: Path, value: str) -> None:
    path = tmp_path / "m.yaml"
    text = manifest_text({"salt": value, value or "k": [1, 2.5, True, None]})
    assert text.isascii()
    path.write_text(text)
    assert read_manifest(path) == {"salt": value, value or "k": [1, 2.5, True, None]} == yaml.safe_load(text)


def test_export_prints_the_manifest(headgate: Any, upstream: Any, reply: Any) -> None:
    upstream.on("GET /admin/v1/manifest", reply(body=DOCUMENT))
    assert yaml.safe_load(headgate("export").stdout) == DOCUMENT
    assert json.loads(headgate("export", "--json").stdout) == DOCUMENT


def test_plan_changes_nothing_and_warns_of_lost_access(headgate: Any, upstream: Any, reply: Any, file: Path) -> None:
    lost = {"target": "routes", "action": "replace", "flag": None, "shrinks": True}
    upstream.on(f"{APPLY}/plan", reply(body={"changes": [CHANGE, lost], "shrinks": True, "revision": 3}))
    done = headgate("plan", str(file), "--prune")
    assert upstream.asked[0].json == {**DOCUMENT, "prune": True}
    assert "idempotency-key" not in upstream.asked[0].headers
    assert [line.split() for line in done.stdout.splitlines()[1:3]] == [
        ["create", "gastown-access"],
        ["replace", "routes", "shrinks"],
    ]
    assert "--allow-shrink" in done.stdout


def test_apply_continues_until_there_is_no_cursor(headgate: Any, upstream: Any, reply: Any) -> None:
    pages = [reply(body={"changes": [CHANGE], "next": cursor, "revision": 4}) for cursor in ("1", "2", None)]
    upstream.on(APPLY, *pages)
    done = headgate("apply", "-", "--allow-shrink", "--reason", "release", "--json", stdin=TEXT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"changes": [CHANGE] * 3, "revision": 4}
    bodies = [request.json for request in upstream.asked]
    assert bodies[0] == {**DOCUMENT, "reason": "release", "allow_shrink": True}
    assert [body.get("cursor") for body in bodies] == [None, "1", "2"]
    assert len({request.headers["idempotency-key"] for request in upstream.asked}) == 3


PLAN = {
    "changes": [
        {"target": "flag", "action": "replace", "flag": "beta", "shrinks": False, "opens": False, "gains": 1,
         "loses": 0, "samples": {"gains": [], "loses": []},
         "share": {"before": {"percent": 10, "unit": "user"}, "after": {"percent": 100, "unit": "user"}, "gains": 90,
                   "loses": 0},
         "fields": [{"path": "stage", "before": "percentage", "after": "ga"}, {"path": "salt"},
                    {"path": "values.on", "before": True, "after": "true"},
                    {"path": "allow.users", "added": ["carol\x1b"], "added_count": 1, "removed": ["u1", "u2"],
                     "removed_count": 12}]},
        {"target": "profile", "action": "replace", "flag": None, "shrinks": True, "opens": False,
         "fields": [{"path": "token.claims.isAdmin", "before": "$admin", "after": None}]},
        {"target": "routes", "action": "replace", "flag": None, "shrinks": True, "opens": True, "routes": [
            {"route": "POST /x", "before": {"class": "entry", "flags": ["beta"], "asks": []},
             "after": {"class": "open", "flags": [], "asks": []}, "shrinks": False, "opens": True},
            {"procedure": "a.b", "before": None, "after": {"class": "admin", "flags": [], "asks": ["beta"]},
             "shrinks": True, "opens": False}]},
        {"target": "flag", "action": "create", "flag": "big", "shrinks": False, "opens": False, "cut": True},
    ],
    "affects": [], "warnings": [{"path": "routes.GET /z", "message": "gone does not exist: only admins pass"}],
    "shrinks": True, "opens": True, "revision": 3,
}  # fmt: skip
SHOWN = """\
CHANGE   OF       ACCESS          KNOWN SUBJECTS  EVERYONE ELSE
replace  beta                     1 gains, 0 lose  by user: 10 % → 100 %, 90 % gain
replace  profile  shrinks
replace  routes   shrinks, opens
create   big

beta
  stage: percentage → ga
  salt changes
  values.on: true → "true"
  +user carol\\x1b
  -user u1
  -user u2
  -user … 10 more

profile
  token.claims.isAdmin: $admin → none

routes
  POST /x: entry → open, -flag beta  (opens)
  a.b: entry (not listed) → admin, +ask beta  (shrinks)

big
  the details are too long for one answer: plan fewer changes at a time

This removes access: apply needs --allow-shrink.

This opens routes: apply needs --allow-open.
"""


def spaced(text: str) -> list[str]:
    """The lines, without the widths of columns."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_plan_shows_each_member_and_route_and_what_opens_in_red(
    invoke: Any, upstream: Any, reply: Any, file: Path
) -> None:
    upstream.on(f"{APPLY}/plan", reply(body=PLAN))
    done = invoke("plan", str(file))
    assert spaced(done.stdout) == spaced(SHOWN)
    assert done.stderr == "warning: routes.GET /z: gone does not exist: only admins pass\n"
    red = [line for line in invoke("plan", str(file), color=True).stdout.splitlines() if "\x1b[31m" in line]
    assert [" ".join(line.split()[:2]) for line in spaced("\n".join(red).replace("\x1b[31m", ""))] == [
        "POST /x:", "This removes", "This opens",
    ]  # fmt: skip


CHANGED, UNCHANGED = {"changes": [CHANGE]}, {"changes": [], "warnings": PLAN["warnings"]}


@pytest.mark.parametrize(
    ("status", "answer", "more", "code"),
    [
        (200, CHANGED, (), 2), (200, CHANGED, ("--json",), 2),
        (200, UNCHANGED, (), 0), (200, UNCHANGED, ("--json",), 0),
        (409, {"title": "killed"}, (), 1), (400, {"title": "bad"}, ("--json",), 1), (503, {"title": "away"}, (), 1),
        (200, CHANGED, ("--unheard-of",), 1), (200, CHANGED, ("one", "two"), 1),
    ],
)  # fmt: skip
def test_detailed_exit_codes_of_plan_are_those_of_terraform(
    invoke: Any, upstream: Any, reply: Any, file: Path, status: int, answer: Any, more: tuple[str, ...], code: int
) -> None:
    upstream.on(f"{APPLY}/plan", reply(status, answer))
    assert invoke("plan", str(file), "--detailed-exitcode", *more).exit_code == code
    assert invoke("plan", "--detailed-exitcode", "/nowhere/m.yaml").exit_code == 1
    assert invoke("plan", "--detailed-exitcode", "--help").exit_code == 0
    assert invoke("plan", str(file), "--unheard-of").exit_code == 2
    upstream.on(f"{APPLY}/plan", reply(body=CHANGED))
    assert invoke("plan", str(file)).exit_code == 0


def test_apply_that_opens_takes_a_word(headgate: Any, upstream: Any, reply: Any, file: Path) -> None:
    errors = [{"path": "routes.POST /x", "message": "entry → open"}]
    problem = {"type": "urn:headgate:would-open", "title": "Change would open routes", "status": 409, "errors": errors}
    upstream.on(APPLY, reply(409, problem))
    done = headgate("apply", str(file))
    assert done.returncode == 4
    assert "routes.POST /x: entry → open" in done.stderr
    assert "--allow-open" in done.stderr
    upstream.on(APPLY, reply(body={"changes": [], "next": None}))
    assert headgate("apply", str(file), "--allow-open").returncode == 0
    assert upstream.asked[-1].json["allow_open"] is True


def test_interrupted_apply_says_how_to_continue(headgate: Any, upstream: Any, reply: Any, file: Path) -> None:
    upstream.on(APPLY, reply(body={"changes": [CHANGE], "next": "c7"}), reply(409, {"title": "no", "status": 409}))
    done = headgate("apply", str(file), "--reason", "a release", "--prune", "--allow-shrink")
    assert done.returncode == 4
    resume = f"headgate apply {file} --cursor c7 --reason 'a release' --prune --allow-shrink"
    assert f"1 changes are applied; to resume: {resume}" in done.stderr
    upstream.on(APPLY, reply(body={"changes": [], "next": None}))
    assert "no changes" in headgate("apply", str(file), "--cursor", "c7").stdout
    assert upstream.asked[-1].json["cursor"] == "c7"
    assert upstream.asked[-1].json["reason"] == "headgate apply m.yaml"
