"""Every way a command can fail, and its exit code. It must not know how a request is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """The exit codes. They are stable: scripts may rely on them."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    REFUSED = 3
    CONFLICT = 4
    NOT_FOUND = 5
    FORBIDDEN = 6
    UNAVAILABLE = 7


EXIT_CODES = """\
Exit codes:
  0  success
  1  a check failed (broken audit chain, wrong decision)
  2  usage error
  3  the request was refused as invalid
  4  conflict: another change came first, or the change would remove access or open a route
  5  not found
  6  forbidden, or no AWS credentials
  7  unavailable: no answer, throttled, or a server error"""


@dataclass(eq=False)
class Failure(Exception):
    """Ends a command. `faults` are (path, message) pairs; `hint` says what to do next."""

    exit_code: ExitCode
    title: str
    detail: str = ""
    status: int | None = None
    slug: str = ""
    faults: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.title

    def as_document(self) -> dict[str, Any]:
        """Return the failure as `--json` writes it: the server's problem document, or one of the same shape."""
        own: dict[str, Any] = {"type": f"urn:headgate:{self.slug or 'command'}", "title": self.title}
        if self.status is not None:
            own["status"] = self.status
        if self.detail:
            own["detail"] = self.detail
        if self.faults:
            own["errors"] = [{"path": path, "message": message} for path, message in self.faults]
        return {**own, **self.document, "exit_code": int(self.exit_code)}


def usage(title: str, hint: str = "") -> Failure:
    """Return the failure for a wrong command line or environment. Nothing was sent."""
    return Failure(ExitCode.USAGE, title, slug="usage", hint=hint)


def unavailable(title: str, detail: str = "") -> Failure:
    """Return the failure for a missing or unusable answer."""
    return Failure(ExitCode.UNAVAILABLE, title, detail, slug="no-answer")


def chain_broken(revision: int, what: str) -> Failure:
    """Return the failure for an audit chain that breaks at this revision."""
    return Failure(ExitCode.CHECK_FAILED, f"the chain breaks at revision {revision}", what, slug="chain-broken")


EXIT_OF_STATUS: Mapping[int, ExitCode] = {
    401: ExitCode.FORBIDDEN,
    403: ExitCode.FORBIDDEN,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    428: ExitCode.CONFLICT,
    429: ExitCode.UNAVAILABLE,
}

HINTS: Mapping[str, str] = {
    "would-shrink": "this removes access; pass --allow-shrink to confirm",
    "would-open": "this opens routes; pass --allow-open to confirm",
    "precondition-failed": "the resource was modified; read it again, then retry",
    "busy": "another change is in progress; retry",
    "key-retired": "the key of a deleted flag cannot be used again; choose another key",
}


def exit_of(status: int) -> ExitCode:
    """Return the exit code for an HTTP status that is not a success."""
    if status >= 500:
        return ExitCode.UNAVAILABLE
    return EXIT_OF_STATUS.get(status, ExitCode.REFUSED)


def from_answer(status: int, body: bytes, etag: str | None = None) -> Failure:
    """Parse a problem document (RFC 9457), an OAuth error (RFC 6749 §5.2), or the gateway's own `{"message"}`."""
    document = _object(body)
    slug = str(document.get("type", "")).removeprefix("urn:headgate:") or str(document.get("error", ""))
    title = document.get("title") or document.get("error") or document.get("message") or "unexpected answer"
    detail = str(document.get("detail") or document.get("error_description") or "")
    if status == 412 and etag:
        detail = f"{detail} (current version {etag})" if detail else f"the current version is {etag}"
    return Failure(exit_of(status), str(title), detail, status, slug, _faults(document), HINTS.get(slug, ""), document)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _faults(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    errors = document.get("errors")
    if not isinstance(errors, list):
        return ()
    return tuple((str(e.get("path", "")), str(e.get("message", ""))) for e in errors if isinstance(e, dict))
