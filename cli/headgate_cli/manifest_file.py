"""Manifest files: YAML in, YAML out. Reads only what YAML 1.2's JSON-like core gives, so that `on` stays a word.

PyYAML reads YAML 1.1, where `on` is true, `12:30` a number and a repeated key silently wins; a manifest of access rules
must mean what it says, so those readings are off here and a repeated key is refused.
"""

import re
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from headgate_cli import failures

_STANDARD_INPUT = "-"


class Loader(yaml.SafeLoader):
    """YAML 1.2 core scalars, unique text keys. What other libraries add to SafeLoader is not read here."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML declares it
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}
    yaml_multi_constructors: ClassVar[dict[str | None, Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are distinct strings."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                what = "is given twice" if isinstance(key, str) else "must be text"
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} {what}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


SCALARS = (
    ("tag:yaml.org,2002:null", r"~|null|", ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", r"true|false", list("tf")),
    ("tag:yaml.org,2002:int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("tag:yaml.org,2002:float", r"-?(0|[1-9][0-9]*)\.[0-9]+", list("-0123456789")),
)
for tag, pattern, first in SCALARS:
    Loader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), first)
for kind in ("null", "bool", "int", "float", "str", "seq", "map"):
    Loader.yaml_constructors[f"tag:yaml.org,2002:{kind}"] = getattr(yaml.SafeLoader, f"construct_yaml_{kind}")
Loader.yaml_constructors[None] = yaml.SafeLoader.construct_undefined


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest file, or standard input for `-`. Raises `Failure` (usage) with the line at fault."""
    return read_mapping(path, "access, token, flags, routes")


def read_mapping(path: Path, members: str = "") -> dict[str, Any]:
    """Read a file that is read like a manifest. Raises `Failure` (usage) with the line at fault."""
    try:
        text = sys.stdin.read() if str(path) == _STANDARD_INPUT else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise failures.usage(f"cannot read {path}: {type(error).__name__}") from None
    try:
        document = yaml.load(text, Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise failures.usage(f"{path} is not YAML that a manifest may hold: {_where(error)}") from None
    if not isinstance(document, dict):
        raise failures.usage(f"{path} must hold a mapping" + (f": {members}" if members else ""))
    return document


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


class Dumper(yaml.SafeDumper):
    """Quotes what some reader could take for a number."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "'" if value[:1] in tuple("+-.0123456789") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, _text)


def manifest_text(document: dict[str, Any]) -> str:
    """A manifest as YAML, in ASCII, that reads back as the same document."""
    text = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=False, default_flow_style=None, width=110)
    return str(text)
