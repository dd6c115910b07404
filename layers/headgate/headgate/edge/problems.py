"""Every failure that leaves as problem+json (RFC 9457): one table from slug to status and title. Texts are generic."""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.edge.http import Response, respond

PROBLEMS: Mapping[str, tuple[int, str]] = {
    "invalid-json": (400, "The body is not valid JSON"),
    "invalid-body": (400, "The request is not valid"),
    "invalid-cursor": (400, "The cursor is not valid"),
    "invalid-flag-key": (400, "The flag key is not valid"),
    "idempotency-key-required": (400, "An Idempotency-Key is required"),
    "missing-context": (401, "No gate stood in front of this request"),
    "forbidden": (403, "Not allowed"),
    "unknown-flag": (404, "There is no such flag"),
    "not-found": (404, "There is nothing here"),
    "exists": (409, "The flag exists already"),
    "key-retired": (409, "The key was used by a deleted flag and is never used again"),
    "cannot-rotate": (409, "No key can take the place"),
    "chain-broken": (409, "The audit stream does not hold"),
    "unknown-import": (404, "There is no such import"),
    "import-open": (409, "Another import is open for this flag"),
    "import-closed": (409, "The import is not open"),
    "import-differs": (409, "The import is not as the call has it"),
    "imports-spent": (409, "The flag has had as many imports as it may"),
    "would-shrink": (409, "The change takes access away"),
    "precondition-failed": (412, "It has changed meanwhile"),
    "too-large": (413, "Too large"),
    "idempotency-key-reused": (422, "The Idempotency-Key was used for another request"),
    "precondition-required": (428, "A precondition is required"),
    "internal": (500, "Something went wrong"),
    "busy": (503, "Too many changes at once"),
    "unavailable": (503, "The store does not answer"),
}
RETRY_AFTER = "1"
"""Integer seconds: the only form of Retry-After that all OFREP clients read rightly."""


def problem(
    slug: str, detail: str = "", *, faults: Iterable[tuple[str, str]] = (), headers: Mapping[str, str] | None = None,
    told: Mapping[str, Any] | None = None,
) -> Response:  # fmt: skip
    """The response for a failure; `faults` become `errors`, each with a path; `told` are further members."""
    status, title = PROBLEMS[slug]
    body: dict[str, Any] = {"type": f"urn:headgate:{slug}", "title": title, "status": status, **(told or {})}
    if detail:
        body["detail"] = detail
    # a member's name may hold half of a surrogate pair, which JSON can write and UTF-8, so Lambda's runtime, cannot
    errors = [{"path": path.encode("utf-8", "replace").decode(), "message": message} for path, message in faults]
    if errors:
        body["errors"] = errors
    retry = {"retry-after": RETRY_AFTER} if status == 503 else {}
    return respond(status, body, {"content-type": "application/problem+json", **retry, **(headers or {})})
