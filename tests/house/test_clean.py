"""What no file may contain: registry hosts, machine paths, mocks, secrets, broken links."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTRIES = "|".join(("py" + "pi\\.", "pythonho" + "sted\\.", "registry\\.np" + "mjs\\.", "deb\\.deb" + "ian\\."))
FORBIDDEN = {
    "a registry's host": re.compile(REGISTRIES),
    "an index line": re.compile(r"^\s*--(extra-)?index-" + "url", re.MULTILINE),
    "a path of one machine": re.compile(r"(/ro" + r"ot/|/ho" + r"me/\w|/Us" + r"ers/\w|\.py" + "env/)"),
    "a mock": re.compile(r"unittest import mo" + r"ck|unittest\.mo" + r"ck|Magic" + r"Mock|monkeypatch\.set" + "attr"),
    "something left undone": re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + "Error"),
    "a private key": re.compile(r"BEGIN (EC |RSA )?PRI" + "VATE KEY"),
    "a token": re.compile(r"eyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\."),
}


def tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    yield from (ROOT / name for name in listed.split("\0") if name)


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        try:
            yield path, path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(what: str) -> None:
    found = [str(path.relative_to(ROOT)) for path, text in texts() if FORBIDDEN[what].search(text)]
    assert found == []


def test_every_link_in_the_docs_resolves() -> None:
    broken = [
        f"{path.name}: {target}"
        for path, text in texts()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []


def test_modules_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {text.count(chr(10))}"
        for path, text in texts()
        if path.suffix == ".py" and "tests" not in path.parts and text.count("\n") > 300
    ]
    assert long == []
