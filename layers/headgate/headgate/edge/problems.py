"""Failures as problem+json (RFC 9457): one table from slug to status and title. The texts are generic."""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.edge.http import Response, respond

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "invalid-json": (400, "The body is not valid JSON"),
    "invalid-body": (400, "The request is not valid"),
    "invalid-cursor": (400, "The cursor is not valid"),
    "invalid-flag-key": (400, "The flag key is not valid"),
    "idempotency-key-required": (400, "An Idempotency-Key is required"),
    "missing-context": (401, "The authorizer context is missing"),
    "forbidden": (403, "Not allowed"),
    "unknown-flag": (404, "Flag not found"),
    "not-found": (404, "Not found"),
    "exists": (409, "Flag already exists"),
    "key-retired": (409, "The key belongs to a deleted flag and cannot be reused"),
    "cannot-rotate": (409, "The keys cannot be rotated"),
    "chain-broken": (409, "The audit chain is broken"),
    "unknown-import": (404, "Import not found"),
    "import-open": (409, "Another import is open for this flag"),
    "import-closed": (409, "The import is not open"),
    "import-differs": (409, "The import does not match the request"),
    "imports-spent": (409, "The flag has reached its limit of imports"),
    "would-shrink": (409, "The change takes access away"),
    "precondition-failed": (412, "Resource was modified"),
    "too-large": (413, "Too large"),
    "idempotency-key-reused": (422, "The Idempotency-Key was used for another request"),
    "precondition-required": (428, "A precondition is required"),
    "internal": (500, "Internal error"),
    "busy": (503, "Too many changes at once"),
    "unavailable": (503, "The store is unavailable"),
}
RETRY_AFTER = "1"
"""Integer seconds: the only form of Retry-After that all OFREP clients read rightly."""


def problem(
    slug: str, detail: str = "", *, faults: Iterable[tuple[str, str]] = (), headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:  # fmt: skip
    """The response for a failure; `faults` become `errors`, each with a path; `members` are added as they are."""
    status, title = PROBLEMS[slug]
    body: dict[str, Any] = {"type": f"urn:headgate:{slug}", "title": title, "status": status, **(members or {})}
    if detail:
        body["detail"] = detail
    # a member's name may hold half of a surrogate pair, which JSON can write and UTF-8, so Lambda's runtime, cannot
    errors = [{"path": path.encode("utf-8", "replace").decode(), "message": message} for path, message in faults]
    if errors:
        body["errors"] = errors
    retry = {"retry-after": RETRY_AFTER} if status == 503 else {}
    return respond(status, body, {"content-type": "application/problem+json", **retry, **(headers or {})})
