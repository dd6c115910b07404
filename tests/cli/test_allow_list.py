"""Long lists from stack to stack: what an export leaves out is counted, and a list is written and read back."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from headgate_cli.member_file import read_members

KEY = "gastown-access"
LIST = f"GET /admin/v1/flags/{KEY}/allow"
ODD = ["alice", "cn=bob,ou=ops", 'say"hi"', '"q"', "#tag", "a;b", "é\u202e", "x" * 256]
ALLOW = {"users": ["alice"], "orgs": [], "rules": []}
MANIFEST = {"access": KEY, "flags": [{"key": KEY, "allow": ALLOW}], "routes": []}


def served(reply: Any, names: list[str], versions: tuple[str, ...] = ('"3"',), page: int = 3) -> Any:
    """The route that lists ids, in pages by cursor; each page has the next of the versions."""

    def answer(request: Any) -> Any:
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        start = int(query.get("cursor", 0))
        found = [name for name in names if name == query["id"]] if "id" in query else names[start : start + page]
        more = str(start + page) if "id" not in query and start + page < len(names) else None
        body = {"kind": query["kind"], "members": found, "counts": {"users": len(names), "orgs": 0}, "next": more}
        return reply(body=body, headers={"ETag": versions[min(start // page, len(versions) - 1)]})

    return answer


def test_list_is_read_back_by_import(headgate: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    upstream.on(LIST, served(reply, ODD))
    done = headgate("allow", "list", KEY)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "ids.csv"
    file.write_text(done.stdout)
    assert read_members(file).batch(0) == ODD
    told = json.loads(headgate("allow", "list", KEY, "--kind", "org", "--json").stdout)
    assert told == {"kind": "org", "members": ODD}


def test_list_that_changes_meanwhile_is_not_taken_for_whole(headgate: Any, upstream: Any, reply: Any) -> None:
    upstream.on(LIST, served(reply, ODD, ('"3"', '"4"')))
    done = headgate("allow", "list", KEY)
    assert done.returncode == 4
    assert "changed while it was read" in done.stderr


@pytest.mark.parametrize(("name", "code"), [("alice", 0), ("cn=bob,ou=ops", 0), ("eve", 1)])
def test_one_id_is_looked_up(headgate: Any, upstream: Any, reply: Any, name: str, code: int) -> None:
    upstream.on(LIST, served(reply, ODD))
    done = headgate("allow", "has", KEY, name)
    assert (done.returncode, "not on" in done.stdout) == (code, bool(code))
    assert len(upstream.asked) == 1
    told = json.loads(headgate("allow", "has", KEY, name, "--json").stdout)
    assert told == {"kind": "user", "id": name, "listed": not code}


def test_export_says_what_it_leaves_out(headgate: Any, upstream: Any, reply: Any) -> None:
    flag = {"key": KEY, "members": {"users": 20_000, "orgs": 0, "imports": []}}
    upstream.on("GET /admin/v1/manifest", reply(body=MANIFEST, headers={"x-headgate-left-out": "20000"}))
    upstream.on("GET /admin/v1/flags", reply(body={"flags": [flag, {"key": "other"}], "next": None}))
    upstream.on(LIST, served(reply, [f"u{number}" for number in range(20_001)]))
    done = headgate("export")
    assert done.returncode == 1
    assert yaml.safe_load(done.stdout) == MANIFEST
    assert done.stdout.startswith(f"# not in this file: 20,000 of the users listed by {KEY}\n")
    assert f"headgate allow list {KEY} --kind user: 20,000 of the users listed by {KEY}" in done.stderr
    done = headgate("export", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, MANIFEST)
    assert json.loads(done.stderr)["type"] == "urn:headgate:lists-left-out"
    assert headgate("export", "--without-lists").returncode == 0
    assert "20,000 ids of long lists" in headgate("export", "--as-of", "7").stderr


def test_flag_shows_how_many_more_are_listed(headgate: Any, upstream: Any, flag: Any, reply: Any) -> None:
    long = {**flag(), "members": {"users": 20_000, "orgs": 3, "imports": []}}
    upstream.on(f"GET /admin/v1/flags/{KEY}", reply(body=long))
    shown = " ".join(headgate("flags", "show", KEY).stdout.split())
    assert f"listed 20,000 users and 3 orgs more: headgate allow list {KEY}" in shown
