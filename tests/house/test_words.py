"""The words of the code are those of the glossary, and prose uses plain English."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/headgate/headgate"
TECHNICAL = frozenset(
    """alarm algorithm auth authorizer batch body bodies break bug capped commit compact condition contended context
    dynamo ending error evaluate failed fetch http init invalid jwks key kind kms large legacy limit local malformed
    misconfigured model move no not o openapi openfeature p paging port problem provider public put reader record
    secret setting signer source store switched table telemetry throttled too unavailable unreadable watch gap page
    item dict admin oauth health gate sdk headgate allowed asked denied crowd committed reconciliation reconciler
    verifier rotate recorded placed rate origin tracing""".split()
)
"""Words of programming and of this stack's libraries, which no glossary needs to explain."""

PLAIN = {
    r"\bgone on with\b|\bgoes? on with\b": "resume, continue",
    r"\bheld against\b|\bheld to\b": "compared with, checked against",
    r"\blest\b": "so that … not",
    r"\banew\b": "again, from scratch",
    r"\bwhat becomes of\b": "what happens to",
    r"\bby itself alone\b": "alone",
    r"\btells? of\b": "describes",
    r"\bbears?\b": "has",
    r"\bhangs? on\b": "depends on",
    r"\blies there\b|\blie there\b": "is stored",
    r"\bis not taken\b|\bare not taken\b|\bare taken\b": "is rejected, are accepted",
    r"\bwhoever they like\b": "anyone",
    r"\bwhite-?list|\bblack-?list": "allowlist, deny set",
    r"\bfeature toggle": "flag",
    r"\bsay --|\bsay allow_": "pass --…, set …",
}
"""What prose here must not say, and what to say."""


def words_of(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def glossary() -> set[str]:
    words = set(re.findall(r"[a-z]+", (ROOT / "docs/glossary.md").read_text(encoding="utf-8").lower()))
    return words | {word.removesuffix("s") for word in words} | {word.removesuffix("ing") for word in words}


def names() -> Iterator[str]:
    """The package's modules and public classes, apart from the models that only describe answers."""
    for path in PACKAGE.rglob("*.py"):
        if "openapi" in path.parts:
            continue
        yield path.stem
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name


def test_modules_and_classes_use_the_words_of_the_glossary() -> None:
    known = glossary() | TECHNICAL
    unknown = {
        name for name in names() for word in words_of(name) if not known & {word, word.removesuffix("s"), f"{word}s"}
    }
    assert unknown == set(), "explain the word in docs/glossary.md, or use one that is there"


@cache
def prose() -> tuple[tuple[str, str], ...]:
    """Pages, templates, and the strings and comments of product code."""
    return tuple(_prose())


def _prose() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in (".md", ".yaml", ".html") and not name.startswith("tests/"):
            yield name, path.read_text(encoding="utf-8")
        elif path.suffix == ".py" and name.split("/")[0] in ("layers", "cli", "functions", "examples"):
            source = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
            kinds = (tokenize.STRING, tokenize.COMMENT)
            yield name, "\n".join(token.string for token in source if token.type in kinds)


@pytest.mark.parametrize("phrase", PLAIN)
def test_prose_is_plain(phrase: str) -> None:
    found = [
        f"{name}: {text[max(0, hit.start() - 30) : hit.end() + 30]!r}"
        for name, text in prose()
        for hit in re.finditer(phrase, text, re.IGNORECASE)
    ]
    assert found == [], f"say: {PLAIN[phrase]}"
