"""The record: one entry for each accepted change, none for a refused one, and a chain that anyone can verify."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from running_gate import Answer, Gate, Person
from running_gate.gate import REASON, in_parallel
from running_gate.people import new_id

from headgate.core.audit import verify_chain

pytestmark = pytest.mark.own_stack  # it reads the whole record

AUDIT, FLAGS = "/admin/v1/audit", "/admin/v1/flags"


def test_r34_each_accepted_change_is_one_entry(gate: Gate) -> None:
    """With actor, time, flag, before, after, reason and request; a repeated kill too, as a change of nothing."""
    key, start = new_id("audited"), gate.revision()
    deeds: list[tuple[str, Callable[[], Any]]] = [
        ("flag.create", lambda: gate.create(key)),
        ("flag.stage", lambda: gate.stage(key, "percentage", percent=10)),
        ("flag.allow", lambda: gate.allow(key, users=["u-1"])),
        ("flag.kill", lambda: gate.kill(key, reason="an incident")),
        ("flag.kill", lambda: gate.kill(key)),
        ("flag.restore", lambda: gate.restore(key)),
        ("flag.replace", lambda: gate.replace(key, stage="ga")),
        ("flag.delete", lambda: gate.delete(key)),
    ]
    for number, (_, deed) in enumerate(deeds, 1):
        deed()
        assert gate.revision() == start + number
    entries = gate.audit(after=start)
    assert [(entry["action"], entry["flag"]) for entry in entries] == [(action, key) for action, _ in deeds]
    assert [entry["revision"] for entry in entries] == list(range(start + 1, start + 9))
    assert (entries[0]["before"], entries[-1]["after"]) == (None, None)
    for earlier, later in pairwise(entries):
        assert later["before"] == earlier["after"]
        assert later["at"] >= earlier["at"]
    assert entries[4]["before"] == entries[4]["after"]
    killed = entries[3]
    assert killed["reason"] == "an incident"
    assert killed["actor"]["arn"].endswith(":assumed-role/headgate-kill-operator/dev")
    assert killed["actor"]["source_ip"] == "127.0.0.1"
    assert killed["after"]["killed"]["by"] == killed["actor"]["arn"]
    assert len({entry["request_id"] for entry in entries}) == len(entries)


GA: dict[str, Any] = {"stage": "ga", "reason": REASON}
BLANK, IF_1 = {"reason": "  "}, {"if-match": '"1"'}
PARENT, SEVER = {"requires": ["never-made"], "reason": REASON}, {"reach": "sever", "reason": REASON}
TWICE = b'{"stage": "ga", "stage": "admin_only", "reason": "x"}'
REFUSED: dict[str, tuple[int, Callable[[Gate, str], Answer]]] = {
    "no signature": (403, lambda gate, key: gate.call("POST", f"{FLAGS}/{key}/kill", body={"reason": REASON})),
    "no right": (403, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}/stage", GA, version=1, role="viewer")),
    "no JSON": (400, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}/stage", b"{", version=1)),
    "twice the same member": (400, lambda gate, key: gate.change("PUT", f"{FLAGS}/{key}", TWICE, version=1)),
    "no reason": (400, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}/stage", {"stage": "ga"}, version=1)),
    "blank reason": (400, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}/stage", GA | BLANK, version=1)),
    "forged line": (400, lambda gate, key: gate.signed("POST", f"{FLAGS}/{key}/kill", {"reason": "a\nb"})),
    "server's member": (400, lambda gate, key: gate.change("PUT", f"{FLAGS}/{key}", GA | {"version": 9}, version=1)),
    "no idempotency key": (400, lambda gate, key: gate.signed("POST", f"{FLAGS}/{key}/stage", GA, headers=IF_1)),
    "no precondition": (428, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}/stage", GA)),
    "stale": (412, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}/stage", GA, version=7)),
    "exists": (409, lambda gate, key: gate.change("PUT", f"{FLAGS}/{key}", GA, headers={"if-none-match": "*"})),
    "unknown flag": (404, lambda gate, key: gate.change("POST", f"{FLAGS}/{key}x/stage", GA, version=1)),
    "unknown parent": (400, lambda gate, key: gate.change("PUT", f"{FLAGS}/{key}", PARENT, version=1)),
    "kill of nothing": (404, lambda gate, key: gate.signed("POST", f"{FLAGS}/{key}x/kill", {"reason": REASON})),
    "drain of another": (400, lambda gate, key: gate.signed("POST", f"{FLAGS}/{key}/kill", SEVER)),
    "would shrink": (409, lambda gate, key: gate.change("DELETE", f"{FLAGS}/{key}", {"reason": REASON}, version=1)),
}


def test_r34_what_is_refused_leaves_no_entry_and_no_change(gate: Gate) -> None:
    key = new_id("refused")
    held = gate.create(key, stage="allowlist")
    revision = gate.revision()
    assert {name: refuse(gate, key).status for name, (_, refuse) in REFUSED.items()} == {
        name: status for name, (status, _) in REFUSED.items()
    }
    assert (gate.flag(key), gate.revision()) == (held, revision)


def test_r34_a_repeated_request_is_one_change(gate: Gate) -> None:
    """The same Idempotency-Key: the stored answer; with another body: 422. Eight at once: one entry."""
    key, once = new_id("once"), new_id("key")
    gate.create(key)
    revision = gate.revision()

    def send(_: int = 0) -> Answer:
        return gate.change("POST", f"{FLAGS}/{key}/stage", GA, version=1, key=once)

    answers = in_parallel(send, range(8))
    done = {answer.body for answer in answers if answer.status == 200}
    assert len(done) == 1
    assert {answer.status for answer in answers} <= {200, 409, 503}
    assert send().body == done.pop()
    other = gate.change("POST", f"{FLAGS}/{key}/stage", {**GA, "percent": 5}, version=1, key=once)
    assert (other.status, other.slug) == (422, "idempotency-key-reused")
    assert gate.revision() == revision + 1


def test_r34_the_chain_holds_over_all_that_was_done(gate: Gate) -> None:
    """Every entry since install, page by page, to the head; one altered, dropped or moved entry shows."""
    gate.create(new_id("chain"))
    entries = gate.audit()
    head = gate.signed("GET", f"{AUDIT}?limit=1").expect(200).json["head"]
    assert verify_chain(entries, head) is None
    assert [entry["revision"] for entry in entries] == list(range(1, head["revision"] + 1))
    altered = [*entries[:2], {**entries[2], "reason": "another"}, *entries[3:]]
    swapped = [entries[1], entries[0], *entries[2:]]
    for forged in (altered, swapped, entries[1:], entries[:-1]):
        assert verify_chain(forged, head) is not None


def test_r34_entries_are_read_and_nothing_else(gate: Gate) -> None:
    """There is no route to write, change or delete one; paging stays where it was while changes go on."""
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        for address in (AUDIT, f"{AUDIT}/1"):
            gate.change(method, address, {"reason": REASON}).expect(404)
    flag = new_id("paged")
    gate.create(flag)
    before = gate.audit()[::-1]
    seen: list[dict[str, Any]] = []
    path = f"{AUDIT}?limit=3"
    for step in range(4):
        page = gate.signed("GET", path).expect(200).json
        seen += page["entries"]
        path = f"{AUDIT}?limit=3&cursor={page['next']}"
        gate.stage(flag, "ga" if step % 2 else "allowlist")
    assert seen == before[:12]
    of_flag = gate.signed("GET", f"{AUDIT}?flag={flag}").expect(200).json["entries"]
    assert [entry["action"] for entry in of_flag] == ["flag.stage"] * 4 + ["flag.create"]
    by_nobody = gate.signed("GET", f"{AUDIT}?actor=nobody").expect(200).json
    assert by_nobody["entries"] == []
    assert gate.signed("GET", f"{AUDIT}?cursor=forged").expect(400).slug == "invalid-cursor"


def test_r34_it_can_be_told_why_somebody_was_let_in(gate: Gate) -> None:
    """`explain` as of a past revision, by the entries alone; an auditor reads them."""
    alice, key = Person(), new_id("past")
    gate.create(key)
    gate.allow(key, users=[alice.user])
    then = gate.stage(key, "allowlist")["revision"]
    gate.disallow(key, users=[alice.user])
    was = gate.explain(key, alice, as_of=then)
    assert (was["value"], was["reason"], was["revision"]) == (True, "ALLOWLIST", then)
    assert gate.explain(key, alice)["value"] is False
    path = f"{AUDIT}?flag={key}&before={then + 1}"
    listed = gate.signed("GET", path, role="auditor").expect(200).json["entries"]
    assert listed[0]["after"]["allow"]["users"] == [alice.user]
