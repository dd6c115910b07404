"""Invalid preconditions, idempotency keys, paths, and queries at the admin API, and their answers.

Ids begin with the row in docs/attacks.md: A77 idempotency keys, A78 preconditions, A79 creations, A87 cursors,
A88 unknown flags; E66 and P51 to P53 flag keys.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bad_calls import CALLS, FLAG, GONE, HOLDING, KEYED, Target, aim, crossed, refused

from headgate_cli.local.stack import Stack


@pytest.fixture(scope="module")
def target(stack: Stack) -> Target:
    """The calls, and a flag to make them on."""
    return aim(stack)


@pytest.fixture(autouse=True)
def unchanged(target: Target) -> Iterator[None]:
    """No row in this file makes an audit entry."""
    yield
    target.expect_unchanged()


PRECONDITIONS: Mapping[str, tuple[str | None, int, str]] = {
    "none": (None, 428, "precondition-required"),
    "stale": ('"99999"', 412, "precondition-failed"),
    "older": ('"0"', 412, "precondition-failed"),
    "any": ("*", 400, "invalid-body"),
    "empty": ("", 400, "invalid-body"),
    "unquoted": ("1", 400, "invalid-body"),
    "weak": ('W/"1"', 400, "invalid-body"),
    "two": ('"1", "2"', 400, "invalid-body"),
    "negative": ('"-1"', 400, "invalid-body"),
    "a leading zero": ('"01"', 400, "invalid-body"),
    "digits outside ASCII": ('"\u00b2"'.encode().decode("latin-1"), 400, "invalid-body"),
    "very long": ('"' + "9" * 5_000 + '"', 400, "invalid-body"),
}


@pytest.mark.proof("bad preconditions")
@crossed("A78", HOLDING, PRECONDITIONS)
def test_failed_precondition_is_rejected(target: Target, name: str, fault: str) -> None:
    text, status, slug = PRECONDITIONS[fault]
    answer = refused(target.send(name, headers={"if-match": text}), status, slug)
    if status == 412:
        assert answer.headers["etag"] == f'"{target.versions[CALLS[name].holds]}"'


CREATIONS: Mapping[str, tuple[str, Mapping[str, str], int, str]] = {
    "A79-a key that exists": (FLAG, {"if-none-match": "*"}, 409, "exists"),
    "A79-a key that was deleted": (GONE, {"if-none-match": "*"}, 409, "key-retired"),
    "A78-replacing a deleted flag": (GONE, {"if-match": '"1"'}, 404, "unknown-flag"),
    "A78-replacing an unknown flag": ("never-made", {"if-match": '"1"'}, 404, "unknown-flag"),
    "A78-an ETag instead of *": ("never-made", {"if-none-match": '"1"'}, 400, "invalid-body"),
    "A78-both": ("never-made", {"if-none-match": "*", "if-match": '"1"'}, 400, "invalid-body"),
    "A78-neither, on an existing flag": (FLAG, {}, 428, "precondition-required"),
}


@pytest.mark.parametrize(("key", "headers", "status", "slug"), CREATIONS.values(), ids=CREATIONS)
def test_invalid_creation_is_rejected(
    target: Target, key: str, headers: Mapping[str, str], status: int, slug: str
) -> None:
    refused(target.create(key, {}, headers), status, slug)


KEYS: Mapping[str, str | None] = {
    "none": None,
    "empty": "",
    "65 characters": "x" * 65,
    "a blank": "a b",
    "two": "one,two",
    "quotes": '"quoted"',
    "letters outside ASCII": "cl\u00e9",
    "a path": "../../x;y",
}


@pytest.mark.proof("bad idempotency keys")
@crossed("A77", KEYED, KEYS)
def test_change_without_a_valid_idempotency_key_is_rejected(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, headers={"idempotency-key": KEYS[fault]}), 400, "idempotency-key-required")


# -- paths

BAD_KEYS: Mapping[str, str] = {
    "E66-upper case": "Bad-Input",
    "E66-a leading dot": ".bad",
    "E66-a leading dash": "-bad",
    "E66-65 characters": "x" * 65,
    "E66-a blank": "bad%20input",
    "E66-a line break": "bad%0Ainput",
    "E66-a trailing line break": "bad-input%0A",
    "E66-letters outside ASCII": "b%C3%A4d",
    "P52-a slash": "bad%2Finput",
    "P52-a doubly encoded slash": "bad%252Finput",
    "P52-dot segments": "%2e%2e%2fbad-input",
    "P52-only dot segments": "%2e%2e",
    "P52-NUL": "bad-input%00",
    "P52-overlong UTF-8": "bad%C0%AFinput",
    "P52-not UTF-8": "bad%FF",
    "P52-a surrogate": "bad%ED%A0%80",
    "P53-a question mark": "bad-input%3Fx",
    "P53-a hash": "bad-input%23x",
    "P51-a parameter": "bad-input;a=b",
    "P51-a plus": "bad+input",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_malformed_flag_key_is_rejected(target: Target, key: str) -> None:
    """On every route with a flag key."""
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}"), 400, "invalid-flag-key")
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}/allow"), 400, "invalid-flag-key")
    for name in ("put", "delete", "stage", "allow", "kill", "restore"):
        path = CALLS[name].path.replace(FLAG, key)
        refused(target.send(name, path=path), 400, "invalid-flag-key")


@pytest.mark.parametrize("name", ["delete", "stage", "allow", "kill", "restore"])
@pytest.mark.parametrize("key", ["never-made", GONE], ids=["A88-never made", "A88-deleted"])
def test_unknown_flag_is_404(target: Target, name: str, key: str) -> None:
    path = CALLS[name].path.replace(FLAG, key)
    refused(target.send(name, path=path), 404, "unknown-flag")
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}"), 404, "unknown-flag")
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}/allow"), 404, "unknown-flag")


def cursor(*place: Any) -> str:
    """A cursor in the server's format."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


QUERIES: Mapping[str, tuple[str, str]] = {
    "limit 0": ("flags?limit=0", "invalid-body"),
    "limit -1": ("flags?limit=-1", "invalid-body"),
    "limit 1001": ("flags?limit=1001", "invalid-body"),
    "limit x": ("audit?limit=x", "invalid-body"),
    "limit empty": ("audit?limit=", "invalid-body"),
    "limit 1e3": ("audit?limit=1e3", "invalid-body"),
    "limit in digits outside ASCII": ("flags?limit=%D9%A1", "invalid-body"),
    "limit of 5,000 digits": ("flags?limit=" + "0" * 5_000 + "9", "invalid-body"),
    "limit twice": ("flags?limit=1&limit=2", "invalid-body"),
    "after x": ("audit?after=x", "invalid-body"),
    "after -1": ("audit?after=-1", "invalid-body"),
    "before of 13 digits": ("audit?before=1000000000000", "invalid-body"),
    "an unknown kind": (f"flags/{FLAG}/allow?kind=robot", "invalid-body"),
    "a malformed cursor": ("flags?cursor=x", "invalid-cursor"),
    "an empty cursor": ("flags?cursor=", "invalid-cursor"),
    "a cursor that is not base64": ("flags?cursor=%00%FF", "invalid-cursor"),
    "a cursor of another list": ("audit?cursor=" + cursor("flags", "a"), "invalid-cursor"),
    "a cursor of an unknown entry": ("audit?cursor=" + cursor("audit", 1, "x"), "invalid-cursor"),
    "a cursor below all entries": ("audit?cursor=" + cursor("audit", 0, "x"), "invalid-cursor"),
    "a cursor after all entries": ("audit?cursor=" + cursor("audit", 10**11, "x"), "invalid-cursor"),
    "a cursor of 13 digits": ("audit?cursor=" + cursor("audit", 10**12, "x"), "invalid-cursor"),
    "a cursor of 2,000 digits": ("audit?cursor=" + cursor("audit", 10**2_000, "x"), "invalid-cursor"),
    "a cursor of 4,400 digits": (
        "audit?cursor=" + cursor("audit", 7, "x").replace("Nyw", "Nzc3" * 1_500 + "Nyw"),
        "invalid-cursor",
    ),
    "a cursor with true for a number": ("audit?cursor=" + cursor("audit", True, "x"), "invalid-cursor"),
    "a cursor in another encoding": ("flags?cursor=" + cursor("flags", "a").replace("ICJ", "Ig"), "invalid-cursor"),
    "a cursor of another flag's list": (f"flags/{FLAG}/allow?cursor=" + cursor("flags", "a"), "invalid-cursor"),
    "a cursor of another list of sessions": ("sessions?cursor=" + cursor("sessions", "zzz"), "invalid-cursor"),
    "a cursor of 2,000 characters": ("sessions?cursor=" + cursor("sessions", "0" * 2_000), "invalid-cursor"),
    "a cursor of a flag among sessions": ("sessions?cursor=" + cursor("flags", "a"), "invalid-cursor"),
    "a limit of sessions": ("sessions?limit=0", "invalid-body"),
    "a cursor nested deep": ("flags?cursor=" + "W1tb" * 1_500, "invalid-cursor"),
}


@pytest.mark.parametrize(("path", "slug"), QUERIES.values(), ids=[f"A87-{name}" for name in QUERIES])
def test_invalid_query_is_rejected(target: Target, path: str, slug: str) -> None:
    refused(target.gate.signed("GET", f"/admin/v1/{path}"), 400, slug)
