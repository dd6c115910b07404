"""The routes of the live API, compared with the template's: API Gateway's import is silent about what it leaves out.

Source: API Gateway V2 API reference, GetRoutes and GetAuthorizer.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headgate_cli.doctor.checked import Checked


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
