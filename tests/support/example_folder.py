"""A folder of examples/, run as its README says: copied out of the project, with its shell blocks unchanged.

A command with a comment that starts with a digit or `<` must print exactly that. `npm start` runs in the background.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Timer

from node_scripts import run

from headgate_cli.local.stack import Stack

EXAMPLES = Path(__file__).parents[2] / "examples"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"^(?P<command>.*\S)\s+# (?P<printed>[0-9<].*)$")
LISTENING = "listening on "
LIMIT = 180
"""Seconds for one block, or for a server to start."""


@dataclass(frozen=True, slots=True)
class Example:
    """A copy of an example, and the environment for its commands."""

    folder: Path
    environment: Mapping[str, str]

    def blocks(self) -> list[str]:
        """The README's shell blocks."""
        return BLOCK.findall((self.folder / "README.md").read_text())

    def run(self, block: str, **addresses: str) -> str:
        """Run a block and check the output of its commands. `addresses` replace the README's, by their name there."""
        commands: list[str] = []
        expected: dict[str, str] = {}
        for line in block.splitlines():
            named = re.match(r"^([A-Z]+)=http://", line)
            if named:
                commands.append(f"{named[1]}={addresses[named[1]]}")
            elif found := PRINTS.match(line):
                name = f".printed-{len(expected)}"
                expected[name] = found["printed"]
                commands.append(f"{found['command']} > {name}")
            else:
                commands.append(line)
        said = self.shell("\n".join(commands))
        for name, printed in expected.items():
            assert (self.folder / name).read_text().strip() == printed, block
        return said

    def shell(self, commands: str, **environment: str) -> str:
        """The output of shell commands. The first failure ends them and the test."""
        return run(["bash", "-euo", "pipefail", "-c", commands], self.folder, {**self.environment, **environment})

    @contextlib.contextmanager
    def serving(self, **environment: str) -> Generator[str]:
        """Run `npm start` for the duration of the block. Yields the URL that it prints."""
        server = subprocess.Popen(
            ["npm", "start", "--silent"],
            cwd=self.folder, env={**self.environment, "PORT": "0", **environment},
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        end = partial(os.killpg, server.pid, signal.SIGTERM)  # npm and its children
        overdue = Timer(LIMIT, end)
        overdue.start()
        assert server.stdout is not None
        try:
            line = next((line for line in server.stdout if line.startswith(LISTENING)), "")
            assert line, "npm start ended"
            yield line.removeprefix(LISTENING).strip()
        finally:
            overdue.cancel()
            end()
            server.stdout.read()  # until all of them have closed it
            server.stdout.close()
            server.wait()


def copied(name: str, folder: Path, stack: Stack) -> Example:
    """A copy of an example, with the exports that `headgate local` prints."""
    shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("node_modules", "dist"))
    admin = stack.ready["admin"]
    exports = {
        "HEADGATE_API": stack.api,
        "HEADGATE_IDP": stack.idp,
        "AWS_REGION": str(stack.ready["region"]),
        "AWS_ACCESS_KEY_ID": admin["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": admin["secret_access_key"],
        "NO_PROXY": "127.0.0.1,localhost",
        "npm_config_prefer_offline": "true",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADGATE_"))}
    return Example(folder / name, {**inherited, **exports})
