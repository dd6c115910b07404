"""The commands in the README and the docs work: each page in order, on its own stack.

A line whose comment begins with `refused` must end with the exit code of a refusal, every other line with 0. The stack
is started as a user would start it, and the commands get the environment it prints. The first line of a page runs in a
shell, which tests the installed command; the others run in this process.
"""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headgate_cli.local.declared import STACK_NAME
from headgate_cli.main import app

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
REFUSED = 6
ELSEWHERE = {
    "docs/deploy.md": "signed by a profile of a real account, or with an identity token of a real provider",
}
"""Pages whose commands cannot run here, and why. For these, only the options are checked."""
LASTING = {"local", "tour", "console"}
"""Commands that start their own stack."""
GROUPS = {"flags", "audit", "sessions", "keys", "emergency"}
EVERYWHERE = {"--json", "--api", "--profile", "--region"}
FIRST = (
    'headgate allow gastown-access --user alice --reason "first tester"',
    'headgate stage gastown-access percentage --percent 25 --reason "a quarter"',
)
"""The commands that a reader of the docs has already run: the README's five minutes."""


def lines(page: Path, program: str) -> list[str]:
    """The lines of a page's sh blocks that call a program."""
    found = [line for block in BLOCK.findall(page.read_text()) for line in block.splitlines()]
    return [line for line in found if line.startswith(f"{program} ")]


def pages() -> list[Path]:
    """The README first, then the docs by name."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def keeps_running(line: str) -> bool:
    return line.split()[1] in LASTING


HERE = [page for page in pages() if page.relative_to(ROOT).as_posix() not in ELSEWHERE]
RUN = {
    page.name: found
    for page in HERE
    if (found := [line for line in lines(page, "headgate") if not keeps_running(line)])
}
CHECKED = [line for page in pages() for line in lines(page, "headgate") if page not in HERE or keeps_running(line)]


@dataclass(frozen=True, slots=True)
class Output:
    """How a command ended, and its output."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Reader:
    """A user with a running stack. `environment` is complete, with the exports that `headgate local` printed."""

    environment: Mapping[str, str]
    folder: Path

    def run_in_process(self, line: str) -> Output:
        """Run the command in this process. Unexpected exceptions are raised."""
        gone = dict.fromkeys(os.environ)
        with contextlib.chdir(ROOT):
            done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:], env={**gone, **self.environment})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Output(done.exit_code, done.stdout, done.stderr)

    def run_in_shell(self, line: str) -> Output:
        """Run the line in a shell."""
        done = subprocess.run(
            ["bash", "-c", line], env=self.environment, cwd=ROOT,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Output(done.returncode, done.stdout, done.stderr)

    def json_of(self, line: str) -> Any:
        """The JSON answer of a command."""
        said = self.run_in_process(f"{line} --json")
        assert said.code == 0, said.err
        return json.loads(said.out)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader with a new stack."""
    logs = tmp_path / "functions.log"
    start = [str(BIN / "headgate"), "local", "--port", "0", "--idp-port", "0", "--logs", str(logs)]
    start += ["--parent", str(os.getpid())]
    nobody = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADGATE_"))}
    path = {"PATH": f"{BIN}:{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as stack:
        try:
            yield Reader(exported(stack, {**nobody, **path}), tmp_path)
        finally:
            stack.send_signal(signal.SIGTERM)


def exported(stack: "subprocess.Popen[str]", environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the exports that a stack prints, as soon as it prints them."""
    assert stack.stdout is not None
    said: list[str] = []
    for line in stack.stdout:
        said.append(line.strip())
        if said[-1].startswith("unset "):
            break
    copied = [line for line in said if line.startswith(("export ", "unset "))]
    assert len(copied) == 4, said
    script = "\n".join([*copied, "env -0"])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    return dict(each.split("=", 1) for each in done.stdout.split("\0") if each)


def a_session(reader: Reader) -> str:
    return str(reader.json_of("headgate sessions --subject alice")["sessions"][0]["id"])


def a_token_id(reader: Reader) -> str:
    payload = reader.json_of("headgate token --sub alice")["access_token"].split(".")[1]
    return str(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


def the_active_key(reader: Reader) -> str:
    return str(next(key["kid"] for key in reader.json_of("headgate keys")["keys"] if key["state"] == "active"))


def an_anchor(reader: Reader) -> str:
    entry = reader.json_of("headgate audit --limit 3")["entries"][-1]
    return f"{entry['revision']}:{entry['digest']}"


def a_file_of_ids(reader: Reader) -> str:
    file = reader.folder / "ids.txt"
    file.write_text("# the waiting list\n" + "".join(f"guest-{number}\n" for number in range(1_500)))
    return str(file)


FILLED_IN: dict[str, Callable[[Reader], str]] = {
    "SESSION_ID": a_session,
    "JTI": a_token_id,
    "KID": the_active_key,
    "ANCHOR": an_anchor,
    "IDS": a_file_of_ids,
    "LOG": lambda reader: str(reader.folder / "audit.jsonl"),
    "HEADS": lambda reader: str(reader.folder / "heads.jsonl"),
    "STACK": lambda _: STACK_NAME,
    "TONIGHT": lambda _: (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
}
"""What a reader fills in, and where it comes from."""


def filled_in(line: str, reader: Reader) -> str:
    return re.sub(r"\$([A-Z_]+)", lambda named: FILLED_IN[named[1]](reader), line)


@pytest.mark.system
@pytest.mark.parametrize("page", RUN)
def test_commands_of_a_page_work(reader: Reader, page: str) -> None:
    for line in () if page == "README.md" else FIRST:
        assert reader.run_in_process(line).code == 0
    for number, line in enumerate(RUN[page]):
        way = reader.run_in_shell if number == 0 else reader.run_in_process
        said = way(filled_in(line, reader))
        expected = REFUSED if re.search(r"\s# refused\b", line) else 0
        assert said.code == expected, f"{page}: {line}\n{said.out}{said.err}"
        assert "Traceback" not in said.err


def test_pages_have_commands() -> None:
    assert sum(map(len, RUN.values())) > 30


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("line", dict.fromkeys(CHECKED))
def test_commands_that_cannot_run_here_have_valid_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    group = words[1:3] if len(words) > 2 and words[1] in GROUPS else words[1:2]
    group = [word for word in group if re.fullmatch(r"[a-z]+", word)]
    told = CliRunner().invoke(app, [*group, "--help"])
    assert told.exit_code == 0, told.output
    assert options(words) <= set(re.findall(r"--[a-z-]+", told.stdout)) | EVERYWHERE


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_skipped_page_needs_an_account(page: str) -> None:
    found = lines(ROOT / page, "headgate")
    assert found
    assert all("--profile " in line or "--identity-token " in line for line in found)


@pytest.mark.parametrize("line", dict.fromkeys(line for page in pages() for line in lines(page, "make")))
def test_documented_make_target_exists(line: str) -> None:
    words = shlex.split(line, comments=True)
    done = subprocess.run(["make", "-n", *words[1:]], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
