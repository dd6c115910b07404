"""Small edits that each make a template's source invalid. It knows no rule."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from template_checks.deployment import Check, Deployment, Raw

Edit = Callable[[Raw], None]
TABLE = {"Fn::GetAtt": ["Table", "Arn"]}


def at(source: Raw, path: str) -> Any:
    """The member at a dotted path; a number is a list index."""
    for part in path.split("."):
        source = source[int(part)] if isinstance(source, list) else source[part]
    return source


def _parent(source: Raw, path: str) -> tuple[Any, Any]:
    before, _, name = path.rpartition(".")
    parent = at(source, before)
    return parent, int(name) if isinstance(parent, list) else name


def put(path: str, value: Any) -> Edit:
    """Set or create a member."""

    def edit(source: Raw) -> None:
        parent, name = _parent(source, path)
        parent[name] = value

    return edit


def drop(path: str) -> Edit:
    """Remove an existing member."""

    def edit(source: Raw) -> None:
        parent, name = _parent(source, path)
        del parent[name]

    return edit


def append(path: str, value: Any) -> Edit:
    """Append to a list."""
    return lambda source: at(source, path).append(value)


def copy_of(name: str) -> Edit:
    """Duplicate a resource under another logical id."""
    return lambda source: source["Resources"].update({f"Another{name}": source["Resources"][name]})


def with_one_route(source: Raw) -> None:
    """Remove most routes, for rules that ignore them: the translator's time grows with their square."""
    for resource in source["Resources"].values():
        for name in [n for n in resource.get("Properties", {}).get("Events", {}) if n != "Kill"]:
            del resource["Properties"]["Events"][name]


def event(function: str, name: str, member: str) -> str:
    """The path of a member of a function's event."""
    return f"Resources.{function}Function.Properties.Events.{name}.Properties.{member}"


def route(function: str, method: str, path: str, auth: str | None = None, name: str = "More") -> Edit:
    """Add a route."""
    properties: Raw = {"ApiId": {"Ref": "HttpApi"}, "Method": method, "Path": path}
    if auth:
        properties["Auth"] = {"Authorizer": auth}
    where = f"Resources.{function}Function.Properties.Events.{name}"
    return put(where, {"Type": "HttpApi", "Properties": properties})


def _policy(source: Raw, function: str) -> list[Raw]:
    found: list[Raw] = at(source, f"Resources.{function}Function.Properties.Policies.0.Statement")
    return found


def statement(function: str, sid: str, **members: Any) -> Edit:
    """Change members of a function's statement; None removes one."""

    def edit(source: Raw) -> None:
        (found,) = [s for s in _policy(source, function) if s["Sid"] == sid]
        for name, value in members.items():
            found[name] = value
            if value is None:
                del found[name]

    return edit


def without(function: str, sid: str) -> Edit:
    """Remove one of a function's statements."""

    def edit(source: Raw) -> None:
        (found,) = [s for s in _policy(source, function) if s["Sid"] == sid]
        _policy(source, function).remove(found)

    return edit


def also(function: str, **members: Any) -> Edit:
    """Add a statement."""
    return lambda source: _policy(source, function).append({"Sid": "More", "Effect": "Allow", **members})


def may_invoke(policy: str, last: str) -> Edit:
    """Add a resource to a managed policy."""
    arn = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${HttpApi}/" + last
    return append(f"Resources.{policy}.Properties.PolicyDocument.Statement.0.Resource", {"Fn::Sub": arn})


def logged(instead_of: str, variable: str) -> Edit:
    """Use another variable in the access log's format."""

    def edit(source: Raw) -> None:
        settings = at(source, "Resources.HttpApi.Properties.AccessLogSettings")
        before, found, after = settings["Format"].partition(f"$context.{instead_of}")
        assert found
        settings["Format"] = f"{before}$context.{variable}{after}"

    return edit


def broken_by(table: Mapping[Check, Mapping[str, Edit]]) -> list[Any]:
    """Each check of a table with each edit that it must find, as parameters of a test."""
    return [
        pytest.param(check, edit, id=f"{check.__name__}-{name}")
        for check, edits in table.items()
        for name, edit in edits.items()
    ]


def takes(deployment: Deployment, name: str, value: str) -> bool:
    """Whether a parameter's pattern allows a value."""
    return re.fullmatch(deployment.source["Parameters"][name]["AllowedPattern"], value) is not None
