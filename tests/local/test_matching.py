"""Routes: exact segments, the most specific match, and nothing in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate_cli.local.declared import DeclaredRoute
from headgate_cli.local.matching import Routes

PATHS = [
    "GET /things",
    "GET /things/{thing}",
    "GET /things/best",
    "POST /things/best",
    "GET /things/{thing}/parts/{part}",
    "GET /things/best/parts/{part}",
    "GET /{any}/best/parts/first",
    "DELETE /things/{thing}",
]
ROUTES = Routes(DeclaredRoute(*key.split(), function="F", auth="NONE") for key in PATHS)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/things", "GET /things", {}),
        ("GET", "/things/a", "GET /things/{thing}", {"thing": "a"}),
        ("GET", "/things/best", "GET /things/best", {}),
        ("POST", "/things/best", "POST /things/best", {}),
        ("DELETE", "/things/best", "DELETE /things/{thing}", {"thing": "best"}),
        ("GET", "/things/best/parts/first", "GET /things/best/parts/{part}", {"part": "first"}),
        ("GET", "/x/best/parts/first", "GET /{any}/best/parts/first", {"any": "x"}),
        ("GET", "/things/a/parts/b", "GET /things/{thing}/parts/{part}", {"thing": "a", "part": "b"}),
        ("GET", "/things/a%2Fb", "GET /things/{thing}", {"thing": "a/b"}),
        ("GET", "/things/%252F", "GET /things/{thing}", {"thing": "%2F"}),
        ("GET", "/things/%2e%2e%2f", "GET /things/{thing}", {"thing": "../"}),
        ("GET", "/things/%C3%A9", "GET /things/{thing}", {"thing": "é"}),
        ("GET", "/things/%c0%ae", "GET /things/{thing}", {"thing": "��"}),
        ("GET", "/things/%00", "GET /things/{thing}", {"thing": "\0"}),
        ("GET", "/things/a+b", "GET /things/{thing}", {"thing": "a+b"}),
        ("GET", "/things/a%3Fb%23c", "GET /things/{thing}", {"thing": "a?b#c"}),
        ("GET", "/things/a;v=1", "GET /things/{thing}", {"thing": "a;v=1"}),
        ("GET", "/things/{thing}", "GET /things/{thing}", {"thing": "{thing}"}),
    ],
)
def test_matches(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    match = ROUTES.match(method, path)
    assert match is not None
    assert (match.route.key, match.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "things"),
        ("GET", "//things"),
        ("GET", "/things/"),
        ("GET", "/things//"),
        ("GET", "/things/a/"),
        ("GET", "/things//parts/b"),
        ("GET", "/things/."),
        ("GET", "/things/.."),
        ("GET", "/things/./parts/b"),
        ("GET", "/x/../things"),
        ("GET", "/./things"),
        ("GET", "/Things"),
        ("GET", "/THINGS/best"),
        ("GET", "/%74hings"),
        ("GET", "/things;a=b"),
        ("GET", "/things%20"),
        ("GET", "/things%00"),
        ("GET", "/prod/things"),
        ("GET", "/$default/things"),
        ("GET", "http://host/things"),
        ("get", "/things"),
        ("HEAD", "/things"),
        ("OPTIONS", "/things"),
        ("TRACE", "/things"),
        ("POST", "/things"),
        ("PUT", "/things/best"),
        ("ANY", "/things"),
    ],
)
def test_matches_nothing_else(method: str, path: str) -> None:
    """P51, P54, P55, P57."""
    assert ROUTES.match(method, path) is None


@given(st.text("/.%aA{}things", max_size=24))
def test_a_match_always_has_the_declared_segments(path: str) -> None:
    match = ROUTES.match("GET", path)
    if match is None:
        return
    declared, given = match.route.path.split("/"), path.split("/")
    assert len(declared) == len(given)
    for part, segment in zip(declared, given, strict=True):
        assert segment == part if not part.startswith("{") else segment not in ("", ".", "..")
