"""A call of one or more procedures, `/trpc/a,b`: tRPC's HTTP form without a transformer.

Source: trpc.io, "HTTP RPC Specification". A query's input is in `?input=`, a mutation's in the body. With `?batch=1`,
or with several procedures, it is an object of inputs by index, and the answer is a list in the order of the call. The
names are split as the gate splits them, so what runs is what was decided.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gastown import outcomes
from gastown.bodies import read_document
from gastown.outcomes import Json, Outcome, Refused, unfit
from gastown.procedures import NAMED_ONLY, SERVED, Procedure
from gastown.service import Call, Gastown
from gastown.state import Unavailable
from headgate.core.documents import Invalid
from headgate.core.limits import MAX_BATCH
from headgate.edge.http import Request
from headgate.sdk.caller import Caller

CODES: Mapping[int, tuple[str, int]] = {
    400: ("BAD_REQUEST", -32600),
    403: ("FORBIDDEN", -32003),
    404: ("NOT_FOUND", -32004),
    405: ("METHOD_NOT_SUPPORTED", -32005),
    501: ("NOT_IMPLEMENTED", -32603),
    503: ("SERVICE_UNAVAILABLE", -32603),
}
"""tRPC's name and JSON-RPC number for each status."""

MIXED = 207
UNKNOWN = "Procedure not found."
NOT_SERVED = "This example does not implement this procedure."

NOT_A_CALL = unfit((("$", f"must name 1 to {MAX_BATCH} procedures"),))
NOT_INPUTS = unfit((("$", "a batch's inputs must be an object by index"),))


@dataclass(frozen=True, slots=True)
class Results:
    """The answer to the whole call. `status` is the one that all results share, or 207."""

    status: int
    document: Json


def answer(gastown: Gastown, caller: Caller, request: Request) -> Results | Refused:
    """Run the call. It is refused as a whole only if it cannot be read."""
    names = request.path.get("procedures", "").split(",")
    if len(names) > MAX_BATCH or not all(names):
        return NOT_A_CALL
    batch = len(names) > 1 or request.query.get("batch") == "1"
    by_get = request.route_key.startswith("GET ")
    sent = request.query.get("input", "").encode("utf-8", "surrogatepass") if by_get else request.body
    given = _inputs(sent, batch=batch)
    if isinstance(given, Refused):
        return given
    calls = [(name, given.get(str(index))) for index, name in enumerate(names)]
    results = list(_results(gastown, caller, calls, by_get=by_get))
    statuses = {_status(result) for result in results}
    return Results(statuses.pop() if len(statuses) == 1 else MIXED, results if batch else results[0])


def _inputs(sent: bytes, *, batch: bool) -> dict[str, Json] | Refused:
    """Return the inputs by index, or none for a call without inputs."""
    document = read_document(sent or b"null")
    if isinstance(document, Refused):
        return document
    if not batch:
        return {"0": document}
    return document if isinstance(document, dict) else {} if document is None else NOT_INPUTS


def _results(
    gastown: Gastown, caller: Caller, calls: list[tuple[str, Json]], *, by_get: bool
) -> Iterator[dict[str, Json]]:
    silent = False  # if the store does not answer once, the rest is not tried: each would wait as long
    for name, given in calls:
        procedure = SERVED.get(name)
        if procedure is None:
            known = name in NAMED_ONLY
            yield _error(name, 501, NOT_SERVED) if known else _error(name, 404, UNKNOWN)
        elif by_get and procedure.mutation:
            yield _error(name, 405, "Call a mutation with POST.")
        else:
            outcome = outcomes.UNAVAILABLE if silent else _run(gastown, caller, procedure, given)
            silent = outcome is outcomes.UNAVAILABLE
            yield _result(name, procedure, outcome)


def _run(gastown: Gastown, caller: Caller, procedure: Procedure, given: Json) -> Outcome:
    if given is not None and not isinstance(given, dict):
        return unfit((("$", "the input must be an object"),))
    try:
        return procedure.run(gastown, Call(caller, given or {}))
    except Invalid as fault:
        return unfit(fault.faults)
    except Unavailable:
        return outcomes.UNAVAILABLE


def _result(name: str, procedure: Procedure, outcome: Outcome) -> dict[str, Json]:
    if isinstance(outcome, Refused):
        faults = "".join(f" {path}: {message}." for path, message in outcome.faults)
        return _error(name, outcome.status, outcome.detail + faults)
    return {"result": {"data": procedure.data(outcome.body)}}


def _error(name: str, status: int, message: str) -> dict[str, Json]:
    code, number = CODES[status]
    return {"error": {"message": message, "code": number, "data": {"code": code, "httpStatus": status, "path": name}}}


def _status(result: dict[str, Json]) -> int:
    error = result.get("error")
    return int(error["data"]["httpStatus"]) if error else 200
