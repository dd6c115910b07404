"""`headgate audit export`: the log as a file that can be continued, and verified without the API."""

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
def test_log_is_exported_oldest_first(invoke: Any, upstream: Any, reply: Any, tmp_path: Path, length: int) -> None:
    entries = chain(length)
    upstream.on(LINE, serve(entries, head_of(entries), reply, page=200))
    file = tmp_path / "audit.jsonl"
    done = invoke("audit", "export", str(file), "--json")
    assert done.exit_code == 0, done.stderr
    expected = {"file": str(file), "entries": length, "added": length, "head": head_of(entries)}
    assert json.loads(done.stdout) == expected
    assert file.read_bytes() == lines_of(entries)


def test_log_is_exported_to_standard_output(headgate: Any, upstream: Any, reply: Any) -> None:
    entries = chain(3)
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    done = headgate("audit", "export", "-")
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == entries
    assert f"head 3:{entries[-1]['digest']}" in done.stderr


def test_export_continues_a_file_and_requests_only_new_entries(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path
) -> None:
    entries, file = chain(700), tmp_path / "audit.jsonl"
    for known in (600, 650, 700, 700):
        upstream.on(LINE, serve(entries[:known], head_of(entries[:known]), reply))
        upstream.asked.clear()
        assert invoke("audit", "export", str(file)).exit_code == 0
        assert file.read_bytes() == lines_of(entries[:known])
    assert len(upstream.asked) == 1  # the head alone


@pytest.mark.parametrize("whole_lines", [0, 4])
@pytest.mark.parametrize("keep", [0, 1, 5, 400, -1])
def test_interrupted_export_is_repaired(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, keep: int, whole_lines: int
) -> None:
    entries, file = chain(9), tmp_path / "audit.jsonl"
    whole = lines_of(entries)
    file.write_bytes(lines_of(entries[:whole_lines]) + lines_of(entries[whole_lines : whole_lines + 1])[:keep])
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    assert invoke("audit", "export", str(file)).exit_code == 0
    assert file.read_bytes() == whole


@pytest.mark.parametrize(("kept", "length"), [(0, 0), (0, 3), (2, 3)])
@pytest.mark.parametrize("rest", [b"notes without a line end", b"\xff", b'{"action":"zzz'])
def test_file_that_ends_in_anything_else_is_not_changed(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, rest: bytes, kept: int, length: int
) -> None:
    entries, file = chain(length), tmp_path / "audit.jsonl"
    before = lines_of(entries[:kept]) + rest
    file.write_bytes(before)
    upstream.on(LINE, serve(entries, head_of(entries), reply))
    done = invoke("audit", "export", str(file))
    assert done.exit_code == 1
    assert "the file was not changed" in done.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize("tamper", [edited, resealed, deleted, swapped])
def test_export_does_not_append_to_an_invalid_file(
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
def test_invalid_entries_are_not_written(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path, tamper: Any, written: int
) -> None:
    entries, file = chain(12), tmp_path / "audit.jsonl"
    upstream.on(LINE, serve(tamper(entries), head_of(entries), reply))
    assert invoke("audit", "export", str(file)).exit_code == 1
    assert file.read_bytes() == lines_of(tamper(entries)[:written])


def test_log_rewritten_or_truncated_since_the_export_is_found(
    invoke: Any, upstream: Any, reply: Any, tmp_path: Path
) -> None:
    """The file is the reference: a chain that is valid in itself must still be the exported one."""
    entries, file = chain(12), tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(entries[:9]))
    for forged, at in ((rewritten(entries), 10), (rewritten(entries)[:9], 10), (entries[:7], 10)):
        upstream.on(LINE, serve(forged, head_of(forged), reply))
        done = invoke("audit", "export", str(file))
        assert done.exit_code == 1
        assert f"the chain breaks at revision {at}" in done.stderr
        assert file.read_bytes() == lines_of(entries[:9])


def test_unwritable_file_is_reported(invoke: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    upstream.on(LINE, serve([], head_of([]), reply))
    assert invoke("audit", "export", str(tmp_path / "none" / "audit.jsonl")).exit_code == 2
    assert invoke("audit", "export", str(tmp_path)).exit_code == 2


def test_file_is_verified_without_the_api(invoke: Any, upstream: Any, tmp_path: Path) -> None:
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
def test_every_kind_of_tampering_with_a_file_is_found(invoke: Any, tmp_path: Path, tamper: Any, at: int) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(tamper(chain(12))))
    done = invoke("audit", "verify", "--file", str(file))
    assert done.exit_code == 1
    assert f"the chain breaks at revision {at}" in done.stderr


@pytest.mark.parametrize("line", [b"{", b"[]\n", b"\xff\n", b"\n", b'{"revision": 3'])
def test_line_that_is_not_an_entry_is_found(invoke: Any, tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(lines_of(chain(2)) + line)
    done = invoke("audit", "verify", "--file", str(file))
    assert done.exit_code == 1
    assert "the chain breaks at revision 3" in done.stderr
    assert invoke("audit", "verify", "--file", str(tmp_path / "none")).exit_code == 2


def test_as_of_options_are_sent(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on("GET /admin/v1/manifest", reply(body={"access": None, "flags": [], "routes": []}))
    for command in ("export", "audit"):
        for given, asked in (("12", "12"), ("2026-01-02T04:04:05+01:00", "2026-01-02T03%3A04%3A05Z")):
            done = invoke(command, "--as-of", given)
            assert done.exit_code == 0, done.stderr
            assert upstream.asked[-1].query == f"as_of={asked}"
            assert "flags: []" in done.stdout
    assert invoke("export", "--as-of", "yesterday").exit_code == 2


def test_action_and_time_filters_are_sent(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(LINE, serve([], head_of([]), reply))
    done = invoke(
        "audit", "--action", "flag.kill", "--since", "2026-01-02T03:04:05Z", "--until", "2026-02-02T03:04:05Z"
    )
    assert done.exit_code == 0, done.stderr
    query = "action=flag.kill&since=2026-01-02T03%3A04%3A05Z&until=2026-02-02T03%3A04%3A05Z"
    assert query in upstream.asked[0].query
