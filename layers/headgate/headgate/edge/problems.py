"""Errors as problem+json (RFC 9457): one table from slug to status and title. Texts are generic."""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.edge.http import Response, respond

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "invalid-json": (400, "Invalid JSON"),
    "invalid-body": (400, "Invalid request"),
    "invalid-cursor": (400, "Invalid cursor"),
    "invalid-flag-key": (400, "Invalid flag key"),
    "idempotency-key-required": (400, "Idempotency-Key required"),
    "missing-context": (401, "Authorizer context missing"),
    "forbidden": (403, "Not allowed"),
    "unknown-flag": (404, "Flag not found"),
    "not-found": (404, "Not found"),
    "exists": (409, "Flag already exists"),
    "key-retired": (409, "Flag key belongs to a deleted flag and cannot be reused"),
    "cannot-rotate": (409, "Key state cannot be changed"),
    "chain-broken": (409, "Audit chain broken"),
    "unknown-import": (404, "Import not found"),
    "import-open": (409, "Another import is open for this flag"),
    "import-closed": (409, "Import is not open"),
    "import-differs": (409, "Import does not match the request"),
    "imports-spent": (409, "Flag has reached its limit of imports"),
    "would-shrink": (409, "Change would remove access"),
    "would-open": (409, "Change would open routes"),
    "access-killed": (409, "Access flag is killed"),
    "precondition-failed": (412, "Resource was modified"),
    "too-large": (413, "Request too large"),
    "idempotency-key-reused": (422, "Idempotency-Key was used for another request"),
    "precondition-required": (428, "If-Match required"),
    "internal": (500, "Internal error"),
    "busy": (503, "Too many concurrent changes"),
    "unavailable": (503, "Store unavailable"),
}
RETRY_AFTER = "1"
"""Whole seconds: the only form of Retry-After that all OFREP clients read correctly."""


def problem(
    slug: str, detail: str = "", *, faults: Iterable[tuple[str, str]] = (), headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:  # fmt: skip
    """Return the response for an error. `faults` become `errors`, each with a path; `members` are added as is."""
    status, title = PROBLEMS[slug]
    body: dict[str, Any] = {"type": f"urn:headgate:{slug}", "title": title, "status": status, **(members or {})}
    if detail:
        body["detail"] = detail
    # a member's name may contain a lone surrogate, which JSON allows but UTF-8, and so Lambda's runtime, does not
    errors = [{"path": path.encode("utf-8", "replace").decode(), "message": message} for path, message in faults]
    if errors:
        body["errors"] = errors
    retry = {"retry-after": RETRY_AFTER} if status == 503 else {}
    return respond(status, body, {"content-type": "application/problem+json", **retry, **(headers or {})})
