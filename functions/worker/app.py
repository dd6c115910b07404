"""The default worker: a service behind the gate that shows the caller and the decision. Replace it with your own.

It routes by the route key, as the gate does, and never by the raw path: an oddly encoded path cannot reach a route
other than the one that the gate decided. Without the gate's context, it answers only 401.
"""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from headgate import Caller, MissingContext, caller_from
from headgate.edge.http import redact_errors
from headgate.edge.problems import problem

app = APIGatewayHttpResolver()

gc.enable()


@app.get("/whoami", cache_control="no-store")
def who_am_i() -> dict[str, Any]:
    """Show the caller."""
    caller: Caller = app.context["caller"]
    return {
        "subject": caller.subject,
        "orgs": caller.orgs,
        "admin": caller.admin,
        "credential": caller.credential,
        "session": caller.session,
    }


@app.get("/decision", cache_control="no-store")
def decision() -> dict[str, Any]:
    """Show why the gate admitted the request. `asks` are the flags that this route asks about in the manifest."""
    caller: Caller = app.context["caller"]
    return {
        "class": caller.route_class,
        "reason": caller.reason,
        "asks": dict(caller.asks),
        "revision": caller.revision,
        "stale": caller.stale,
    }


@app.not_found
def no_such_route(_error: Exception) -> Response[str]:
    """Answer for a route that is in the template but not in this file."""
    answer = problem("not-found", "This service does not have this route.")
    return Response(answer["statusCode"], body=answer["body"], headers=answer["headers"])


@redact_errors
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event of the HTTP API (payload format 2.0)."""
    try:
        caller = caller_from(event)
    except MissingContext:
        detail = "The request did not pass the gate; call the service through the API."
        return problem("missing-context", detail, headers={"www-authenticate": "Bearer"})
    app.context["caller"] = caller
    response = app.resolve(_by_route_key(event), context)
    response["headers"]["x-headgate-revision"] = str(caller.revision)
    return response


def _by_route_key(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with the route key's method and path, where the resolver looks for them."""
    method, _, path = event["routeKey"].partition(" ")
    context = event["requestContext"]
    http = {**context["http"], "method": method, "path": path}
    return {**event, "rawPath": path, "requestContext": {**context, "stage": "$default", "http": http}}
