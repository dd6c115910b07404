"""Invalid exchanges at the token endpoint: forms, parameters, identity tokens. Rows T1 to T28 of docs/attacks.md.

Every refusal is an OAuth error without a token, and repeats nothing of the request.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, urlencode

import pytest
from doors import Door, gateways, open_door, refused
from forged import last_bit, part, spoiled, unb64, unsigned
from running_gate import Answer
from running_gate.gate import ACCESS_TOKEN, FORM, GRANT, ID_TOKEN, SESSION_TOKEN

from headgate_cli.local.stack import Stack

MAX_FORM = 16_384


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


def form(door: Door, **changed: str | None) -> bytes:
    """A valid exchange, with parameters changed or (None) removed."""
    good = {"grant_type": GRANT, "subject_token": door.identity, "subject_token_type": ID_TOKEN}
    return urlencode({name: value for name, value in {**good, **changed}.items() if value is not None}).encode()


def exchange(door: Door, body: bytes, content_type: str | None = FORM) -> Answer:
    headers = {} if content_type is None else {"content-type": content_type}
    return door.gate.http.send("POST", f"{door.gate.api}/v1/token", headers=headers, body=body)


JWT, SAML = "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:saml2"
REFRESH = "urn:ietf:params:oauth:token-type:refresh_token"
EXCHANGES: Mapping[str, tuple[Mapping[str, str | None], str]] = {
    "T4-no grant_type": ({"grant_type": None}, "invalid_request"),
    "T4-an empty grant_type": ({"grant_type": ""}, "invalid_request"),
    "T4-password": ({"grant_type": "password"}, "unsupported_grant_type"),
    "T4-client_credentials": ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    "T4-in upper case": ({"grant_type": GRANT.upper()}, "unsupported_grant_type"),
    "T6-no subject_token_type": ({"subject_token_type": None}, "invalid_request"),
    "T6-an empty subject_token_type": ({"subject_token_type": ""}, "invalid_request"),
    "T6-no subject_token": ({"subject_token": None}, "invalid_request"),
    "T6-an empty subject_token": ({"subject_token": ""}, "invalid_request"),
    "T7-a refresh token": ({"subject_token_type": REFRESH}, "invalid_request"),
    "T7-a SAML assertion": ({"subject_token_type": SAML}, "invalid_request"),
    "T7-any JWT": ({"subject_token_type": JWT}, "invalid_request"),
    "T8-declared an access token": ({"subject_token_type": ACCESS_TOKEN}, "invalid_request"),
    "T9-actor_token": ({"actor_token": "x", "actor_token_type": ID_TOKEN}, "invalid_request"),
    "T9-only actor_token_type": ({"actor_token_type": ID_TOKEN}, "invalid_request"),
    "T10-a refresh token requested": ({"requested_token_type": REFRESH}, "invalid_request"),
    "T10-an identity token requested": ({"requested_token_type": ID_TOKEN}, "invalid_request"),
    "T10-a session by name": ({"requested_token_type": "session"}, "invalid_request"),
    "T11-another audience": ({"audience": "headgate-prod"}, "invalid_target"),
    "T11-the evaluation audience": ({"audience": "headgate:evaluate"}, "invalid_target"),
    "T11-a resource": ({"resource": "https://example.org/"}, "invalid_target"),
    "T12-service": ({"scope": "service"}, "invalid_scope"),
    "T12-admin": ({"scope": "admin"}, "invalid_scope"),
    "T12-two": ({"scope": "access evaluate"}, "invalid_scope"),
    "T12-scope session without requesting one": ({"scope": "session", "session_id": "x"}, "invalid_scope"),
    "T12-scope access for a session": (
        {"scope": "access", "requested_token_type": SESSION_TOKEN, "session_id": "x"},
        "invalid_scope",
    ),
    "T10-a session without an id": ({"requested_token_type": SESSION_TOKEN}, "invalid_request"),
    "T10-an empty session id": ({"requested_token_type": SESSION_TOKEN, "session_id": ""}, "invalid_request"),
    "T10-a long session id": ({"requested_token_type": SESSION_TOKEN, "session_id": "x" * 129}, "invalid_request"),
    "T10-a session id with a slash": ({"requested_token_type": SESSION_TOKEN, "session_id": "a/b"}, "invalid_request"),
    "T10-a session id with a NUL": ({"requested_token_type": SESSION_TOKEN, "session_id": "a\0"}, "invalid_request"),
    "T10-a session id with a newline": (
        {"requested_token_type": SESSION_TOKEN, "session_id": "a\n"},
        "invalid_request",
    ),
}


@pytest.mark.parametrize(("changed", "error"), EXCHANGES.values(), ids=EXCHANGES)
def test_invalid_exchange_parameter_is_rejected(door: Door, changed: Mapping[str, str | None], error: str) -> None:
    refused(exchange(door, form(door, **changed)), 400, error)


@pytest.mark.parametrize(
    "name", ["actor_token", "actor_token_type", "requested_token_type", "audience", "resource", "scope", "session_id"]
)
def test_parameter_without_a_value_counts_as_absent(door: Door, name: str) -> None:
    assert exchange(door, form(door, **{name: ""})).status == 200


FORMS: Mapping[str, tuple[Callable[[Door], bytes], int]] = {
    "T3-too large": (lambda door: form(door, x="x" * MAX_FORM), 413),
    "T5-subject_token twice": (lambda door: form(door) + b"&subject_token=x", 400),
    "T5-grant_type twice": (lambda door: form(door) + b"&grant_type=" + quote(GRANT).encode(), 400),
    "T5-an unknown parameter twice": (lambda door: form(door) + b"&x=1&x=2", 400),
    "T5-21 parameters": (lambda door: form(door) + b"".join(f"&p{i}=".encode() for i in range(18)), 400),
    "T21-JSON": (lambda door: json.dumps({"grant_type": GRANT, "subject_token": door.identity}).encode(), 400),
    "T21-deep JSON": (lambda _: b"[" * 8_000, 400),
    "T4-an empty form": (lambda _: b"", 400),
    "T4-not UTF-8": (lambda door: form(door) + b"&x=%ff", 400),
    "T4-a surrogate": (lambda door: form(door) + b"&x=%ED%A0%80", 400),
    "T4-raw bytes": (lambda door: form(door) + b"&x=\xff\xfe", 400),
    "T4-letters outside ASCII": (lambda door: form(door) + "&x=\u00e9".encode(), 400),
    "T4-in the query": (lambda _: b"grant_type=", 400),
}


@pytest.mark.parametrize(("make", "status"), FORMS.values(), ids=FORMS)
def test_malformed_form_is_rejected(door: Door, make: Callable[[Door], bytes], status: int) -> None:
    answer = exchange(door, make(door))
    assert answer.status == status
    refused(answer, status, answer.json["error"])
    assert answer.json["error"] in ("invalid_request", "unsupported_grant_type")


MEDIA_TYPES = (
    None,
    "",
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencodedx",
    "application/x-www-form-urlencoded, application/json",
)


@pytest.mark.parametrize("content_type", MEDIA_TYPES, ids=lambda value: f"T2-{value}")
def test_form_of_another_media_type_is_rejected(door: Door, content_type: str | None) -> None:
    refused(exchange(door, form(door), content_type), 415, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-URLEncoded"]
)
def test_t2_media_type_is_case_insensitive_and_may_have_parameters(door: Door, content_type: str) -> None:
    assert exchange(door, form(door), content_type).status == 200


def test_t1_form_in_the_query_is_404(door: Door) -> None:
    """GET has no route, so nothing from the query is logged with the path."""
    query = form(door).decode()
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        assert door.gate.call(method, f"/v1/token?{query}").status == 404
    answer = door.gate.http.send("POST", f"{door.gate.api}/v1/token?{query}", headers={"content-type": FORM}, body=b"")
    refused(answer, 400, "invalid_request")


def bad_identities(token: str) -> dict[str, str]:
    """Invalid identity tokens made from a valid one."""
    kids = {"a path": "../../x", "SQL": "' OR 1=1 --", "1 KB": "k" * 1_024, "NUL": "a\0b", "a number": 7, "null": None}
    pointers = {
        "jku": "http://127.0.0.1:9/jwks", "x5u": "http://127.0.0.1:9/cert", "jwk": {"kty": "EC", "crv": "P-256"},
        "x5c": ["MIIB"], "crit": ["b64"], "zip": "DEF", "b64": False,
    }  # fmt: skip
    issuers = {"a slash": "{}/", "another": "https://idp.example", "capitals": "HTTP", "none": None, "a list": ["{}"]}
    body = json.loads(unb64(token.split(".")[1]))
    return {
        **{f"T13-alg {alg}": unsigned(token, alg, admin=True) for alg in ("none", "None", "nOnE", "")},
        "T14-HS256": spoiled(token, header={"alg": "HS256"}),
        "T14-RS256": spoiled(token, header={"alg": "RS256"}),
        "T14-ES384": spoiled(token, header={"alg": "ES384"}),
        "T14-a list of algorithms": spoiled(token, header={"alg": ["ES256"]}),
        **{
            f"T15-iss: {name}": spoiled(
                token, payload={"iss": value.format(body["iss"]) if isinstance(value, str) else value}
            )
            for name, value in issuers.items()
        },
        "T16-another audience": spoiled(token, payload={"aud": "another"}),
        "T16-azp added": spoiled(token, payload={"azp": "another"}),
        "T17-exp moved": spoiled(token, payload={"exp": 4_000_000_000}),
        "T17-iat moved": spoiled(token, payload={"iat": 1}),
        **{f"T18-{name}": spoiled(token, header={name: value}) for name, value in pointers.items()},
        **{f"T19-kid: {name}": spoiled(token, header={"kid": value}) for name, value in kids.items()},
        "T21-deep claims": spoiled(token, payload=b'{"x":' + b"[" * 4_000 + b"]" * 4_000 + b"}"),
        "T21-a deep header": spoiled(token, header=b'{"x":' + b"[" * 700 + b"]" * 700 + b"}"),
        "T22-five parts": ".".join([part({"alg": "PBES2-HS256+A128KW", "p2c": 2**31, "enc": "A128GCM"}), *"abcd"]),
        "T22-four parts": f"{token}.x",
        "T23-sub changed": spoiled(token, payload={"sub": "root"}),
        "T23-not JSON": spoiled(token, payload=b"root"),
        "T23-sub twice": spoiled(token, payload=json.dumps(body).encode()[:-1] + b',"sub":"root"}'),
        "Z35-a trailing bit": last_bit(token),
        "Z35-padding": token + "=",
        "Z35-blanks": f" {token}",
        "T17-typ at+jwt": spoiled(token, header={"typ": "at+jwt"}),
        "T3-20 KB": spoiled(token, payload={"x": "x" * 9_000}),
        "T6-a word": "token",
    }


IDENTITY_NAMES = tuple(
    bad_identities(spoiled("e30.e30.AAAA", header={"kid": "x"}, payload={"iss": "x"}, signature="A" * 86))
)


@pytest.mark.parametrize("name", IDENTITY_NAMES)
def test_invalid_identity_token_is_rejected(door: Door, name: str) -> None:
    """For an access token, and for an evaluation token, which every verified subject gets."""
    bad = bad_identities(door.identity)[name]
    for scope in ("access", "evaluate"):
        refused(exchange(door, form(door, subject_token=bad, scope=scope)), 400, "invalid_request")


def test_t20_flood_of_unknown_keys_is_answered_quickly(door: Door) -> None:
    """The provider is asked at most once a minute, so these are answered as fast as any other."""
    for number in range(30):
        bad = spoiled(door.identity, header={"kid": f"unknown-{number}"})
        answer = refused(exchange(door, form(door, subject_token=bad)), 400, "invalid_request")
        assert answer.seconds < 2
    assert exchange(door, form(door)).status == 200


SUBJECTS: Mapping[str, Mapping[str, str]] = {
    "T23-control characters": {"sub": "a\x00b"},
    "T23-a line break": {"sub": "root\nadmin"},
    "T23-a blank": {"sub": "a b"},
    "T23-blanks only": {"sub": "  "},
    "T23-257 bytes": {"sub": "x" * 257},
    "T23-10 KB": {"sub": "x" * 10_000},
}


@pytest.mark.parametrize("claims", SUBJECTS.values(), ids=SUBJECTS)
def test_invalid_subject_is_rejected(door: Door, claims: Mapping[str, str]) -> None:
    """Signed by the provider, and rejected all the same."""
    answer = door.gate.http.send(
        "POST", f"{door.gate.idp}/token", headers={"content-type": FORM}, body=urlencode(claims).encode()
    )
    identity = answer.expect(200).json["id_token"]
    for scope in ("access", "evaluate"):
        refused(exchange(door, form(door, subject_token=identity, scope=scope)), 400, "invalid_request")


@pytest.mark.parametrize("own", ["access", "session", "evaluation", "service"])
def test_headgate_token_is_not_an_identity_token(door: Door, own: str) -> None:
    """T8: declared as an identity token, and declared as what it is, without requesting a session."""
    token = vars(door)[own]
    refused(exchange(door, form(door, subject_token=token)), 400, "invalid_request")
    changed = {"subject_token": token, "subject_token_type": ACCESS_TOKEN}
    refused(exchange(door, form(door, **changed)), 400, "invalid_request")


@pytest.mark.parametrize("own", ["evaluation", "service", "identity"])
def test_t7_token_of_another_type_cannot_start_a_session(door: Door, own: str) -> None:
    refused(door.gate.session(vars(door)[own], "town:new"), 400, "invalid_request")


def test_t10_session_token_is_valid_for_its_session_only(door: Door) -> None:
    refused(door.gate.session(door.session, "town:another"), 400, "invalid_request")


def test_t28_identity_token_cannot_start_a_session(door: Door) -> None:
    refused(door.gate.session(door.identity, "town:new", ID_TOKEN), 403, "access_denied")


@pytest.mark.parametrize("role", ["viewer", "kill_operator", "auditor", "editor"])
def test_a75_role_without_permission_gets_no_service_token(door: Door, role: str) -> None:
    assert gateways(door.gate.signed("POST", "/v1/service-token", role=role), 403)
