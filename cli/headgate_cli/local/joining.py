"""Joins two stacks: the gate, and a service behind it whose own API has the gate as authorizer.

On AWS each stack has its own API; here one host and port serves both. Whatever would behave differently is refused.
It must not know YAML or how a template is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from headgate_cli.local.declared import Template
from headgate_cli.local.intrinsics import TemplateError
from headgate_cli.local.routes import refuse_twins

_T = TypeVar("_T")


def join_templates(gate: Template, app: Template) -> Template:
    """Return the gate's template with an app's added. Raises TemplateError if they conflict."""
    for name, authorizer in app.authorizers.items():
        if gate.authorizers.get(name) != authorizer:
            raise TemplateError(f"authorizer {name} of the app differs from the gate's")
    if app.cors not in (None, gate.cors):
        raise TemplateError("CorsConfiguration of the app differs from the gate's: locally, one host serves both")
    routes = (*gate.routes, *app.routes)
    refuse_twins(routes)
    return replace(
        gate,
        functions=_apart(gate.functions, app.functions),
        routes=routes,
        tables=(*gate.tables, *app.tables),
        keys=(*gate.keys, *app.keys),
        policies=_apart(gate.policies, app.policies),
        aliases=_apart(gate.aliases, app.aliases),
    )


def _apart(gate: Mapping[str, _T], app: Mapping[str, _T]) -> dict[str, _T]:
    """Return both. Logical ids must be distinct, since they are the functions' local names."""
    for name in gate.keys() & app.keys():
        raise TemplateError(f"{name} is a resource of both the gate and the app")
    return {**gate, **app}
