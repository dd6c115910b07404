"""`headgate audit export`: the log as a file that is gone on with, and that proves itself without the API."""

import json
from pathlib import Path
from typing import Any

import pytest
from chains import chain, deleted, edited, head_of, resealed, rewritten, serve, swapped

from headgate.core.documents import canonical

LINE = "GET /admin/v1/audit"


def lines_of(entries: list[dict[str, Any]]) -> bytes:
    return b"".join(canonical(entry).encode() + b"\n" for entry in entries)


@pytest.mark.parametrize("length", [0, 1, 12, 1_203])
def test_a_log_is_written_oldest_first(invoke: Any, upstream: Any, reply: Any, tmp_path: Path, length: int) -> None:
    entries = chain(length)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=200))
    file = tmp_path / "audit.jsonl"
    done = invoke("audit", "export", str(file), "--json")
    assert done.exit_code == 0, done.stderr
    told = {"file": str(file), "entries": length, "added": length, "head": head_of(entries)}
    assert json.loads(done.stdout) == told
    assert file.read_bytes() == lines_of(entries)


def test_to_standard_output(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(3)
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    done = headgate("audit", "export", "-")
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == entries
    assert f"head 3:{entries[-1]['digest']}" in done.stderr


def test_it_goes_on_where_it_was_and_asks_for_no_more(invoke: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    entries, file = chain(700), tmp_path / "audit.jsonl"
    for known in (600, 650, 700, 700):
        upstream.on(LINE, serve(entries[:known], head_of(entries[:known]), reply))
        upstream.asked.clear()
        assert invoke("audit", "export", str(file)).exit_code == 0
        assert file.read_bytes() == lines_of(entries[:known])
    assert len(upstream.asked) == 1  # the head alone


@pytest.mark.parametrize("keep", [0, 1, 5, 400])
def test_what_an_interrupted_export_left_is_mended(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, keep: int
) -> None:
    entries, file = chain(9), tmp_path / "audit.jsonl"
    whole = lines_of(entries)
    file.write_bytes(lines_of(entries[:4]) + lines_of(entries[4:5])[:keep])
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    assert invoke("audit", "export", str(file)).exit_code == 0
    assert file.read_bytes() == whole


@pytest.mark.parametrize("tamper", [edited, resealed, deleted, swapped])
def test_nothing_is_added_to_a_file_that_does_not_hold(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, tamper: Any
) -> None:
    entries, file = chain(12), tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(tamper(entries)[:9]))
    before = file.read_bytes()
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    done = invoke("audit", "export", str(file))
    assert done.exit_code == 1
    assert "the chain breaks at revision 7" in done.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(("tamper", "written"), [(edited, 6), (resealed, 6), (deleted, 6), (swapped, 6)])
def test_what_does_not_hold_is_not_written(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, tamper: Any, written: int
) -> None:
    entries, file = chain(12), tmp_path / "audit.jsonl"
    upstream.on(LINE, serve(tamper(entries), head_of(entries), reply))
    assert invoke("audit", "export", str(file)).exit_code == 1
    assert file.read_bytes() == lines_of(tamper(entries)[:written])


def test_a_log_that_was_rewritten_or_cut_since_is_found(invoke: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    """The file is the witness: a chain that is sound in itself must still be the one that was exported."""
    entries, file = chain(12), tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(entries[:9]))
    for forged, at in ((rewritten(entries), 10), (rewritten(entries)[:9], 10), (entries[:7], 10)):
        upstream.on(LINE, serve(forged, head_of(forged), reply))
        done = invoke("audit", "export", str(file))
        assert done.exit_code == 1
        assert f"the chain breaks at revision {at}" in done.stderr
        assert file.read_bytes() == lines_of(entries[:9])


def test_a_file_that_cannot_be_written_is_said(invoke: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    upstream.on(LINE, serve([], head_of([]), reply))
    assert invoke("audit", "export", str(tmp_path / "none" / "audit.jsonl")).exit_code == 2
    assert invoke("audit", "export", str(tmp_path)).exit_code == 2


def test_a_file_is_verified_without_the_api(invoke: Any, upstream: Any, tmp_path: Path) -> None:
    entries, file = chain(12), tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(entries))
    done = invoke("audit", "verify", "--file", str(file), "--json", env={"HEADGATE_API": ""})
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == {"verified": True, "head": head_of(entries)}
    anchor = f"10:{entries[9]['digest']}"
    assert invoke("audit", "verify", "--file", str(file), "--anchor", anchor).exit_code == 0
    file.write_bytes(lines_of(entries[:8]))
    assert "entries were cut off" in invoke("audit", "verify", "--file", str(file), "--anchor", anchor).stderr
    assert upstream.asked == []


@pytest.mark.parametrize(("tamper", "at"), [(edited, 7), (resealed, 7), (deleted, 7), (swapped, 7)])
def test_each_way_of_tampering_with_a_file_is_found(invoke: Any, tmp_path: Path, tamper: Any, at: int) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(tamper(chain(12))))
    done = invoke("audit", "verify", "--file", str(file))
    assert done.exit_code == 1
    assert f"the chain breaks at revision {at}" in done.stderr


@pytest.mark.parametrize("line", [b"{", b"[]\n", b"\xff\n", b"\n", b'{"revision": 3'])
def test_a_line_that_is_no_entry_is_found(invoke: Any, tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(chain(2)) + line)
    done = invoke("audit", "verify", "--file", str(file))
    assert done.exit_code == 1
    assert "the chain breaks at revision 3" in done.stderr
    assert invoke("audit", "verify", "--file", str(tmp_path / "none")).exit_code == 2


def test_the_past_is_asked_for(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on("GET /admin/v1/manifest", reply(body={"access": None, "flags": [], "routes": []}))
    for command in ("export", "audit"):
        for given, asked in (("12", "12"), ("2026-01-02T04:04:05+01:00", "2026-01-02T03%3A04%3A05Z")):
            done = invoke(command, "--as-of", given)
            assert done.exit_code == 0, done.stderr
            assert upstream.asked[-1].query == f"as_of={asked}"
            assert "flags: []" in done.stdout
    assert invoke("export", "--as-of", "yesterday").exit_code == 2


def test_the_log_by_action_and_time(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(LINE, serve([], head_of([]), reply))
    done = invoke(
        "audit", "--action", "flag.kill", "--since", "2026-01-02T03:04:05Z", "--until", "2026-02-02T03:04:05Z"
    )
    assert done.exit_code == 0, done.stderr
    query = "action=flag.kill&since=2026-01-02T03%3A04%3A05Z&until=2026-02-02T03%3A04%3A05Z"
    assert query in upstream.asked[0].query
