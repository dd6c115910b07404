"""Reading the log, and proving it: every way of tampering is found, with the revision where it shows."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from chains import chain, deleted, edited, head_of, resealed, rewritten, serve, swapped

LINE = "GET /admin/v1/audit"


def test_filters_and_limit_are_passed_on(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(9)
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    done = headgate(
        "audit", "--flag", "a", "--actor", "arn:x", "--after", "2", "--before", "8", "--limit", "3", "--json"
    )
    assert [entry["revision"] for entry in json.loads(done.stdout)["entries"]] == [7, 6, 5]
    asked = parse_qs(upstream.asked[0].query)
    assert asked == {"flag": ["a"], "actor": ["arn:x"], "after": ["2"], "before": ["8"], "limit": ["3"]}


def test_small_pages_are_put_together_up_to_the_limit(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(9)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=2))
    lines = headgate("audit", "--limit", "5").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["9", "8", "7", "6", "5"]


@pytest.mark.parametrize("length", [0, 1, 500, 501, 1203])
def test_a_whole_chain_verifies(invoke: Any, upstream: Any, reply: Any, length: int) -> None:
    entries = chain(length)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=300))
    done = invoke("audit", "verify", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"verified": True, "head": head_of(entries)}


def test_entries_written_while_it_walks_are_left_for_the_next_time(invoke: Any, upstream: Any, reply: Any) -> None:
    entries = chain(20)
    upstream.on(LINE, serve(entries, head_of(entries[:15]), reply))
    assert invoke("audit", "verify").exit_code == 0


@pytest.mark.parametrize(
    ("tamper", "at"), [(edited, 7), (resealed, 7), (deleted, 7), (swapped, 7), (rewritten, 13), (lambda e: e[:-1], 12)]
)
def test_each_way_of_tampering_is_found(invoke: Any, upstream: Any, reply: Any, tamper: Any, at: int) -> None:
    entries = chain(12)
    upstream.on(LINE, serve(tamper(entries), head_of(entries), reply))
    done = invoke("audit", "verify")
    assert done.exit_code == 1
    assert f"the chain breaks at revision {at}" in done.stderr
    assert done.stdout == ""


def test_a_chain_rewritten_whole_is_found_by_a_head_noted_before(invoke: Any, upstream: Any, reply: Any) -> None:
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
def test_an_anchor_is_a_revision_and_a_digest(invoke: Any, upstream: Any, anchor: str) -> None:
    assert invoke("audit", "verify", "--anchor", anchor).exit_code == 2
    assert upstream.asked == []
