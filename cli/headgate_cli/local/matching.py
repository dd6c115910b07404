"""Decides which declared route a request is for, by exact path segments and the most specific match.

Segments are compared as they came, not decoded: `/v1/%74oken` is no route, since a policy on paths would read it
differently. A parameter takes one whole segment, decoded; an empty or dot segment is never a parameter. Thus a trailing
slash, `//` and `/../` match nothing. It must not know authorisation.
Source: API Gateway Developer Guide, "Routes for HTTP APIs": a full match before a parameter, further left first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from headgate_cli.local.declared import DeclaredRoute


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the values of its parameters, percent-decoded as UTF-8 (bad bytes become U+FFFD)."""

    route: DeclaredRoute
    parameters: dict[str, str]


class Routes:
    """The declared routes, ready to be matched."""

    def __init__(self, routes: Iterable[DeclaredRoute]) -> None:
        self._table: dict[tuple[str, int], list[tuple[list[str], DeclaredRoute]]] = {}
        for route in sorted(routes, key=lambda route: [part.startswith("{") for part in route.path.split("/")]):
            segments = route.path.split("/")
            self._table.setdefault((route.method, len(segments)), []).append((segments, route))

    def match(self, method: str, path: str) -> Match | None:
        """The route for a method and a raw path (no query), or None."""
        given = path.split("/")
        for segments, route in self._table.get((method, len(given)), ()):
            parameters = _parameters(segments, given)
            if parameters is not None:
                return Match(route, parameters)
        return None


def _parameters(segments: list[str], given: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for declared, actual in zip(segments, given, strict=True):
        if declared.startswith("{"):
            if actual in ("", ".", ".."):
                return None
            parameters[declared[1:-1]] = unquote(actual, errors="replace")
        elif declared != actual:
            return None
    return parameters
