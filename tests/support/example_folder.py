"""An example of examples/, run as its README says: copied out of the project, its shell blocks as they stand there.

A command with a comment that starts with a digit or `<` must print just that. `npm start` runs on beside the rest.
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
"""Seconds for one block, or for a server to come up."""


@dataclass(frozen=True, slots=True)
class Example:
    """A copy of an example, and the environment in which its commands run."""

    folder: Path
    environment: Mapping[str, str]

    def blocks(self) -> list[str]:
        """The README's shell blocks."""
        return BLOCK.findall((self.folder / "README.md").read_text())

    def run(self, block: str, **addresses: str) -> str:
        """Run a block and check what its commands print. `addresses` stand in for the README's, by their name there."""
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
        """What shell commands print; the first that fails ends them, and the test."""
        return run(["bash", "-euo", "pipefail", "-c", commands], self.folder, {**self.environment, **environment})

    @contextlib.contextmanager
    def serving(self, **environment: str) -> Generator[str]:
        """`npm start` for as long as the block needs it: the address that it says it listens on."""
        server = subprocess.Popen(
            ["npm", "start", "--silent"],
            cwd=self.folder, env={**self.environment, "PORT": "0", **environment},
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        end = partial(os.killpg, server.pid, signal.SIGTERM)  # npm and what it started
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
