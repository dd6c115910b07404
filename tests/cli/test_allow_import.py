"""`headgate allow import`: one file is one import, sent once despite interruptions; errors name the line."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.core.members import chained
from headgate_cli.client import Client
from headgate_cli.failures import Failure
from headgate_cli.imports import LONGEST, PATIENCE, ImportPlan, Run
from headgate_cli.member_file import BATCH_BYTES, MAX_FAULTS, read_members
from headgate_cli.transport import Transport

ZEROS = "0" * 64
IMPORTS = "/admin/v1/flags/beta/imports"
FLAG = {"key": "beta", "version": 8, "revision": 31}


class Server:
    """Imports as the admin API stores them. `trouble` may answer instead; `after` is called when a batch is staged."""

    def __init__(self, upstream: Any, reply: Any) -> None:
        self.upstream, self.reply = upstream, reply
        self.imports: dict[str, dict[str, Any]] = {}
        self.ids: dict[str, list[str]] = {}
        self.keys: list[str] = []
        self.commits: list[Any] = []
        self.trouble: Callable[[Any], Any] = lambda _request: None
        self.after: Callable[[], object] = lambda: None
        upstream.on(f"POST {IMPORTS}", self._call(self._open))

    def _call(self, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def called(request: Any) -> Any:
            if request.method != "GET":
                self.keys.append(request.headers["idempotency-key"])
            return self.trouble(request) or answer(request)

        return called

    def _open(self, request: Any) -> Any:
        body = request.json
        name, path = body["id"], f"{IMPORTS}/{body['id']}"
        is_new = name not in self.imports
        if is_new:
            self.imports[name] = {"id": name, "kind": body["kind"], "mode": body["mode"], "state": "open", "staged": 0,
                                  "added": 0, "removed": 0, "digest": ZEROS, "revision": None}  # fmt: skip
            self.ids[name] = []
        self.upstream.on(f"POST {path}/members", self._call(lambda asked: self._stage(name, asked)))
        self.upstream.on(f"POST {path}/commit", self._call(lambda asked: self._commit(name, asked)))
        self.upstream.on(f"GET {path}", self._call(lambda _asked: self.reply(body=self.imports[name])))
        self.upstream.on(f"DELETE {path}", self._call(lambda _asked: self._abandon(name)))
        return self.reply(201 if is_new else 200, self.imports[name])

    def _stage(self, name: str, request: Any) -> Any:
        body, held, ids = request.json, self.imports[name], self.ids[name]
        assert held["state"] == "open"
        assert len(body["ids"]) <= 1_000
        assert body["at"] <= len(ids), "a gap"
        assert ids[body["at"] :] == body["ids"][: len(ids) - body["at"]], "another id at this place"
        ids.extend(body["ids"][len(ids) - body["at"] :])
        held |= {"staged": len(ids), "digest": chained(ZEROS, ids)}
        self.after()
        return self.reply(body=dict(held))

    def _commit(self, name: str, request: Any) -> Any:
        held = self.imports[name]
        self.commits.append(request.json)
        assert (request.json["count"], request.json["digest"]) == (held["staged"], held["digest"])
        count = "added" if held["mode"] == "add" else "removed"
        held |= {"state": "committed", "revision": 31, count: held["staged"]}
        return self.reply(body={**FLAG, "added": held["added"], "removed": held["removed"]})

    def _abandon(self, name: str) -> Any:
        self.imports[name]["state"] = "abandoned"
        return self.reply(204)

    def bodies(self, end: str) -> list[Any]:
        return [request.json for request in self.upstream.asked if request.path.endswith(end)]


@pytest.fixture
def server(upstream: Any, reply: Any) -> Server:
    return Server(upstream, reply)


def listed(tmp_path: Path, count: int, name: str = "ids.txt") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"user-{number}\n" for number in range(count)))
    return path


def test_file_is_sent_in_batches_and_committed_once(invoke: Any, server: Server, tmp_path: Path) -> None:
    done = invoke("allow", "import", "beta", str(listed(tmp_path, 2_500)))
    assert done.exit_code == 0, done.output
    assert [(body["at"], len(body["ids"])) for body in server.bodies("/members")] == [
        (0, 1_000),
        (1_000, 1_000),
        (2_000, 500),
    ]
    (ids,) = server.ids.values()
    assert ids == [f"user-{number}" for number in range(2_500)]
    assert server.commits == [
        {"reason": "headgate allow import ids.txt", "count": 2_500, "digest": chained(ZEROS, ids)}
    ]
    assert len(set(server.keys)) == len(server.keys) == 5
    assert "ids       2,500\nadded     2,500\nrevision  31\n" in done.stdout


def test_repeated_import_is_already_done(invoke: Any, server: Server, tmp_path: Path) -> None:
    file = listed(tmp_path, 10)
    first = json.loads(invoke("allow", "import", "beta", str(file), "--json").stdout)
    again = json.loads(invoke("allow", "import", "beta", str(file), "--json").stdout)
    assert (first["changed"], again["changed"]) == (True, False)
    assert {**first, "changed": False} == again
    assert len(server.commits) == len(server.imports) == 1
    assert "--again" in invoke("allow", "import", "beta", str(file)).stdout
    once_more = json.loads(invoke("allow", "import", "beta", str(file), "--again", "--json").stdout)
    assert once_more["changed"] is True
    assert list(server.imports) == [first["id"], first["id"] + ".2"]


def test_import_id_is_derived_from_its_content(invoke: Any, server: Server, tmp_path: Path) -> None:
    file, other = listed(tmp_path, 3), listed(tmp_path, 4, "other.txt")
    twin = tmp_path / "twin.txt"
    twin.write_text("# the same\n\n" + file.read_text().replace("user-1\n", "  user-1\t\r\nuser-1\n"))
    for args in ((file,), (twin,), (other,), (file, "--kind", "org"), (file, "--remove", "--allow-shrink")):
        assert invoke("allow", "import", "beta", *map(str, args)).exit_code == 0
    assert [(held["mode"], held["kind"], held["staged"]) for held in server.imports.values()] == [
        ("add", "user", 3), ("add", "user", 4), ("add", "org", 3), ("remove", "user", 3),
    ]  # fmt: skip
    assert server.commits[-1]["allow_shrink"] is True


def test_abandoned_import_starts_from_scratch(invoke: Any, server: Server, tmp_path: Path) -> None:
    file = listed(tmp_path, 3)
    server.trouble = lambda request: (
        server.reply(409, {"title": "no", "status": 409}) if "commit" in request.path else None
    )
    assert invoke("allow", "import", "beta", str(file)).exit_code == 4
    (name,) = server.imports
    assert invoke("allow", "import", "beta", "--abandon", name).exit_code == 0
    assert server.imports[name]["state"] == "abandoned"
    server.trouble = lambda _request: None
    assert invoke("allow", "import", "beta", str(file)).exit_code == 0
    assert [held["state"] for held in server.imports.values()] == ["abandoned", "committed"]


def test_killed_import_continues_where_it_stopped(
    server: Server, upstream: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL while the second batch is being answered, then the same command again."""
    command = [sys.executable, "-m", "headgate_cli", "allow", "import", "beta", str(listed(tmp_path, 3_500)), "--json"]
    env = {**environment, "HEADGATE_API": upstream.url}
    running = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def stop() -> None:
        if len(server.bodies("/members")) == 2:
            running.send_signal(signal.SIGKILL)
            running.communicate()

    server.after = stop
    assert running.wait(60) == -signal.SIGKILL
    assert server.commits == []
    server.after = lambda: None
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [body["at"] for body in server.bodies("/members")] == [0, 1_000, 2_000, 3_000]
    (ids,) = server.ids.values()
    assert ids == [f"user-{number}" for number in range(3_500)]
    assert len(server.commits) == 1


def restore_sigint() -> None:
    """Background processes inherit an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_says_how_to_continue(
    server: Server, upstream: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "headgate_cli", "allow", "import", "beta", str(listed(tmp_path, 3_000))]
    running = subprocess.Popen(
        command, env={**environment, "HEADGATE_API": upstream.url}, stderr=subprocess.PIPE, text=True,
        preexec_fn=restore_sigint,
    )  # fmt: skip
    server.after = lambda: running.send_signal(signal.SIGINT) if len(server.bodies("/members")) == 2 else None
    _, shown = running.communicate(timeout=60)
    assert running.returncode == 130
    (name,) = server.imports
    assert "of 3,000 ids are staged, none is in effect; run the same command to resume" in shown
    assert f"headgate allow import beta --abandon {name}" in shown
    assert "Traceback" not in shown
    assert server.commits == []


def test_terminal_shows_a_progress_bar_with_rate_and_remaining_time(
    server: Server, upstream: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "headgate_cli", "allow", "import", "beta", str(listed(tmp_path, 2_500)), "--json"]
    env = {**environment, "HEADGATE_API": upstream.url, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
        assert running.stdout is not None
        answer = json.loads(running.stdout.read())
    os.close(ours)
    assert answer["added"] == 2_500
    assert re.search(r"staging .*/2500\S* [0-9,]+/s .*\d:\d\d:\d\d", shown), shown


def test_quoted_ids_are_those_of_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_text('"alice"\r\nalice\n"cn=bob,ou=ops"\n"a""b"\nsay"hi"\n')
    members = read_members(file)
    assert (members.batch(0), members.duplicates) == (["alice", "cn=bob,ou=ops", 'a"b', 'say"hi"'], 1)


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"alice\nb ob\n", "line 2: must be one id"),
        (b"alice # the first\n", "line 1: must be one id"),
        (b"alice\nbob,admin\n", "line 2: has several columns"),
        (b"alice;2030-01-01\n", "line 1: has several columns"),
        (b'"alice","bob"\n', "line 1: has several columns"),
        (b'"alice\n', "line 1: has several columns"),
        (b'"al ice"\n', "line 1: must be one id"),
        (b"# ids\n\n\xff\xfe\n", "line 3: is not UTF-8"),
        (b"a\x00b\n", "line 1: must be one id"),
        ("a\u2028b\n".encode(), "line 1: must be one id"),
        (b"x" * 257 + b"\n", "line 1: must be one id"),
        (b"x" * 100_000 + b"\nok\n b ad\n", "line 3: must be one id"),
        (b"# nothing\n\n", "contains no ids"),
    ],
)
def test_invalid_line_is_reported_before_anything_is_sent(
    invoke: Any, upstream: Any, tmp_path: Path, text: bytes, shown: str
) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(text)
    done = invoke("allow", "import", "beta", str(path))
    assert done.exit_code == 2
    assert shown in done.stderr
    assert upstream.asked == []


def test_first_of_many_invalid_lines_are_reported(invoke: Any, upstream: Any, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("good\n" + "b ad\n" * (MAX_FAULTS + 5))
    lines = invoke("allow", "import", "beta", str(path)).stderr.splitlines()
    assert lines[1].startswith("  line 2: ")
    assert lines[MAX_FAULTS].startswith(f"  line {MAX_FAULTS + 1}: ")
    assert lines[MAX_FAULTS + 1] == "  more: 5 lines"
    assert upstream.asked == []


def test_lines_without_an_id_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(
        "\ufeff# a comment with a colon: # and more\n\r\n\t# indented\n  alice \nb@b\nbob\nalice\ncaf\u00e9".encode()
    )
    members = read_members(path)
    assert (members.batch(0), members.count, members.duplicates) == (["alice", "b@b", "bob", "caf\u00e9"], 4, 1)
    assert [members.line(at) for at in range(4)] == [4, 5, 6, 8]
    long = tmp_path / "long.txt"
    long.write_bytes(b"# " + b"x" * 50_000 + b"\nbob\n")
    assert read_members(long).batch(0) == ["bob"]


def test_batch_fits_in_one_call(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    umlauts = "\u00fc" * 120
    path.write_text("".join(f"{umlauts}-{number}\n" for number in range(1_000)))
    members = read_members(path)
    sent: list[str] = []
    while len(sent) < members.count:
        batch = members.batch(len(sent))
        assert sum(len(name.encode()) for name in batch) <= BATCH_BYTES
        assert len(json.dumps(batch)) < 393_216
        sent += batch
    assert sent == path.read_text().split()


def test_ids_can_be_piped(headgate: Any, server: Server) -> None:
    done = headgate("allow", "import", "beta", "-", "--kind", "org", "--json", stdin="acme\nexample\nacme\n")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["count"], shown["duplicates"], shown["added"], shown["kind"]) == (2, 1, 2, "org")


def test_id_rejected_by_the_api_is_reported_with_its_line(invoke: Any, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("# people\n" + "".join(f"user-{number}\n" for number in range(1_200)) + "a@example.com\n")
    fault = {"path": "ids.200", "message": "must hold opaque ids"}
    problem = {
        "type": "urn:headgate:invalid-body",
        "title": "Invalid request",
        "status": 400,
        "errors": [fault],
    }
    server.trouble = lambda request: (
        server.reply(400, problem) if request.path.endswith("/members") and request.json["at"] else None
    )
    done = invoke("allow", "import", "beta", str(path))
    assert done.exit_code == 3
    assert "  line 1202: must hold opaque ids" in done.stderr.splitlines()


def test_conflicting_import_is_named(invoke: Any, server: Server, tmp_path: Path) -> None:
    problem = {
        "type": "urn:headgate:import-open",
        "title": "Another import is open",
        "status": 409,
        "import": "nightly-7",
    }
    server.trouble = lambda _request: server.reply(409, problem)
    done = invoke("allow", "import", "beta", str(listed(tmp_path, 1)))
    assert done.exit_code == 4
    assert "headgate allow import beta --abandon nightly-7" in done.stderr


def test_import_staged_by_another_operator_is_not_continued(invoke: Any, server: Server, tmp_path: Path) -> None:
    file = listed(tmp_path, 3)
    server.trouble = lambda request: server.reply(404) if request.path.endswith("/members") else None
    assert invoke("allow", "import", "beta", str(file)).exit_code == 5
    (held,) = server.imports.values()
    server.trouble = lambda _request: None
    held |= {"staged": 1, "digest": chained(ZEROS, ["somebody"])}
    done = invoke("allow", "import", "beta", str(file))
    assert done.exit_code == 4
    assert f"--abandon {held['id']}" in done.stderr


def test_removal_without_allow_shrink_keeps_the_staged_ids(invoke: Any, server: Server, tmp_path: Path) -> None:
    file = listed(tmp_path, 3)
    problem = {"type": "urn:headgate:would-shrink", "title": "Change would remove access", "status": 409}
    server.trouble = lambda request: (
        server.reply(409, problem) if "commit" in request.path and "allow_shrink" not in request.json else None
    )
    done = invoke("allow", "import", "beta", str(file), "--remove")
    assert done.exit_code == 4
    assert "--allow-shrink" in done.stderr
    assert "run the same command to resume" in done.stderr
    assert invoke("allow", "import", "beta", str(file), "--remove", "--allow-shrink").exit_code == 0
    assert len(server.bodies("/members")) == 1


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("ids.txt", "--abandon", "x"),
        ("/nowhere/ids.txt",),
        ("ids.txt", "--kind", "team"),
        ("ids.txt", "--reason", " "),
    ],
)
def test_wrong_usage_sends_nothing(invoke: Any, upstream: Any, args: tuple[str, ...]) -> None:
    assert invoke("allow", "import", "beta", *args).exit_code == 2
    assert upstream.asked == []


def test_flag_named_import_is_reached_with_options_first(invoke: Any, upstream: Any, reply: Any) -> None:
    assert invoke("allow", "--user", "alice", "--reason", "x", "import").exit_code == 5
    assert upstream.lines() == ["GET /admin/v1/flags/import"]


class Waits:
    """A pause that only records its length."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def run_at(upstream: Any, tmp_path: Path, waits: Waits, jitter: Callable[[], float] = lambda: 1.0) -> Run:
    client = Client(upstream.url, None, Transport(), pause=lambda _seconds: None)
    members = read_members(listed(tmp_path, 1_500))
    return Run(client, ImportPlan("beta", "user", "add", "x"), members, pause=waits, jitter=jitter)


def accept_unsigned(server: Server) -> None:
    """These runs do not sign."""
    server.upstream.reply = lambda request: (
        server.upstream.asked.append(request) or server.upstream.replies[request.line][0](request)
    )


def test_busy_api_is_retried_with_full_jitter(server: Server, upstream: Any, tmp_path: Path) -> None:
    accept_unsigned(server)
    waits = Waits()
    run = run_at(upstream, tmp_path, waits)
    run.open()
    busy = iter(
        [
            server.reply(429, {"message": "Too Many Requests"}),
            server.reply(503, headers={"Retry-After": "9"}),
            server.reply(504),
        ]
    )
    server.trouble = lambda _request: next(busy, None)
    before = len(server.keys)
    assert run.stage()
    assert waits.seconds == [0.5, 1.0 + 9, 2.0]
    assert len(set(server.keys[before:])) == 1  # one request, repeated
    server.trouble = lambda _request: None
    assert run.stage()
    assert not run.stage()
    assert run.commit()["revision"] == 31


def test_retries_stop_after_the_time_limit(server: Server, upstream: Any, tmp_path: Path) -> None:
    accept_unsigned(server)
    for jitter in (0.0, 0.5, 1.0):
        waits = Waits()
        run = run_at(upstream, tmp_path, waits, lambda jitter=jitter: jitter)  # type: ignore[misc]
        server.trouble = lambda _request: server.reply(429, {"message": "Too Many Requests"})
        with pytest.raises(Failure) as failure:
            run.open()
        assert failure.value.exit_code == 7
        assert max(waits.seconds) <= LONGEST
        assert sum(waits.seconds) <= PATIENCE + LONGEST
        assert len(waits.seconds) >= PATIENCE / LONGEST
