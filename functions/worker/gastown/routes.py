"""The HTTP routes: from an event to an action, from what came of it to a response.

A request is routed by its route key and its path parameters, never by the raw path: they are what the gate decided on,
and an oddly encoded path cannot make the worker do another thing than the gate allowed. Without the gate's context
nothing is done at all.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from gastown import actions, machines, outcomes, towns, trpc
from gastown.bodies import read_object
from gastown.outcomes import Done, Outcome, Refused
from gastown.service import Action, Call, Gastown
from gastown.state import Unavailable
from headgate.core.faults import Invalid
from headgate.edge.caller import Caller, MissingContext, caller_from

Event = Mapping[str, Any]
Answer = dict[str, Any]

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

UNKNOWN_ROUTE = Refused(404, "unknown-route", "This service has no such route.")
NO_CONTEXT = Refused(401, "missing-context", "This service answers only behind its gate.")


Handle = Callable[[Call, Mapping[str, str]], Outcome]


class Worker:
    """The service on HTTP, one request at a time. `log` takes one line a request: no token, no person, no body."""

    def __init__(self, gastown: Gastown, log: Callable[[str], object] = lambda line: sys.stdout.write(line)) -> None:
        self._gastown, self._log = gastown, log
        self._resolver = APIGatewayHttpResolver()
        self._failure = ""
        self._declare()

    def answer(self, event: Event, context: Any) -> Answer:
        """Answer one payload 2.0 event."""
        began, self._failure = time.perf_counter(), ""
        try:
            caller = caller_from(event)
        except MissingContext:
            answer = _bare(NO_CONTEXT, {"www-authenticate": "Bearer"})
            known: dict[str, Any] = {}
        else:
            self._resolver.context["caller"] = caller
            answer = self._resolver.resolve(_decided(event), context)
            answer["headers"] |= {"x-headgate-revision": str(caller.revision), "cache-control": "no-store"}
            known = _decision(caller) | ({"failure": self._failure} if self._failure else {})
        took = round((time.perf_counter() - began) * 1_000, 1)
        line = {"route": str(event.get("routeKey", "")), "status": answer["statusCode"], "ms": took, **known}
        self._log(json.dumps(line, separators=(",", ":")) + "\n")
        return answer

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
        self._resolver.not_found(lambda _: _response(UNKNOWN_ROUTE))
        self._resolver.exception_handler(Invalid)(lambda fault: _response(outcomes.unfit(fault.faults)))
        self._resolver.exception_handler(Unavailable)(lambda _: _response(outcomes.UNAVAILABLE))
        self._resolver.exception_handler(Exception)(self._broken)

    def _resolve(self, key: str, handler: Callable[[], Response[str]]) -> None:
        method, _, path = key.partition(" ")
        self._resolver.route(path, method)(handler)

    def _route(self, key: str, handle: Handle) -> None:
        def handler() -> Response[str]:
            event = self._resolver.current_event.raw_event
            fields = read_object(event) if key.startswith(WITH_BODY) else {}
            if isinstance(fields, Refused):
                return _response(fields)
            return _response(handle(Call(self._caller, fields), event["pathParameters"]))

        self._resolve(key, handler)

    def _in_town(self, action: Action) -> Handle:
        return lambda call, named: self._gastown.in_town(call, named["town"], action)

    def _by_agent(self, deed: machines.Deed) -> Handle:
        def handle(call: Call, named: Mapping[str, str]) -> Outcome:
            return self._gastown.in_town(call, named["town"], machines.by_agent(named["agent"], deed))

        return handle

    def _procedures(self) -> Response[str]:
        event = self._resolver.current_event.raw_event
        results = trpc.answer(self._gastown, self._caller, event)
        if isinstance(results, Refused):
            return _response(results)
        return _json(results.status, "application/json", results.document)

    @property
    def _caller(self) -> Caller:
        caller: Caller = self._resolver.context["caller"]
        return caller

    def _broken(self, error: Exception) -> Response[str]:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{PurePath(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
        self._failure = f"{type(error).__name__} {where}"  # never its text: it may hold what the caller sent
        return _response(outcomes.INTERNAL)


def _decided(event: Event) -> dict[str, Any]:
    """The event with the route key, which the gate decided on, where the resolver looks for a path."""
    method, _, path = str(event.get("routeKey", "")).partition(" ")
    context = {**event["requestContext"], "stage": "$default", "http": {"method": method, "path": path}}
    named = dict.fromkeys(_NAMED.findall(path), "") | (event.get("pathParameters") or {})
    return {**event, "rawPath": path, "requestContext": context, "pathParameters": named}


_NAMED = re.compile(r"{(\w+)}")


def _decision(caller: Caller) -> dict[str, Any]:
    return {
        "class": caller.route_class,
        "credential": caller.credential,
        "reason": caller.reason,
        "revision": caller.revision,
        "stale": caller.stale,
    }


def _response(outcome: Outcome) -> Response[str]:
    if isinstance(outcome, Done):
        return _json(outcome.status, "application/json", outcome.body)
    return _json(outcome.status, outcomes.MEDIA_TYPE, outcomes.problem(outcome))


def _json(status: int, media_type: str, document: Any) -> Response[str]:
    headers: dict[str, str | list[str]] = {"retry-after": outcomes.RETRY_AFTER} if status == 503 else {}
    return Response(status, media_type, outcomes.to_json(document), headers)


def _bare(refused: Refused, headers: Mapping[str, str]) -> Answer:
    headers = {"content-type": outcomes.MEDIA_TYPE, "cache-control": "no-store", **headers}
    return {"statusCode": refused.status, "headers": headers, "body": outcomes.to_json(outcomes.problem(refused))}
