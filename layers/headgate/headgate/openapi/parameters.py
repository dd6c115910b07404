"""Path, query, and header parameters, by the names that the table of routes uses."""

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
        _query("limit", "Maximum page size.", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 100}),
        _query("cursor", "`next` of the previous page.", TEXT),
        _query("kind", "Whether to list users or orgs.", {"enum": ["user", "org"], "default": "user"}),
        _query("id", "Only this id: `members` holds it if it is listed.", TEXT),
        _query("flag", "Only entries for this flag.", TEXT),
        _query("actor", "Only entries by this ARN, or by its part after the last colon.", TEXT),
        _query("action", "Only entries with this action, such as `flag.kill`.", TEXT),
        _query("since", "Only entries at or after this time.", TIME),
        _query("until", "Only entries before this time.", TIME),
        _query("as_of", "Read the rules as of this revision or time.", MOMENT),
        _query("after", "Only entries with a higher revision.", _REVISION),
        _query("before", "Only entries with a lower revision.", _REVISION),
        _header("If-Match", "The ETag of the version to change. 428 if missing, 412 if it is not the newest.",
                ETAG.pattern),
        _header("If-None-Match", "`*` creates the flag. Do not combine it with If-Match.", r"\*"),
        _header("Idempotency-Key", "A retry with the same key makes no second change and gets the stored answer.",
                IDEMPOTENCY_KEY.pattern),
    )
}  # fmt: skip

IN_PATH = {
    "key": {"type": "string", "pattern": f"^{limits.KEY.pattern}$"},
    "id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "import": {"type": "string", "pattern": IMPORT_ID},
}


def taken(route_key: str, takes: str) -> list[Parameter]:
    """Return the parameters of a call: those in its path, and those that it accepts. If-Match is optional if
    If-None-Match may replace it.
    """
    names = takes.split()
    needed = {"Idempotency-Key"} | ({"If-Match"} if "If-None-Match" not in names else set())
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": IN_PATH[name]}
        for name in re.findall(r"{(\w+)}", route_key)
    ]
    return in_path + [PARAMETERS[name] | ({"required": True} if name in needed else {}) for name in names]
