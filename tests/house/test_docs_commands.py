"""What the README and the docs tell people to type works: each page in its order, on a stack of its own.

A line whose comment begins with `refused` must end with the exit code of a refusal, every other with 0. The stack is
started as a person would, and the commands get the environment that it prints. The first line of a page is typed into
a shell, so that the installed command is tested; the others run in this process.
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
from command_line import run_here

from headgate_cli.local.declared import STACK_NAME

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
REFUSED = 6
ELSEWHERE = {
    "docs/deploy.md": "signed by a profile of a real account, or with an identity token of a real provider",
    "docs/identity-providers.md": "with an identity token of a real provider; tests/cli/test_token.py has one",
}
"""Pages whose commands cannot be run here, and why: of these it is checked that the options exist."""
LASTING = {"local", "tour", "console"}
"""Commands that start a stack of their own."""
GROUPS = {"flags", "audit", "sessions", "keys", "emergency"}
EVERYWHERE = {"--json", "--api", "--profile", "--region"}
FIRST = (
    'headgate allow gastown-access --user alice --reason "first tester"',
    'headgate stage gastown-access percentage --percent 25 --reason "a quarter"',
)
"""What a reader of the docs has done before: the README's five minutes."""


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
RUN = {page.name: found for page in HERE if (found := [line for line in lines(page, "headgate") if not lasts(line)])}
CHECKED = [line for page in pages() for line in lines(page, "headgate") if page not in HERE or lasts(line)]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody beside a stack. `environment` is the whole of it, with what `headgate local` said to export."""

    environment: Mapping[str, str]
    folder: Path

    def runs(self, line: str) -> "subprocess.CompletedProcess[str]":
        """The command in this process."""
        with contextlib.chdir(ROOT):
            return run_here(shlex.split(line, comments=True)[1:], self.environment)

    def types(self, line: str) -> "subprocess.CompletedProcess[str]":
        """The line, into a shell."""
        return subprocess.run(
            ["bash", "-c", line], env=self.environment, cwd=ROOT,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def asks(self, line: str) -> Any:
        """What a command answers as JSON."""
        done = self.runs(f"{line} --json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """One, beside a new stack."""
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
    """The environment after the lines that a stack tells to copy, as soon as it says them."""
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
    return str(reader.asks("headgate sessions --subject alice")["sessions"][0]["id"])


def a_token_id(reader: Reader) -> str:
    payload = reader.asks("headgate token --sub root --admin")["access_token"].split(".")[1]
    return str(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


def the_active_key(reader: Reader) -> str:
    return str(next(key["kid"] for key in reader.asks("headgate keys")["keys"] if key["state"] == "active"))


def an_anchor(reader: Reader) -> str:
    entry = reader.asks("headgate audit --limit 3")["entries"][-1]
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
"""What a reader fills in, and where from."""


def filled_in(line: str, reader: Reader) -> str:
    return re.sub(r"\$([A-Z_]+)", lambda named: FILLED_IN[named[1]](reader), line)


@pytest.mark.system
@pytest.mark.parametrize("page", RUN)
def test_what_a_page_says_to_type_does_what_it_says(reader: Reader, page: str) -> None:
    for line in () if page == "README.md" else FIRST:
        assert reader.runs(line).returncode == 0
    for number, line in enumerate(RUN[page]):
        way = reader.types if number == 0 else reader.runs
        done = way(filled_in(line, reader))
        expected = REFUSED if re.search(r"\s# refused\b", line) else 0
        assert done.returncode == expected, f"{page}: {line}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_pages_say_what_to_type() -> None:
    assert sum(map(len, RUN.values())) > 30


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("line", dict.fromkeys(CHECKED))
def test_what_is_typed_elsewhere_has_these_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    group = words[1:3] if len(words) > 2 and words[1] in GROUPS else words[1:2]
    group = [word for word in group if re.fullmatch(r"[a-z]+", word)]
    told = run_here([*group, "--help"], os.environ)
    assert told.returncode == 0, told.stderr
    assert options(words) <= set(re.findall(r"--[a-z-]+", told.stdout)) | EVERYWHERE


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_what_is_not_run_here_needs_an_account(page: str) -> None:
    found = lines(ROOT / page, "headgate")
    assert found
    assert all(re.search(r" --(profile|identity-token|parameters) ", line) for line in found)


def make_lines() -> dict[str, None]:
    """Each `make …` of every page, in a block or in a sentence."""
    every = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    spans = [span for page in every for span in re.findall(r"`((?:[A-Z]+=\S+ )?make [^`]+)`", page.read_text())]
    return dict.fromkeys([*(line for page in every for line in lines(page, "make")), *spans])


@pytest.mark.parametrize("line", make_lines())
def test_make_has_these_targets(line: str) -> None:
    words = shlex.split(line, comments=True)
    done = subprocess.run(
        ["make", "-n", *words[words.index("make") + 1 :]], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
