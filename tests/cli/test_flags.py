"""The requests that each flag command sends, their order, and what it prints."""

import json
from typing import Any

import pytest

PATH = "/admin/v1/flags/gastown-access"
READ, STAGE, ALLOW, KILL = f"GET {PATH}", f"POST {PATH}/stage", f"POST {PATH}/allow", f"POST {PATH}/kill"
ETAG = {"ETag": '"7"'}


def test_list_reads_every_page_and_aligns_columns(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    first = reply(body={"flags": [flag()], "revision": 12, "next": "c/1+="})
    second = reply(body={"flags": [flag(key="b", stage="percentage", percent=12.5)], "revision": 12, "next": None})
    upstream.on("GET /admin/v1/flags", first, second)
    done = headgate("flags", "list")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["FLAG", "STAGE", "KILLED", "UNIT", "ALLOWLIST", "REQUIRES", "UPDATED"]
    assert lines[1].startswith("gastown-access  allowlist")
    assert "1 user, 2 orgs" in lines[1]
    assert "percentage 12.5 %" in lines[2]
    assert upstream.asked[1].query == "limit=200&cursor=c%2F1%2B%3D"
    assert all(request.signed_by for request in upstream.asked)


def test_flags_without_a_subcommand_lists_and_explains_an_empty_table(headgate: Any, upstream: Any, reply: Any) -> None:
    upstream.on("GET /admin/v1/flags", reply(body={"flags": [], "revision": 0, "next": None}))
    assert "only admins" in headgate("flags").stdout
    assert json.loads(headgate("flags", "--json").stdout) == {"flags": [], "revision": 0}


def test_show_prints_text_or_the_json_document(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    killed = {"reach": "gate", "reason": "leak", "at": "2030-01-02T04:00:00Z", "by": "arn:aws:iam::1:user/bo"}
    upstream.on(READ, reply(body=flag(stage="ga", killed=killed)))
    words = headgate("flags", "show", "gastown-access").stdout
    assert "killed (gate) over ga" in words
    assert "leak (user/bo, 2030-01-02T04:00:00Z)" in words
    assert "s4lt" not in words
    document = json.loads(headgate("flags", "show", "gastown-access", "--json").stdout)
    assert document == flag(stage="ga", killed=killed)


def test_create_sends_only_the_given_members_and_never_replaces(
    headgate: Any, upstream: Any, flag: Any, reply: Any
) -> None:
    upstream.on(f"PUT {PATH}", reply(201, flag()))
    args = ("--reason", "start", "--requires", "parent", "--user", "alice", "--claim", "gastownAccess")
    assert headgate("flags", "create", "gastown-access", *args).returncode == 0
    asked = upstream.asked[0]
    assert asked.json == {
        "key": "gastown-access", "reason": "start", "stage": "admin_only", "unit": "user", "requires": ["parent"],
        "claim": "gastownAccess", "allow": {"users": ["alice"], "orgs": [], "rules": []},
    }  # fmt: skip
    assert asked.headers["if-none-match"] == "*"
    assert len(asked.headers["idempotency-key"]) == 36
    assert "if-match" not in asked.headers


def test_delete_needs_confirmation_and_sends_the_version_it_read(
    headgate: Any, upstream: Any, flag: Any, reply: Any
) -> None:
    upstream.on(READ, reply(body=flag(), headers=ETAG))
    upstream.on(f"DELETE {PATH}", reply(204))
    asked = ("flags", "delete", "gastown-access", "--reason", "done with")
    refused = headgate(*asked)
    assert refused.returncode == 2
    assert upstream.asked == []
    assert headgate(*asked, "--yes", "--allow-shrink").returncode == 0
    assert upstream.lines() == [READ, f"DELETE {PATH}"]
    assert upstream.asked[1].headers["if-match"] == '"7"'
    assert upstream.asked[1].json == {"reason": "done with", "allow_shrink": True}


def test_stage_reads_the_version_then_sends_the_change(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(READ, reply(body=flag(), headers=ETAG))
    upstream.on(STAGE, reply(body=flag(stage="percentage", percent=25)))
    args = ("percentage", "--percent", "25", "--unit", "org", "--reason", "ramp")
    done = headgate("stage", "gastown-access", *args)
    assert "percentage 25 %" in done.stdout
    assert upstream.lines() == [READ, STAGE]
    assert upstream.asked[1].json == {"stage": "percentage", "percent": 25, "unit": "org", "reason": "ramp"}
    assert upstream.asked[1].headers["if-match"] == '"7"'


def test_stale_version_is_retried_once(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(READ, reply(body=flag(), headers=ETAG), reply(body=flag(version=8), headers={"ETag": '"8"'}))
    stale = reply(412, {"type": "urn:headgate:precondition-failed", "title": "stale", "status": 412})
    upstream.on(STAGE, stale, reply(body=flag(stage="ga")))
    assert headgate("stage", "gastown-access", "ga", "--reason", "open").returncode == 0
    assert [request.headers.get("if-match") for request in upstream.asked if request.method == "POST"] == ['"7"', '"8"']


def test_version_stale_twice_is_a_conflict(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(READ, reply(body=flag(), headers=ETAG))
    problem = {"type": "urn:headgate:precondition-failed", "title": "the flag has changed", "status": 412}
    upstream.on(STAGE, reply(412, problem, headers={"ETag": '"9"'}))
    done = headgate("stage", "gastown-access", "ga", "--reason", "open")
    assert done.returncode == 4
    assert 'the flag has changed: the current version is "9" (412)' in done.stderr
    assert upstream.lines() == [READ, STAGE, READ, STAGE]


def test_explicit_version_is_sent_unchanged_and_never_retried(headgate: Any, upstream: Any, reply: Any) -> None:
    upstream.on(STAGE, reply(412, {"title": "stale", "status": 412}))
    assert headgate("stage", "gastown-access", "ga", "--reason", "x", "--if-match", "5").returncode == 4
    assert upstream.lines() == [STAGE]
    assert upstream.asked[0].headers["if-match"] == '"5"'


def test_allow_sends_both_lists(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(READ, reply(body=flag(), headers=ETAG))
    upstream.on(ALLOW, reply(body={**flag(), "added": 3, "removed": 1}))
    args = ("--user", "alice", "--user", "bob", "--org", "o1", "--remove-user", "eve", "--reason", "pilot")
    done = headgate("allow", "gastown-access", *args)
    assert upstream.asked[1].json == {
        "reason": "pilot", "add": {"users": ["alice", "bob"], "orgs": ["o1"]}, "remove": {"users": ["eve"], "orgs": []},
    }  # fmt: skip
    assert "\nadded        3\nremoved      1\n" in done.stdout


def test_kill_is_a_single_signed_request(headgate: Any, upstream: Any, reply: Any) -> None:
    killed = {"reach": "gate", "reason": "leak", "at": "2030-01-02T04:00:00Z", "by": "arn:aws:iam::1:user/bo"}
    answer = {"key": "gastown-access", "stage": "ga", "percent": 0, "killed": killed, "version": 4, "revision": 9,
              "sessions_inside": 37, "last_leaves_at": "2030-01-02T14:07:00Z"}  # fmt: skip
    upstream.on(KILL, reply(body=answer))
    done = headgate("kill", "gastown-access", "--reason", "leak")
    assert upstream.lines() == [KILL]
    asked = upstream.asked[0]
    assert asked.json == {"reason": "leak", "reach": "gate"}
    assert not {"if-match", "idempotency-key"} & asked.headers.keys()
    assert "37 still running, the last ends by 2030-01-02T14:07:00Z" in done.stdout
    assert "killed (gate) over ga" in done.stdout
    assert "leak (user/bo, 2030-01-02T04:00:00Z)" in done.stdout


def test_kills_lists_every_flag_of_every_page(headgate: Any, upstream: Any, reply: Any) -> None:
    killed = {"reach": "gate", "reason": "leak", "at": "2030-01-02T04:00:00Z", "by": "arn:aws:iam::1:user/bo"}
    pages = [{"flags": [{"key": "a", "stage": "ga", "killed": killed}], "next": "more"},
             {"flags": [{"key": "b", "stage": "allowlist", "killed": None}], "next": None}]  # fmt: skip
    upstream.on("GET /admin/v1/kills", lambda _asked: reply(body={**pages.pop(0), "revision": 3}))
    done = headgate("kills")
    assert [line.split()[:3] for line in done.stdout.splitlines()[-2:]] == [["a", "ga", "killed"], ["b", "allowlist"]]
    assert "leak (user/bo" in done.stdout


def test_kill_with_drain_sends_the_time_in_utc(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(KILL, reply(body=flag()))
    args = ("--reach", "drain", "--drain-until", "2030-01-31T18:00:00+02:00")
    assert headgate("kill", "gastown-access", "--reason", "x", *args).returncode == 0
    assert upstream.asked[0].json["drain_until"] == "2030-01-31T16:00:00Z"


@pytest.mark.parametrize(
    ("asked", "held", "code"),
    [
        ({}, {"reach": "gate"}, 0),
        ({}, {"reach": "drain", "drain_until": "2030-01-31T18:00:00.000Z"}, 4),
        ({"reach": "drain", "drain_until": "2030-01-31T18:00:00+00:00"},
         {"reach": "drain", "drain_until": "2030-01-31T18:00:00.000Z"}, 0),
        ({"reach": "drain", "drain_until": "2030-01-31T19:00:00Z"},
         {"reach": "drain", "drain_until": "2030-01-31T18:00:00.000Z"}, 4),
        ({"reach": "drain", "drain_until": "2030-01-31T19:00:00Z"}, {"reach": "sever"}, 4),
    ],
)  # fmt: skip
def test_kill_that_lowers_nothing_says_so(
    headgate: Any, upstream: Any, flag: Any, reply: Any, asked: dict[str, str], held: dict[str, str], code: int
) -> None:
    """The reach of a kill only rises, so a lower one changes nothing."""
    killed = {"reason": "leak", "at": "2030-01-02T04:00:00Z", "by": "arn:aws:iam::1:user/bo", **held}
    upstream.on(KILL, reply(body={**flag(), "killed": killed}))
    options = [word for name, text in asked.items() for word in (f"--{name.replace('_', '-')}", text)]
    done = headgate("kill", "gastown-access", "--reason", "x", *options)
    assert done.returncode == code
    assert f"killed ({held['reach']}" in done.stdout
    assert ("the reach of a kill only rises" in done.stderr) is (code == 4)


def test_ids_are_sent_without_their_quotes(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(READ, reply(body=flag(), headers=ETAG))
    upstream.on(ALLOW, reply(body=flag()))
    given = ('"cn=alice,ou=ops"', 'say"hi"', '"a""b"')
    assert (
        headgate("allow", "gastown-access", "--reason", "x", *(w for i in given for w in ("--user", i))).returncode == 0
    )
    assert upstream.asked[1].json["add"]["users"] == ["cn=alice,ou=ops", 'say"hi"', 'a"b']


def test_restore_sends_the_reason(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.on(f"POST {PATH}/restore", reply(body=flag()))
    done = headgate("restore", "gastown-access", "--reason", "fixed")
    assert done.returncode == 0
    assert upstream.asked[0].json == {"reason": "fixed"}
    assert "idempotency-key" in upstream.asked[0].headers
    assert "state        allowlist" in done.stdout


SEVERAL = [
    ("--user", "a,b,c"), ("--org", "a,b"), ("--remove-user", "a;b"), ("--remove-org", '"a","b"'), ("--user", '"a'),
    ("--user", ",a"), ("--user", "a,"), ("--user", '""'),
]  # fmt: skip


@pytest.mark.parametrize(
    "args",
    [
        ("stage", "gastown-access", "percentage", "--reason", "x"),
        ("stage", "gastown-access", "percentage", "--percent", "101", "--reason", "x"),
        ("stage", "gastown-access", "percentage", "--percent", "nan", "--reason", "x"),
        ("stage", "gastown-access", "percentage", "--percent", "0.0001", "--reason", "x"),
        ("stage", "gastown-access", "ga", "--percent", "30", "--reason", "x"),
        ("stage", "gastown-access", "allowlist", "--percent", "0", "--reason", "x"),
        ("flags", "create", "beta", "--percent", "30", "--reason", "x"),
        ("flags", "create", "beta", "--stage", "percentage", "--reason", "x"),
        ("flags", "create", "beta", "--user", "alice;bob", "--reason", "x"),
        *(("allow", "beta", option, text, "--reason", "x") for option, text in SEVERAL),
        ("token", "--sub", "alice", "--org", "acme,other"),
        ("stage", "gastown-access", "open", "--reason", "x"),
        ("stage", "gastown-access", "ga"),
        ("stage", "gastown-access", "ga", "--reason", "x", "--if-match", "*"),
        ("stage", "../keys", "ga", "--reason", "x"),
        ("kill", "UPPER", "--reason", "x"),
        ("kill", "gastown-access", "--reason", " "),
        ("kill", "gastown-access", "--reason", "two\nlines"),
        ("kill", "gastown-access", "--reason", "x", "--reach", "drain"),
        ("kill", "gastown-access", "--reason", "x", "--drain-until", "2030-01-31T18:00:00Z"),
        ("kill", "gastown-access", "--reason", "x", "--reach", "drain", "--drain-until", "2030-01-31T18:00:00"),
        ("kill", "gastown-access", "--reason", "x", "--reach", "all"),
        ("allow", "gastown-access", "--reason", "x"),
        ("nonsense",),
    ],
)
def test_wrong_usage_sends_nothing(invoke: Any, upstream: Any, args: tuple[str, ...]) -> None:
    assert invoke(*args).exit_code == 2
    assert upstream.asked == []
