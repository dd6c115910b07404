"""Decides whether policies let a principal invoke a route: an explicit Deny wins, else an Allow is required.

It reads identity policies as CloudFormation writes them. Conditions are not emulated: a statement with one is refused
when the policies are loaded, so that nothing is allowed here that is denied on AWS. It must not know signatures or
HTTP.
Source: AWS IAM User Guide, "Policy evaluation logic"; API Gateway Developer Guide, "Control access to invoke an API".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

INVOKE = "execute-api:Invoke"
_MEMBERS = frozenset({"Sid", "Effect", "Action", "Resource"})


class PolicyRefused(Exception):
    """A policy contains something that is not emulated."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One compiled statement. Actions match case-insensitively, resources case-sensitively."""

    allows: bool
    actions: tuple[re.Pattern[str], ...]
    resources: tuple[re.Pattern[str], ...]

    def covers(self, action: str, resource: str) -> bool:
        return any(p.fullmatch(action) for p in self.actions) and any(p.fullmatch(resource) for p in self.resources)


def compile_policies(documents: Iterable[Mapping[str, Any]]) -> tuple[Statement, ...]:
    """Compile the statements of policy documents. Raises PolicyRefused for a member that is not emulated."""
    return tuple(_statement(item) for document in documents for item in _as_list(document["Statement"]))


def is_allowed(statements: Iterable[Statement], action: str, resource: str) -> bool:
    """Return whether the statements allow the action on the resource (an ARN)."""
    covering = [statement for statement in statements if statement.covers(action, resource)]
    return bool(covering) and all(statement.allows for statement in covering)


def _statement(item: Mapping[str, Any]) -> Statement:
    unknown = set(item) - _MEMBERS
    if unknown or item.get("Effect") not in ("Allow", "Deny"):
        raise PolicyRefused(f"a statement's {min(unknown, default='Effect')} is not emulated")
    resources = [str(value) for value in _as_list(item["Resource"])]
    if any("${" in value for value in resources):
        raise PolicyRefused("policy variables are not emulated here")
    return Statement(
        allows=item["Effect"] == "Allow",
        actions=tuple(_pattern(str(value), re.IGNORECASE) for value in _as_list(item["Action"])),
        resources=tuple(_pattern(value) for value in resources),
    )


def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Compile IAM's wildcards: `*` is any text, including slashes; `?` is one character."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text)
    return re.compile("".join(parts), flags | re.DOTALL)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
