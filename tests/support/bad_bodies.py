"""Faults of a JSON body, independent of its purpose: from the fault to the bytes sent and the expected error.

Also a table of values: wrong types, and strings that no text member accepts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
DEEP = 50_000
"""Nesting depth: far beyond any parser's limit, and within the accepted size."""
LONE = "\ud800"
"""Half of a surrogate pair: valid in JSON, not in UTF-8."""


def encoded(document: Any) -> bytes:
    """JSON as a client writes it."""
    return json.dumps(document).encode()


def _with(document: Document, text: str) -> bytes:
    """The document with one more member, given as JSON text."""
    return encoded(document)[:-1] + b"," + text.encode() + b"}"


MALFORMED: Mapping[str, Callable[[Document], bytes]] = {
    "nothing": lambda _: b"",
    "not JSON": lambda _: b"reason=because",
    "cut short": lambda document: encoded(document)[:-1],
    "two documents": lambda document: encoded(document) * 2,
    "invalid UTF-8": lambda document: encoded(document).replace(b"because", b"\xff\xfe"),
    "overlong UTF-8": lambda document: encoded(document).replace(b"because", b"\xc0\xaf"),
    "UTF-16": lambda document: json.dumps(document).encode("utf-16"),
    "a BOM": lambda document: b"\xef\xbb\xbf" + encoded(document),
    "duplicate members": lambda document: encoded(document)[:-1] + b"," + encoded(document)[1:],
    "NaN": lambda document: _with(document, '"x":NaN'),
    "Infinity": lambda document: _with(document, '"x":-Infinity'),
    "1e999": lambda document: _with(document, '"x":1e999'),
    "5,000 digits": lambda document: _with(document, '"x":' + "9" * 5_000),
    "deep lists": lambda document: _with(document, '"x":' + "[" * DEEP + "]" * DEEP),
    "deep objects": lambda document: _with(document, '"x":' + '{"x":' * DEEP + "1" + "}" * DEEP),
    "a comment": lambda document: b"// because\n" + encoded(document),
}
"""Invalid JSON: 400 `invalid-json`."""

MISFIT: Mapping[str, Callable[[Document], bytes]] = {
    "null": lambda _: b"null",
    "a list": lambda document: encoded([document]),
    "a string": lambda _: b'"because"',
    "a number": lambda _: b"7",
    "an unknown member": lambda document: encoded({**document, "unheard_of": 1}),
    "a member name that is not UTF-8": lambda document: encoded({**document, LONE: 1}),
    "a member with an escape sequence": lambda document: encoded({**document, "\x1b[2J": 1}),
    "version": lambda document: encoded({**document, "version": 9}),
    "actor": lambda document: encoded({**document, "actor": {"arn": "arn:aws:iam::1:root"}}),
    "killed": lambda document: encoded({**document, "killed": None}),
    "updated_by": lambda document: encoded({**document, "updated_by": "me"}),
    "revision": lambda document: encoded({**document, "revision": 1}),
}
"""JSON of the wrong shape, or with members that belong to the server: 400 `invalid-body`."""

UNREASONED: Mapping[str, Callable[[Document], Document]] = {
    "no reason": lambda document: {name: value for name, value in document.items() if name != "reason"},
    "an empty reason": lambda document: {**document, "reason": ""},
    "a blank reason": lambda document: {**document, "reason": " \t "},
    "a reason of two lines": lambda document: {**document, "reason": "fine\n2026-01-01 forged entry"},
    "a reason with an escape sequence": lambda document: {**document, "reason": "\x1b[31mred"},
    "a reason with a line separator": lambda document: {**document, "reason": "one\u2028two"},
    "a reason that is not UTF-8": lambda document: {**document, "reason": LONE},
    "a reason of 2 KB": lambda document: {**document, "reason": "x" * 2_048},
}
"""Every change has a reason, on one line, readable by people: 400 `invalid-body` (A83)."""

VALUES: Mapping[str, Any] = {
    "null": None,
    "true": True,
    "whole": 7,
    "negative": -1,
    "fraction": 1.5,
    "empty": "",
    "text": "x",
    "spaced": "a b",
    "lone": LONE,
    "control": "a\0b",
    "long": "x" * 2_000,
    "list": [],
    "nested": [[]],
    "numbers": [1, 2],
    "object": {},
    "members": {"unheard_of": 1},
}
"""A value of each type, by a name that says which members accept it."""


def wrong_values(fitting: str) -> Iterator[tuple[str, Any]]:
    """The values that do not fit. `fitting` lists the names of those that do, separated by blanks."""
    assert set(fitting.split()) <= set(VALUES), fitting
    return ((name, value) for name, value in VALUES.items() if name not in fitting.split())


def at(document: Any, path: str, value: Any) -> Any:
    """The document with the value at a dotted path (`flags.0.stage`). Missing objects are created."""
    name, _, rest = path.partition(".")
    if isinstance(document, list):
        return [at(item, rest, value) if rest else value for item in document]
    return {**document, name: at(document.get(name, {}), rest, value) if rest else value}
