"""Reading and verifying the audit stream: every kind of tampering is found, with the revision where it shows."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from chains import chain, deleted, edited, head_of, resealed, rewritten, serve, swapped

LINE = "GET /admin/v1/audit"


def test_filters_and_limit_are_sent(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(9)
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    done = headgate(
        "audit", "--flag", "a", "--actor", "arn:x", "--after", "2", "--before", "8", "--limit", "3", "--json"
    )
    assert [entry["revision"] for entry in json.loads(done.stdout)["entries"]] == [7, 6, 5]
    asked = parse_qs(upstream.asked[0].query)
    assert asked == {"flag": ["a"], "actor": ["arn:x"], "after": ["2"], "before": ["8"], "limit": ["3"]}


def test_small_pages_are_combined_up_to_the_limit(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(9)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=2))
    lines = headgate("audit", "--limit", "5").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["9", "8", "7", "6", "5"]


def test_truncated_list_says_how_many_entries_are_left(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(29)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=7))
    done = headgate("audit", "--since", "2030-01-01T00:00:00Z")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [str(number) for number in range(29, 9, -1)]
    assert "9 more" in done.stderr
    assert "--before 10" in done.stderr
    assert "more" not in headgate("audit", "--limit", "29").stderr


def test_json_has_the_cursor_of_what_is_left(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(29)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=7))
    found: list[int] = []
    cursor: tuple[str, ...] = ()
    for _ in range(3):
        told = json.loads(headgate("audit", "--limit", "10", "--json", *cursor).stdout)
        found += [entry["revision"] for entry in told["entries"]]
        cursor = ("--cursor", str(told["next"]))
    assert found == list(range(29, 0, -1))
    assert told["next"] is None


@pytest.mark.parametrize("length", [0, 1, 500, 501, 1203])
def test_intact_chain_verifies(invoke: Any, upstream: Any, reply: Any, length: int) -> None:
    entries = chain(length)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=300))
    done = invoke("audit", "verify", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"verified": True, "head": head_of(entries)}


def test_entries_written_during_verification_are_ignored(invoke: Any, upstream: Any, reply: Any) -> None:
    entries = chain(20)
    upstream.on(LINE, serve(entries, head_of(entries[:15]), reply))
    assert invoke("audit", "verify").exit_code == 0


@pytest.mark.parametrize(
    ("tamper", "at"), [(edited, 7), (resealed, 7), (deleted, 7), (swapped, 7), (rewritten, 13), (lambda e: e[:-1], 12)]
)
def test_every_kind_of_tampering_is_found(invoke: Any, upstream: Any, reply: Any, tamper: Any, at: int) -> None:
    entries = chain(12)
    upstream.on(LINE, serve(tamper(entries), head_of(entries), reply))
    done = invoke("audit", "verify")
    assert done.exit_code == 1
    assert f"the chain breaks at revision {at}" in done.stderr
    assert done.stdout == ""


def test_fully_rewritten_chain_is_found_with_an_earlier_head(invoke: Any, upstream: Any, reply: Any) -> None:
    entries = chain(12)
    anchor = f"10:{entries[9]['digest']}"
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    assert invoke("audit", "verify", "--anchor", anchor).exit_code == 0
    forged = rewritten(entries)
    upstream.on(LINE, serve(forged, head_of(forged), reply))
    assert invoke("audit", "verify").exit_code == 0
    done = invoke("audit", "verify", "--anchor", anchor)
    assert done.exit_code == 1
    assert "breaks at revision 10: its digest differs from the anchor or checkpoint" in done.stderr
    upstream.on(LINE, serve(entries[:8], head_of(entries[:8]), reply))
    assert (
        "entries were cut off: an anchor or checkpoint has revision 10"
        in invoke("audit", "verify", "--anchor", anchor).stderr
    )


@pytest.mark.parametrize("anchor", ["12", "0:" + "a" * 64, "x:" + "a" * 64, "12:short"])
def test_malformed_anchor_is_wrong_usage(invoke: Any, upstream: Any, anchor: str) -> None:
    assert invoke("audit", "verify", "--anchor", anchor).exit_code == 2
    assert upstream.asked == []
