"""docs/attacks.md has a row for each code that a test is named by, and a test for each row."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "attacks.md"
ROW = re.compile(r"^\| ([TZPEA]\d{1,2}) \|(.+)\|(.+)\|(.+)\|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py)`")
IN_A_NAME = re.compile(r"_([tzpea]\d{1,2})(?=_)")
IN_AN_ID = re.compile(r"([TZPEA]\d{1,2})-")
IN_A_DOCSTRING = re.compile(r"(?<!\w)([TZPEA]\d{1,2})(?!\w)")


def rows() -> list[tuple[str, list[str]]]:
    """Code and test files of each row, top to bottom."""
    found = [(code, NAMED.findall(files)) for code, _input, _answer, files in ROW.findall(PAGE.read_text())]
    assert len(found) > 80
    return found


def codes_in(source: str) -> Iterator[str]:
    """The codes in the names of a file's tests, the ids of their cases, and docstrings, as the page writes them."""
    for node in ast.walk(ast.parse(source)):
        found: list[str] = []
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found = IN_A_NAME.findall(node.name.removeprefix("test"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and IN_AN_ID.match(node.value):
            found = IN_AN_ID.findall(node.value)[:1]
        if isinstance(node, ast.Module | ast.FunctionDef):
            found += IN_A_DOCSTRING.findall(ast.get_docstring(node) or "")
        yield from (f"{code[0].upper()}{int(code[1:])}" for code in found)


def used() -> dict[str, set[str]]:
    """Test file to the codes it uses; what tests share counts too, under its own name."""
    files = {path.relative_to(TESTS).as_posix(): path.read_text() for path in TESTS.rglob("*.py")}
    return {name: set(codes_in(source)) for name, source in files.items()}


def test_a_code_is_found_in_names_ids_and_docstrings() -> None:
    source = 'IDS = {"T9-x": 1, f"P54-{1}": 2, "%A1-b": 3}\ndef test_z07_z31_a():\n    """E60 to E71."""\n'
    assert set(codes_in(source)) == {"T9", "P54", "Z7", "Z31", "E60", "E71"}


def test_rows_are_unique() -> None:
    assert [code for code, times in Counter(code for code, _ in rows()).items() if times > 1] == []
    numbers = [int(code[1:]) for code, _ in rows()]
    assert len(set(numbers)) == len(numbers)


def test_every_code_has_a_row() -> None:
    listed = {code for code, _ in rows()}
    missing = {name: sorted(codes - listed) for name, codes in used().items() if codes - listed}
    missing.pop("house/test_attacks_page.py", None)  # the made-up source above
    assert missing == {}


def test_every_row_names_tests_that_exist_and_one_that_uses_its_code() -> None:
    codes = used()
    codes["system/test_bad_input_tokens.py"] |= codes["support/forged.py"]  # whose tokens are cases of that file
    assert [code for code, files in rows() if not files] == []
    assert [(code, name) for code, files in rows() for name in files if name not in codes] == []
    assert [code for code, files in rows() if not any(code in codes[name] for name in files)] == []
