"""docs/requirements.md names a test for each requirement, and only tests that exist."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TABLE = TESTS.parent / "docs" / "requirements.md"
ROW = re.compile(r"^\| R(\d+) \|(.*)$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
REQUIREMENTS = range(1, 51)


def rows() -> dict[int, list[tuple[str, str]]]:
    """Requirement to (file, test)."""
    found = ROW.findall(TABLE.read_text())
    assert [int(number) for number, _ in found] == list(REQUIREMENTS)
    return {int(number): NAMED.findall(text) for number, text in found}


def names_in(file: str) -> set[str]:
    """The names of a file's tests, including those in classes."""
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_requirement_has_a_test_that_exists() -> None:
    table = rows()
    assert not [number for number, tests in table.items() if not tests]
    missing = {(file, name) for tests in table.values() for file, name in tests if name not in names_in(file)}
    assert not missing


def test_every_test_named_after_a_requirement_is_in_its_row() -> None:
    table = rows()
    for path in sorted((TESTS / "system").glob("test_*.py")):
        file = path.relative_to(TESTS).as_posix()
        for name in names_in(file):
            for number in re.findall(r"_r(\d\d)(?=_)", name):
                assert (file, name) in table[int(number)], f"{file}::{name} is not in the row of R{int(number)}"
