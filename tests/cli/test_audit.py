"""Reading the log, and proving it: every way of tampering is found, with the revision where it shows."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from headgate.core.audit import GENESIS, sealed

LINE = "GET /admin/v1/audit"


def chain(length: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for revision in range(1, length + 1):
        prev = entries[-1]["digest"] if entries else GENESIS
        actor = {"arn": "arn:aws:iam::1:user/anna", "session": "s", "source_ip": "192.0.2.1"}
        document = {"stage": "percentage", "percent": revision / 1000, "description": "東京"}
        entries.append(
            sealed(
                {"revision": revision, "at": f"2030-01-01T00:00:00.{revision:03}Z", "actor": actor, "action": "stage",
                 "flag": "gastown-access", "before": None, "after": document, "reason": "ramp", "request_id": "r",
                 "prev": prev}
            )
        )  # fmt: skip
    return entries


def serve(entries: list[dict[str, Any]], head: dict[str, Any], reply: Any, page: int = 1_000) -> Callable[[Any], Any]:
    """The audit route: newest first, exclusive bounds, pages of at most `page` by cursor."""

    def answer(request: Any) -> Any:
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        low, high = int(query.get("after", 0)), int(query.get("before", 10**9))
        wanted = [e for e in reversed(entries) if low < e["revision"] < high]
        start, size = int(query.get("cursor", 0)), min(int(query["limit"]), page)
        more = str(start + size) if start + size < len(wanted) else None
        return reply(body={"entries": wanted[start : start + size], "head": head, "next": more})

    return answer


def head_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"revision": len(entries), "digest": entries[-1]["digest"] if entries else GENESIS}


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


def edited(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**e, "reason": "another"} if e["revision"] == 7 else e for e in entries]


def resealed(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [sealed({**e, "reason": "another"}) if e["revision"] == 6 else e for e in entries]


def deleted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e for e in entries if e["revision"] != 7]


def swapped(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*entries[:6], entries[7], entries[6], *entries[8:]]


def rewritten(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = entries[:6]
    for entry in entries[6:]:
        made.append(sealed({**entry, "reason": "another", "prev": made[-1]["digest"]}))
    return made


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
    assert "breaks at revision 10: it is not the entry that was noted" in done.stderr
    upstream.on(LINE, serve(entries[:8], head_of(entries[:8]), reply))
    assert "entries were cut off: revision 10 was noted" in invoke("audit", "verify", "--anchor", anchor).stderr


@pytest.mark.parametrize("anchor", ["12", "0:" + "a" * 64, "x:" + "a" * 64, "12:short"])
def test_an_anchor_is_a_revision_and_a_digest(invoke: Any, upstream: Any, anchor: str) -> None:
    assert invoke("audit", "verify", "--anchor", anchor).exit_code == 2
    assert upstream.asked == []
