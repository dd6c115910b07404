"""Invalid tokens at worker routes, at evaluate, and in the exchange for a session: none is accepted.

Ids begin with the row in docs/attacks.md: Z for the authorizer and the verifier, T where the token endpoint has the
same row. An invalid token at a worker route is API Gateway's 401 or 403; the worker is never called.
"""

import http.client
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from doors import Door, gateways, open_door, refused
from forged import bad_own, spoiled, twin
from running_gate import Answer
from running_gate.gate import BULK

from headgate_cli.local.stack import Stack


@pytest.fixture(scope="module")
def door(stack: Stack) -> Door:
    """An admin, whom no flag denies: every refusal here is caused by the credential."""
    return open_door(stack)


@pytest.fixture(autouse=True, scope="module")
def unchanged(door: Door) -> Iterator[None]:
    """No test in this file makes an audit entry."""
    revision = door.gate.revision()
    yield
    assert door.gate.revision() == revision


OBSERVE, ENTRY = ("GET", "/api/towns"), ("POST", "/api/users/{user}/towns")
MACHINE, ADMIN = ("POST", "/api/towns/1/agents/a/heartbeat"), ("POST", "/trpc/gastown.adminListBeads")
ROUTES = {"observe": OBSERVE, "entry": ENTRY, "machine": MACHINE, "admin": ADMIN}
OWN_NAMES = tuple(bad_own(spoiled("e30.e30.AAAA", header={"kid": "x"}, signature="A" * 86)))


def ask(door: Door, route: str, headers: Mapping[str, str]) -> Answer:
    """A worker route with these headers."""
    method, path = ROUTES[route]
    return door.gate.call(method, path.format(user=door.person.user), headers=headers)


@pytest.mark.parametrize("name", OWN_NAMES)
def test_invalid_token_is_rejected_by_routes_and_evaluate(door: Door, name: str) -> None:
    """Each is made from an admin's access token: a verifier that accepts one would admit everybody."""
    headers = {"authorization": f"Bearer {bad_own(door.access)[name]}"}
    for route in ROUTES:
        assert gateways(ask(door, route, headers), 403), route
    answer = door.gate.call("POST", BULK, headers=headers, body={"context": {}})
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", OWN_NAMES)
def test_invalid_token_cannot_be_exchanged_for_a_session(door: Door, name: str) -> None:
    bad = bad_own(door.access)[name]
    refused(door.gate.session(bad, "town:new"), 400, "invalid_request")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": ""}, 401),
        ({"cookie": "authorization=Bearer {access}"}, 401),
        ({"x-authorization": "Bearer {access}"}, 401),
        ({"proxy-authorization": "Bearer {access}"}, 401),
        ({"authorization": "Bearer"}, 403),
        ({"authorization": "{access}"}, 403),
        ({"authorization": "Basic {access}"}, 403),
        ({"authorization": "Bearer  {access}"}, 403),
        ({"authorization": "Bearer\t{access}"}, 403),
        ({"authorization": "Bearer {access} x"}, 403),
        ({"authorization": "Bearer {access},Bearer {access}"}, 403),
        ({"authorization": "Token {access}"}, 403),
        ({"authorization": "Bearer {identity}"}, 403),
        ({"authorization": "Bearer {evaluation}"}, 403),
        ({"authorization": "Bearer {service}"}, 403),
    ],
    ids=[
        "Z29-none", "Z29-empty", "Z32-a cookie", "Z32-another header", "Z32-a proxy's", "Z30-Bearer alone",
        "Z30-no scheme", "Z30-Basic", "Z30-two blanks", "Z30-a tab", "Z30-a word behind", "Z31-two",
        "Z30-another scheme", "Z33-an identity token", "Z33-an evaluation token", "Z33-a service token",
    ],
)  # fmt: skip
def test_header_without_a_valid_credential_is_rejected(
    door: Door, route: str, headers: Mapping[str, str], status: int
) -> None:
    filled = {name: value.format(**vars(door)) for name, value in headers.items()}
    assert gateways(ask(door, route, filled), status)


def test_z32_token_in_the_query_is_ignored(door: Door) -> None:
    for name in ("access_token", "token", "Authorization"):
        assert gateways(door.gate.call("GET", f"/api/towns?{name}={door.access}"), 401)


def test_z31_two_authorization_headers_are_rejected(door: Door) -> None:
    """There are two on the wire; API Gateway joins them with a comma."""
    connection = http.client.HTTPConnection(urlsplit(door.gate.api).netloc, timeout=30)
    connection.putrequest("GET", "/api/towns")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {door.access}")
    connection.endheaders()
    assert connection.getresponse().status == 403
    connection.close()


def test_z42_token_too_long_for_a_header_is_rejected(door: Door) -> None:
    long = door.access + "A" * 9_000
    answer = ask(door, "observe", {"authorization": f"Bearer {long}"})
    assert answer.status in (403, 431)
    assert ask(door, "observe", {"authorization": f"Bearer {long * 2}"}).status == 431


@pytest.mark.parametrize(
    ("credential", "admitted"),
    [("access", ("observe", "entry", "admin")), ("session", ("observe", "machine"))],
)
def test_z49_each_credential_passes_only_its_route_classes(
    door: Door, credential: str, admitted: tuple[str, ...]
) -> None:
    """The body tells the gate's refusal from the worker's."""
    headers = {"authorization": f"Bearer {vars(door)[credential]}"}
    assert [route for route in ROUTES if not gateways(ask(door, route, headers), 403)] == list(admitted)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_z30_scheme_is_case_insensitive(door: Door, scheme: str) -> None:
    assert ask(door, "observe", {"authorization": f"{scheme} {door.access}"}).status == 200


def test_z37_malleated_signature_is_accepted_or_denied(door: Door) -> None:
    assert ask(door, "observe", {"authorization": f"Bearer {twin(door.access)}"}).status in (200, 403)
