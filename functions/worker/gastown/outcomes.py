"""What can come of a call: it is done, or it is refused. One table from refusal to title, one shape on the wire.

Refusals are problem details (RFC 9457). They name no other town, user or flag than the caller did.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Json = Any  # what `json.loads` gives
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "1"
"""Seconds until a busy or silent store is worth another try."""

TITLES: Mapping[str, str] = {
    "busy": "Too many changed this at once",
    "forbidden": "Forbidden",
    "internal": "Something went wrong here",
    "invalid-body": "The body does not fit",
    "invalid-json": "The body is not JSON",
    "missing-context": "No gate stood in front of this request",
    "not-found": "Not found",
    "too-large": "The body is too large",
    "unavailable": "The store did not answer",
    "unknown-route": "No such route",
}


@dataclass(frozen=True, slots=True)
class Done:
    """It is done; `body` tells the caller what is now."""

    status: int
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Refused:
    """It is refused. `slug` is one of `TITLES`; `faults` lists (path, message) of a body that does not fit."""

    status: int
    slug: str
    detail: str
    faults: tuple[tuple[str, str], ...] = ()


Outcome = Done | Refused

NO_TOWN = Refused(HTTPStatus.NOT_FOUND, "not-found", "There is no such town of yours.")
BUSY = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "Others were quicker each time. Try again.")
UNAVAILABLE = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "The store did not answer. Try again.")
INTERNAL = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The request was not carried out.")


def forbidden(detail: str) -> Refused:
    """Known, but not allowed."""
    return Refused(HTTPStatus.FORBIDDEN, "forbidden", detail)


def unfit(faults: tuple[tuple[str, str], ...]) -> Refused:
    """A body that was read, but does not fit."""
    return Refused(HTTPStatus.BAD_REQUEST, "invalid-body", "See errors for each fault.", faults)


def problem(refused: Refused) -> dict[str, Json]:
    """The refusal as problem details."""
    document: dict[str, Json] = {
        "type": f"urn:headgate:{refused.slug}",
        "title": TITLES[refused.slug],
        "status": int(refused.status),
        "detail": refused.detail,
    }
    if refused.faults:
        document["errors"] = [{"path": path, "message": message} for path, message in refused.faults]
    return document


def to_json(document: Json) -> str:
    """Compact JSON."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)
