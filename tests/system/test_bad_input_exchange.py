"""Bad exchanges at the token endpoint: forms, parameters, identity tokens. Rows T1 to T28 of the list of attacks.

Every refusal is an OAuth error without a token, and says nothing of what was sent.
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
    """An admin, whom no flag keeps out: what is refused here is refused for the credential."""
    return open_door(stack)


@pytest.fixture(autouse=True, scope="module")
def unchanged(door: Door) -> Iterator[None]:
    """Nothing here makes an audit entry."""
    revision = door.gate.revision()
    yield
    assert door.gate.revision() == revision


def form(door: Door, **changed: str | None) -> bytes:
    """A good exchange, with parameters changed or (None) taken away."""
    good = {"grant_type": GRANT, "subject_token": door.identity, "subject_token_type": ID_TOKEN}
    return urlencode({name: value for name, value in {**good, **changed}.items() if value is not None}).encode()


def exchange(door: Door, body: bytes, content_type: str | None = FORM) -> Answer:
    headers = {} if content_type is None else {"content-type": content_type}
    return door.gate.http.send("POST", f"{door.gate.api}/v1/token", headers=headers, body=body)


JWT, SAML = "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:saml2"
REFRESH = "urn:ietf:params:oauth:token-type:refresh_token"
EXCHANGES: Mapping[str, tuple[Mapping[str, str | None], str]] = {
    "T4-no grant_type": ({"grant_type": None}, "invalid_request"),
    "T4-an empty grant_type": ({"grant_type": ""}, "unsupported_grant_type"),
    "T4-password": ({"grant_type": "password"}, "unsupported_grant_type"),
    "T4-client_credentials": ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    "T4-in capitals": ({"grant_type": GRANT.upper()}, "unsupported_grant_type"),
    "T6-no subject_token_type": ({"subject_token_type": None}, "invalid_request"),
    "T6-an empty subject_token_type": ({"subject_token_type": ""}, "invalid_request"),
    "T6-no subject_token": ({"subject_token": None}, "invalid_request"),
    "T6-an empty subject_token": ({"subject_token": ""}, "invalid_request"),
    "T7-a refresh token": ({"subject_token_type": REFRESH}, "invalid_request"),
    "T7-a SAML assertion": ({"subject_token_type": SAML}, "invalid_request"),
    "T7-any JWT": ({"subject_token_type": JWT}, "invalid_request"),
    "T8-declared an access token": ({"subject_token_type": ACCESS_TOKEN}, "invalid_request"),
    "T9-actor_token": ({"actor_token": "x", "actor_token_type": ID_TOKEN}, "invalid_request"),
    "T9-an empty actor_token": ({"actor_token": ""}, "invalid_request"),
    "T9-actor_token_type alone": ({"actor_token_type": ID_TOKEN}, "invalid_request"),
    "T10-a refresh token wanted": ({"requested_token_type": REFRESH}, "invalid_request"),
    "T10-an identity token wanted": ({"requested_token_type": ID_TOKEN}, "invalid_request"),
    "T10-nothing wanted": ({"requested_token_type": ""}, "invalid_request"),
    "T10-a session by name": ({"requested_token_type": "session"}, "invalid_request"),
    "T11-another audience": ({"audience": "headgate-prod"}, "invalid_target"),
    "T11-the evaluation audience": ({"audience": "headgate:evaluate"}, "invalid_target"),
    "T11-an empty audience": ({"audience": ""}, "invalid_target"),
    "T11-a resource": ({"resource": "https://example.org/"}, "invalid_target"),
    "T12-service": ({"scope": "service"}, "invalid_scope"),
    "T12-admin": ({"scope": "admin"}, "invalid_scope"),
    "T12-two": ({"scope": "access evaluate"}, "invalid_scope"),
    "T12-empty": ({"scope": ""}, "invalid_scope"),
    "T12-session without asking for one": ({"scope": "session", "session_id": "x"}, "invalid_scope"),
    "T12-access where a session is asked for": (
        {"scope": "access", "requested_token_type": SESSION_TOKEN, "session_id": "x"},
        "invalid_scope",
    ),
    "T10-a session without an id": ({"requested_token_type": SESSION_TOKEN}, "invalid_request"),
    "T10-an empty session id": ({"requested_token_type": SESSION_TOKEN, "session_id": ""}, "invalid_request"),
    "T10-a long session id": ({"requested_token_type": SESSION_TOKEN, "session_id": "x" * 129}, "invalid_request"),
    "T10-a session id with a slash": ({"requested_token_type": SESSION_TOKEN, "session_id": "a/b"}, "invalid_request"),
    "T10-a session id with a NUL": ({"requested_token_type": SESSION_TOKEN, "session_id": "a\0"}, "invalid_request"),
    "T10-a session id with a line": ({"requested_token_type": SESSION_TOKEN, "session_id": "a\n"}, "invalid_request"),
}


@pytest.mark.parametrize(("changed", "error"), EXCHANGES.values(), ids=EXCHANGES)
def test_an_exchange_that_is_none(door: Door, changed: Mapping[str, str | None], error: str) -> None:
    refused(exchange(door, form(door, **changed)), 400, error)


FORMS: Mapping[str, tuple[Callable[[Door], bytes], int]] = {
    "T3-too large": (lambda door: form(door, x="x" * MAX_FORM), 413),
    "T5-subject_token twice": (lambda door: form(door) + b"&subject_token=x", 400),
    "T5-grant_type twice": (lambda door: form(door) + b"&grant_type=" + quote(GRANT).encode(), 400),
    "T5-an unknown one twice": (lambda door: form(door) + b"&x=1&x=2", 400),
    "T5-21 parameters": (lambda door: form(door) + b"".join(f"&p{i}=".encode() for i in range(18)), 400),
    "T21-JSON": (lambda door: json.dumps({"grant_type": GRANT, "subject_token": door.identity}).encode(), 400),
    "T21-deep JSON": (lambda _: b"[" * 8_000, 400),
    "T4-nothing": (lambda _: b"", 400),
    "T4-not UTF-8": (lambda door: form(door) + b"&x=%ff", 400),
    "T4-a surrogate": (lambda door: form(door) + b"&x=%ED%A0%80", 400),
    "T4-raw bytes": (lambda door: form(door) + b"&x=\xff\xfe", 400),
    "T4-other letters": (lambda door: form(door) + "&x=\u00e9".encode(), 400),
    "T4-in the query": (lambda _: b"grant_type=", 400),
}


@pytest.mark.parametrize(("make", "status"), FORMS.values(), ids=FORMS)
def test_a_form_that_is_none(door: Door, make: Callable[[Door], bytes], status: int) -> None:
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
def test_a_form_of_another_media_type(door: Door, content_type: str | None) -> None:
    refused(exchange(door, form(door), content_type), 415, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-URLEncoded"]
)
def test_t2_a_form_s_media_type_has_no_case_and_may_have_parameters(door: Door, content_type: str) -> None:
    assert exchange(door, form(door), content_type).status == 200


def test_t1_the_form_is_never_in_the_query(door: Door) -> None:
    """By GET there is no route at all, so nothing of it is logged with the address."""
    query = form(door).decode()
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        assert door.gate.call(method, f"/v1/token?{query}").status == 404
    answer = door.gate.http.send("POST", f"{door.gate.api}/v1/token?{query}", headers={"content-type": FORM}, body=b"")
    refused(answer, 400, "invalid_request")


def bad_identities(token: str) -> dict[str, str]:
    """Identity tokens that are none, made of a good one."""
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
        "T23-no JSON": spoiled(token, payload=b"root"),
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
def test_an_identity_token_that_is_none(door: Door, name: str) -> None:
    """For an access token and for an evaluation token, which every verified subject gets."""
    bad = bad_identities(door.identity)[name]
    for scope in ("access", "evaluate"):
        refused(exchange(door, form(door, subject_token=bad, scope=scope)), 400, "invalid_request")


def test_t20_many_unknown_keys(door: Door) -> None:
    """The provider is asked once a minute at the most: these are answered as fast as any other."""
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
    "T23-an org of 257 bytes": {"sub": "u", "orgs": "x" * 257},
    "T23-an org with a control character": {"sub": "u", "orgs": "a\x07"},
    "T24-an address that nobody verified": {"sub": "u", "email": "a@example.org", "email_verified": "false"},
}


@pytest.mark.parametrize("claims", SUBJECTS.values(), ids=SUBJECTS)
def test_a_subject_that_no_gate_knows(door: Door, claims: Mapping[str, str]) -> None:
    """Signed by the provider, and refused all the same."""
    answer = door.gate.http.send(
        "POST", f"{door.gate.idp}/token", headers={"content-type": FORM}, body=urlencode(claims).encode()
    )
    identity = answer.expect(200).json["id_token"]
    for scope in ("access", "evaluate"):
        refused(exchange(door, form(door, subject_token=identity, scope=scope)), 400, "invalid_request")


@pytest.mark.parametrize("own", ["access", "session", "evaluation", "service"])
def test_own_tokens_are_no_identity(door: Door, own: str) -> None:
    """T8: declared an identity token, and declared what it is, where no session is asked for."""
    token = vars(door)[own]
    refused(exchange(door, form(door, subject_token=token)), 400, "invalid_request")
    changed = {"subject_token": token, "subject_token_type": ACCESS_TOKEN}
    refused(exchange(door, form(door, **changed)), 400, "invalid_request")


@pytest.mark.parametrize("own", ["evaluation", "service", "identity"])
def test_t7_a_token_of_another_kind_starts_no_session(door: Door, own: str) -> None:
    refused(door.gate.session(vars(door)[own], "town:new"), 400, "invalid_request")


def test_t10_a_session_s_token_is_for_that_session(door: Door) -> None:
    refused(door.gate.session(door.session, "town:another"), 400, "invalid_request")


def test_t28_an_identity_alone_starts_no_session(door: Door) -> None:
    refused(door.gate.session(door.identity, "town:new", ID_TOKEN), 403, "access_denied")


@pytest.mark.parametrize("role", ["viewer", "kill_operator", "auditor", "editor"])
def test_a75_who_may_have_no_service_token(door: Door, role: str) -> None:
    assert gateways(door.gate.signed("POST", "/v1/service-token", role=role), 403)
