"""Checks of a deployed stack: its routes, and the concurrency that is reserved for the kill.

API Gateway's import is silent about what it leaves out, so the routes of the live API are compared with the template's.
They must not know how a finding is shown.

Source: API Gateway V2 API reference, GetRoutes and GetAuthorizer; Lambda Developer Guide, "Configuring reserved
concurrency" (100 of an account's concurrency cannot be reserved).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KEPT_UNRESERVED, ENOUGH_FOR_KILLS = 100, 5


@dataclass(frozen=True, slots=True)
class Checked:
    """One result of a check. `failed` means that the stack is not as it must be; otherwise it is for information."""

    check: str
    told: str
    failed: bool = False


def live_routes(api: Any, api_id: str) -> dict[str, str]:
    """Return each route of an HTTP API with `NONE`, `AWS_IAM`, or the name of its authorizer."""
    routes = list(_routes(api, api_id))
    ids = {route["AuthorizerId"] for route in routes if "AuthorizerId" in route}
    names = {one: api.get_authorizer(ApiId=api_id, AuthorizerId=one)["Name"] for one in ids}
    return {
        route["RouteKey"]: names.get(route.get("AuthorizerId"), route.get("AuthorizationType", "NONE"))
        for route in routes
    }


def _routes(api: Any, api_id: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = api.get_routes(ApiId=api_id, **token)
        yield from page["Items"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def compared(declared: Mapping[str, str], live: Mapping[str, str]) -> Iterable[Checked]:
    """Compare the routes that a template declares with those of the live API."""
    wrong = [f"{route} is in the template and not live" for route in sorted(declared.keys() - live.keys())]
    wrong += [f"{route} is live and not in the template" for route in sorted(live.keys() - declared.keys())]
    wrong += [
        f"{route} has the authorizer {live[route]}, and {declared[route]} in the template"
        for route in sorted(declared.keys() & live.keys())
        if declared[route] != live[route]
    ]
    yield from (Checked("routes", told, failed=True) for told in wrong)
    if not wrong:
        yield Checked("routes", f"all {len(live)} routes and their authorizers are as in the template")


def concurrency(unreserved: int, reserved_for_kills: int) -> Checked:
    """Return whether the kill has concurrency of its own, or what could be reserved."""
    if reserved_for_kills:
        return Checked("concurrency", f"{reserved_for_kills} is reserved for kills")
    if unreserved - KEPT_UNRESERVED >= ENOUGH_FOR_KILLS:
        told = f"none is reserved for kills: deploy with KillReservedConcurrency={ENOUGH_FOR_KILLS}"
    else:
        told = (
            f"none can be reserved for kills: the account has {unreserved} unreserved, and {KEPT_UNRESERVED} must "
            "stay so; ask AWS for more"
        )
    return Checked("concurrency", told)
