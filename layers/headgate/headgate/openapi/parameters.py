"""What a call takes beside its body, by the names that the table of routes uses."""

import re
from typing import Any

from headgate.core import limits
from headgate.edge.admin.call import ETAG, IDEMPOTENCY_KEY
from headgate.edge.admin.imports import IMPORT_ID

Parameter = dict[str, Any]
_REVISION = {"type": "integer", "minimum": 0, "maximum": 10**12 - 1}
MOMENT = {"anyOf": [_REVISION, {"type": "string", "format": "date-time"}]}


def _query(name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _header(name: str, description: str, pattern: str) -> Parameter:
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return {"name": name, "in": "header", "description": description, "schema": schema}


TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
PARAMETERS: dict[str, Parameter] = {
    parameter["name"]: parameter
    for parameter in (
        _query("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100}),
        _query("cursor", "`next` of the page before.", TEXT),
        _query("kind", "Whose ids.", {"enum": ["user", "org"], "default": "user"}),
        _query("flag", "Only entries of this flag.", TEXT),
        _query("actor", "Only entries by this ARN.", TEXT),
        _query("action", "Only entries of this action, as flag.kill.", TEXT),
        _query("since", "Only entries from this time on.", TIME),
        _query("until", "Only entries before this time.", TIME),
        _query("as_of", "As it was at this revision, or time.", MOMENT),
        _query("after", "Only revisions later than this.", _REVISION),
        _query("before", "Only revisions earlier than this.", _REVISION),
        _header("If-Match", "The version to change, as its ETag: 428 without, 412 when it is not the newest.",
                ETAG.pattern),
        _header("If-None-Match", "`*` creates; beside it If-Match is not taken.", r"\*"),
        _header("Idempotency-Key", "The same key and request is one change: a repetition gets the stored answer.",
                IDEMPOTENCY_KEY.pattern),
    )
}  # fmt: skip

IN_PATH = {
    "key": {"type": "string", "pattern": f"^{limits.KEY.pattern}$"},
    "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "import": {"type": "string", "pattern": IMPORT_ID},
}


def taken(route_key: str, takes: str) -> list[Parameter]:
    """The parameters of a call: those in its path, and those it takes. If-Match may be left out where there is
    If-None-Match to be given in its place.
    """
    names = takes.split()
    needed = {"Idempotency-Key"} | ({"If-Match"} if "If-None-Match" not in names else set())
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": IN_PATH[name]}
        for name in re.findall(r"{(\w+)}", route_key)
    ]
    return in_path + [PARAMETERS[name] | ({"required": True} if name in needed else {}) for name in names]
