"""One word for one thing: no public name has two definitions, and a command's file bears its name."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest
from click import Command
from typer.main import get_command

from headgate.openapi import SERVED
from headgate_cli.main import app

ROOT = Path(__file__).parents[2]
PACKAGES = {"headgate": ROOT / "layers/headgate/headgate", "headgate_cli": ROOT / "cli/headgate_cli"}
COMMANDS = PACKAGES["headgate_cli"] / "commands"
HANDLERS = {route.handler.__name__ for route in SERVED.values()}
"""An API call and its command share a noun on purpose."""
TYPER_GROUP = "app"


def public_names(path: Path) -> set[str]:
    """The classes, functions and variables that a module defines at its top, without the private ones."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Assign():
                found.update(target.id for target in node.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return {name for name in found if not name.startswith("_")}


def test_no_public_name_has_two_definitions() -> None:
    defined = defaultdict(list)
    for folder in PACKAGES.values():
        for path in folder.rglob("*.py"):
            for name in public_names(path):
                defined[name].append(path)
    twice = {
        name: [str(path.relative_to(ROOT)) for path in paths]
        for name, paths in defined.items()
        if len(paths) > 1 and name != TYPER_GROUP and not is_a_call_and_its_command(name, paths)
    }
    assert twice == {}


def is_a_call_and_its_command(name: str, paths: list[Path]) -> bool:
    return name in HANDLERS and sum(COMMANDS not in path.parents for path in paths) == 1


def commands(command: Command, *words: str) -> list[tuple[str, ...]]:
    inner: dict[str, Command] = getattr(command, "commands", {})
    return [path for name, one in inner.items() for path in commands(one, *words, *name.split())] or [words]


PATHS = commands(get_command(app))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_command_is_in_the_file_of_its_name(path: tuple[str, ...]) -> None:
    files = {"_".join(path[:count]) for count in range(1, len(path) + 1)}
    assert any((COMMANDS / f"{name}.py").exists() for name in files)


def test_every_file_of_commands_is_a_command() -> None:
    known = {"_".join(path[:count]) for path in PATHS for count in range(1, len(path) + 1)}
    assert {path.stem for path in COMMANDS.glob("*.py")} - {"__init__"} <= known
