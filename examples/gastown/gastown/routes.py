"""The HTTP routes: from an event to an action, and from its outcome to a response.

A request is routed by its route key and path parameters, as in the gate, and never by the raw path: an oddly encoded
path cannot make the worker do anything other than what the gate decided. Without the gate's context, nothing is done.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import event_handler as powertools

from gastown import actions, machines, towns, trpc
from gastown.bodies import read_fields
from gastown.outcomes import UNAVAILABLE, Done, Outcome, Refused, unfit
from gastown.service import Action, Call, Gastown
from gastown.state import Unavailable
from headgate.core.documents import Invalid
from headgate.edge import telemetry
from headgate.edge.http import Event, Request, Response, read_request, respond, type_and_place
from headgate.edge.problems import RETRY_AFTER, problem
from headgate.sdk.caller import Caller, MissingContext, caller_from

IN_TOWN: Mapping[str, Action] = {
    "GET /api/towns/{town}": actions.show,
    "DELETE /api/towns/{town}": actions.delete,
    "GET /api/towns/{town}/status": actions.show_status,
    "POST /api/towns/{town}/rigs": actions.add_rig,
    "POST /api/towns/{town}/convoys": actions.start_convoy,
    "POST /api/towns/{town}/molecules": actions.create_molecule,
    "PATCH /api/towns/{town}/config": actions.change_config,
    "POST /api/towns/{town}/container": actions.start_container,
    "DELETE /api/towns/{town}/container": actions.stop_container,
}
BY_AGENT: Mapping[str, machines.Deed] = {
    "POST /api/towns/{town}/agents/{agent}/convoys": machines.start_convoy,
    "POST /api/towns/{town}/agents/{agent}/heartbeat": machines.heartbeat,
    "POST /api/towns/{town}/agents/{agent}/mail": machines.mail,
    "POST /api/towns/{town}/agents/{agent}/done": machines.done,
}

WITH_BODY = ("POST", "PATCH")
PROCEDURES = ("GET /trpc/{procedures}", "POST /trpc/{procedures}")

UNKNOWN_ROUTE = Refused("not-found", "This service does not have this route.")
NO_CONTEXT = Refused("missing-context", "The request did not pass the gate; call the service through the API.")
BROKEN = Refused("internal", "The request failed.")

Handle = Callable[[Call, Mapping[str, str]], Outcome]
Answering = powertools.Response[str]


class Worker:
    """The service over HTTP, one request at a time."""

    def __init__(self, gastown: Gastown) -> None:
        self._gastown = gastown
        self._resolver = powertools.APIGatewayHttpResolver()
        self._failure: str | None = None
        self._declare()

    def answer(self, event: Event, context: Any) -> Response:
        """Answer one payload 2.0 event. Logs one line with the outcome and no user."""
        try:
            caller = caller_from(event)
        except MissingContext:
            telemetry.log("answered", function="worker", route=str(event.get("routeKey", "")), status=401)
            return _response(NO_CONTEXT, {"www-authenticate": "Bearer"})
        request, self._failure = read_request(event), None
        self._resolver.context |= {"caller": caller, "request": request}
        response = self._resolver.resolve(_decided(request), context)
        response["headers"]["x-headgate-revision"] = str(caller.revision)
        telemetry.log("answered", function="worker", route=request.route_key, status=response["statusCode"],
                      request_id=request.request_id, kind=caller.credential, outcome=caller.reason,
                      revision=caller.revision, error=self._failure)  # fmt: skip
        return response

    # -- routes

    def _declare(self) -> None:
        gastown = self._gastown
        self._route("POST /api/users/{user}/towns", lambda call, named: gastown.create_user_town(call, named["user"]))
        self._route("POST /api/orgs/{org}/towns", lambda call, named: gastown.create_org_town(call, named["org"]))
        self._route("GET /api/towns", lambda call, _: gastown.list_towns(towns.owners(call.caller)))
        for key, action in IN_TOWN.items():
            self._route(key, self._in_town(action))
        for key, deed in BY_AGENT.items():
            self._route(key, self._by_agent(deed))
        for key in PROCEDURES:
            self._resolve(key, self._procedures)
        self._resolver.not_found(lambda _: _answering(_response(UNKNOWN_ROUTE)))
        self._resolver.exception_handler(Invalid)(lambda fault: _answering(_response(unfit(fault.faults))))
        self._resolver.exception_handler(Unavailable)(lambda _: _answering(_response(UNAVAILABLE)))
        self._resolver.exception_handler(Exception)(self._broken)

    def _resolve(self, key: str, answer: Callable[[Caller, Request], Response]) -> None:
        method, _, path = key.partition(" ")
        context = self._resolver.context

        def handler() -> Answering:
            return _answering(answer(context["caller"], context["request"]))

        self._resolver.route(path, method)(handler)

    def _route(self, key: str, handle: Handle) -> None:
        named = _NAMED.findall(key)

        def answer(caller: Caller, request: Request) -> Response:
            fields = read_fields(request.body) if key.startswith(WITH_BODY) else {}
            if isinstance(fields, Refused):
                return _response(fields)
            return _response(handle(Call(caller, fields), {name: request.path.get(name, "") for name in named}))

        self._resolve(key, answer)

    def _in_town(self, action: Action) -> Handle:
        return lambda call, named: self._gastown.in_town(call, named["town"], action)

    def _by_agent(self, deed: machines.Deed) -> Handle:
        def handle(call: Call, named: Mapping[str, str]) -> Outcome:
            return self._gastown.in_town(call, named["town"], machines.by_agent(named["agent"], deed))

        return handle

    def _procedures(self, caller: Caller, request: Request) -> Response:
        results = trpc.answer(self._gastown, caller, request)
        if isinstance(results, Refused):
            return _response(results)
        return respond(results.status, results.document, {"retry-after": RETRY_AFTER} if results.status == 503 else {})

    def _broken(self, error: Exception) -> Answering:
        self._failure = type_and_place(error)
        return _answering(_response(BROKEN))


_NAMED = re.compile(r"{(\w+)}")


def _decided(request: Request) -> dict[str, Any]:
    """Return an event with the route key's method and path, where the resolver looks for them."""
    method, _, path = request.route_key.partition(" ")
    return {"rawPath": path, "requestContext": {"stage": "$default", "http": {"method": method, "path": path}}}


def _response(outcome: Outcome, headers: Mapping[str, str] | None = None) -> Response:
    if isinstance(outcome, Done):
        return respond(outcome.status, outcome.body, headers)
    return problem(outcome.slug, outcome.detail, faults=outcome.faults, headers=headers)


def _answering(response: Response) -> Answering:
    return powertools.Response(response["statusCode"], body=response["body"], headers=response["headers"])
