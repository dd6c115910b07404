"""What the README and the docs tell people to type works, in the order in which they read it, on one running stack.

A line whose comment begins with `refused` must end with the exit code of a refusal, every other with 0. The stack is
started as a person would, and the commands get the environment that it prints.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from headgate_cli.local.declared import STACK_NAME

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
REFUSED = 6
ELSEWHERE = {
    "docs/deploy.md": "signed by a profile of a real account, or with an identity token of a real provider",
}
"""Pages whose commands cannot be run here, and why: of these it is checked that the options exist."""
LASTING = {"local", "tour", "console"}
"""Commands that start a stack of their own."""
GROUPS = {"flags", "audit", "sessions", "keys", "emergency"}
EVERYWHERE = {"--json", "--api", "--profile", "--region"}


def lines(page: Path, program: str) -> list[str]:
    """The lines of a page's sh blocks that call a program."""
    found = [line for block in BLOCK.findall(page.read_text()) for line in block.splitlines()]
    return [line for line in found if line.startswith(f"{program} ")]


def pages() -> list[Path]:
    """The README first, then the docs by name."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def lasts(line: str) -> bool:
    return line.split()[1] in LASTING


HERE = [page for page in pages() if page.relative_to(ROOT).as_posix() not in ELSEWHERE]
RUN = [(page.name, line) for page in HERE for line in lines(page, "headgate") if not lasts(line)]
CHECKED = [line for page in pages() for line in lines(page, "headgate") if page not in HERE or lasts(line)]

Command = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Runs a line of shell beside a stack, with what `headgate local` said to export."""
    logs = tmp_path_factory.mktemp("local") / "functions.log"
    start = [str(BIN / "headgate"), "local", "--port", "0", "--idp-port", "0", "--logs", str(logs)]
    start += ["--parent", str(os.getpid())]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as stack:
        try:
            exports = exported(stack)
            nobody = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADGATE_"))}
            environment = {**nobody, "PATH": f"{BIN}:{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}

            def run(line: str) -> "subprocess.CompletedProcess[str]":
                shell = ["bash", "-c", f"{exports}\n{line}"]
                return subprocess.run(
                    shell, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60, check=False
                )

            yield run
        finally:
            stack.send_signal(signal.SIGTERM)


def exported(stack: "subprocess.Popen[str]") -> str:
    """The lines that a stack tells to copy, as soon as it says them."""
    assert stack.stdout is not None
    said: list[str] = []
    for line in stack.stdout:
        said.append(line.strip())
        if said[-1].startswith("unset "):
            break
    copied = [line for line in said if line.startswith(("export ", "unset "))]
    assert len(copied) == 4, said
    return "\n".join(copied)


def asked(command: Command, line: str) -> Any:
    """What a command answers as JSON."""
    done = command(f"{line} --json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def a_session(command: Command) -> str:
    return str(asked(command, "headgate sessions --subject alice")["sessions"][0]["id"])


def a_token_id(command: Command) -> str:
    payload = asked(command, "headgate token --sub alice")["access_token"].split(".")[1]
    return str(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


def the_active_key(command: Command) -> str:
    return str(next(key["kid"] for key in asked(command, "headgate keys")["keys"] if key["state"] == "active"))


def an_anchor(command: Command) -> str:
    entry = asked(command, "headgate audit --limit 3")["entries"][-1]
    return f"{entry['revision']}:{entry['digest']}"


@cache
def a_folder() -> "TemporaryDirectory[str]":
    """Gone with the process."""
    return TemporaryDirectory()


def a_file_of_ids(_command: Command) -> str:
    file = Path(a_folder().name) / "ids.txt"
    file.write_text("# the waiting list\n" + "".join(f"guest-{number}\n" for number in range(1_500)))
    return str(file)


FILLED_IN: dict[str, Callable[[Command], str]] = {
    "SESSION_ID": a_session,
    "JTI": a_token_id,
    "KID": the_active_key,
    "ANCHOR": an_anchor,
    "IDS": a_file_of_ids,
    "LOG": lambda _: str(Path(a_folder().name) / "audit.jsonl"),
    "HEADS": lambda _: str(Path(a_folder().name) / "heads.jsonl"),
    "STACK": lambda _: STACK_NAME,
    "TONIGHT": lambda _: (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
}
"""What a reader fills in, and where from."""


def filled_in(line: str, command: Command) -> str:
    return re.sub(r"\$([A-Z_]+)", lambda named: FILLED_IN[named[1]](command), line)


@pytest.mark.system
def test_what_the_pages_say_to_type_does_what_they_say(command: Command) -> None:
    assert len(RUN) > 30
    for page, line in RUN:
        done = command(filled_in(line, command))
        expected = REFUSED if re.search(r"\s# refused\b", line) else 0
        assert done.returncode == expected, f"{page}: {line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("line", dict.fromkeys(CHECKED))
def test_what_is_typed_elsewhere_has_these_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    group = words[1:3] if len(words) > 2 and words[1] in GROUPS else words[1:2]
    group = [word for word in group if re.fullmatch(r"[a-z]+", word)]
    asked = [str(BIN / "headgate"), *group, "--help"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert options(words) <= set(re.findall(r"--[a-z-]+", told.stdout)) | EVERYWHERE


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_what_is_not_run_here_needs_an_account(page: str) -> None:
    found = lines(ROOT / page, "headgate")
    assert found
    assert all("--profile " in line or "--identity-token " in line for line in found)


@pytest.mark.parametrize("line", dict.fromkeys(line for page in pages() for line in lines(page, "make")))
def test_make_has_these_targets(line: str) -> None:
    words = shlex.split(line, comments=True)
    done = subprocess.run(["make", "-n", *words[1:]], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
