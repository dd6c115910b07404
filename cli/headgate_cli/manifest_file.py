"""Manifest files: YAML in, YAML out. Reads the scalars of YAML 1.2's core schema, in every spelling, and no others.

PyYAML reads YAML 1.1, where `on` is true, `12:30` is a number, and the last of two equal keys silently wins. A manifest
of access rules must mean what it says, so those are off here, a duplicate key is an error, and so is an alias: a few
lines of aliases can stand for gigabytes, or for a document without an end.
Source: YAML 1.2.2 §10.3.2 (core schema). `012` stays text: it is 12 there, but 10 in YAML 1.1.
"""

import math
import re
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from headgate_cli import failures

_STANDARD_INPUT = "-"
MAX_FILE_BYTES = 6_291_456
"""A larger manifest does not fit into one request (Lambda quota: 6 MB)."""
MAX_DEPTH = 64
"""Levels of nesting; a manifest has 7."""
_TAG = "tag:yaml.org,2002:"


class Loader(yaml.SafeLoader):
    """YAML 1.2 core scalars and unique text keys, without what other libraries add to SafeLoader."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML declares it
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}
    yaml_multi_constructors: ClassVar[dict[str | None, Any]] = {}

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node of a tree: no aliases, and at most `MAX_DEPTH` levels."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _fault(f"an alias (*{event.anchor}) is not allowed; write the value out", event.start_mark)
        if self.depth == MAX_DEPTH:
            raise _fault(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping whose keys are distinct strings."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                what = "duplicate key" if isinstance(key, str) else "a key must be text, not"
                raise _fault(f"{what} {key!r}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _fault(what: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=mark)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_NULLS, _BOOLEANS = ("~", "null", "Null", "NULL", ""), {"true": True, "false": False}
_WORDS = {word: value for text, value in _BOOLEANS.items() for word in (text, text.capitalize(), text.upper())}
SCALARS: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("null", "|".join(_NULLS), "~nN", dict.fromkeys(_NULLS).__getitem__),
    ("bool", "|".join(_WORDS), "tTfF", _WORDS.__getitem__),
    ("int", r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789", lambda text: int(text, 0)),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
     "-+.0123456789", _finite),
)  # fmt: skip
"""The core schema's scalars that are not text: kind, pattern, first characters, and how one is read."""


def _constructor(kind: str, read: Callable[[str], Any]) -> Callable[[Loader, yaml.ScalarNode], Any]:
    def construct(loader: Loader, node: yaml.ScalarNode) -> Any:
        text = str(loader.construct_scalar(node))
        try:
            return read(text)
        except (KeyError, ValueError):
            raise _fault(f"{text[:40]!r} is not a valid {kind}; quote it if it is text", node.start_mark) from None

    return construct


for kind, pattern, first, read in SCALARS:
    Loader.add_implicit_resolver(_TAG + kind, re.compile(rf"^(?:{pattern})$"), [*first, *[""] * (kind == "null")])
    Loader.yaml_constructors[_TAG + kind] = _constructor(kind, read)
for kind in ("str", "seq", "map"):
    Loader.yaml_constructors[_TAG + kind] = getattr(yaml.SafeLoader, f"construct_yaml_{kind}")
Loader.yaml_constructors[None] = yaml.SafeLoader.construct_undefined


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest file, or standard input for `-`. Raises `Failure` (usage) with the line of the error."""
    return read_mapping(path, "access, token, flags, routes")


def read_mapping(path: Path, members: str = "") -> dict[str, Any]:
    """Read a mapping from a YAML file like a manifest. Raises `Failure` (usage) with the line of the error."""
    text = _text_of(path)
    try:
        document = yaml.load(text, Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise failures.usage(f"{path} is not valid YAML: {_where(error)}") from None
    if not isinstance(document, dict):
        raise failures.usage(f"{path} must contain a mapping" + (f": {members}" if members else ""))
    return document


def _text_of(path: Path) -> str:
    try:
        if str(path) == _STANDARD_INPUT:
            held = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with path.open("rb") as stream:
                held = stream.read(MAX_FILE_BYTES + 1)
        if len(held) > MAX_FILE_BYTES:
            raise failures.usage(f"{path} is larger than 6 MB", "split it: apply changes only the flags that it names")
        return held.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise failures.usage(f"cannot read {path}: {type(error).__name__}") from None


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


class Dumper(yaml.SafeDumper):
    """Quotes text that a YAML parser could read as a number."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if value[:1] in tuple("+-.0123456789") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, _text)


def manifest_text(document: dict[str, Any]) -> str:
    """Return a manifest as ASCII YAML that reads back as the same document."""
    text = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=False, default_flow_style=None, width=110)
    return str(text)
