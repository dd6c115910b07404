"""Decides what two stacks are as one: the gate, and a service behind it whose own API has the gate as authorizer.

On AWS each has its API; here one host and port answers for both. Whatever could not mean the same on both is refused.
It must not know YAML or how any of it is run.
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
    """The gate's template with an app's in it. Raises TemplateError where the two do not fit."""
    for name, authorizer in app.authorizers.items():
        if gate.authorizers.get(name) != authorizer:
            raise TemplateError(f"authorizer {name} of the app is not the gate's")
    if app.cors not in (None, gate.cors):
        raise TemplateError("CorsConfiguration of the app is not the gate's: one host answers for both here")
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
    """Both. A logical id is a function's name here, so that it may be there once."""
    for name in gate.keys() & app.keys():
        raise TemplateError(f"{name} is a resource of the gate and of the app")
    return {**gate, **app}
