"""Tokens as a worker and its clients see them: what they contain, who can verify them, and which are rejected."""

import base64
import json
import subprocess
from typing import Any

import jwt
import pytest
from joserfc import jwt as jose
from joserfc.jwk import ECKey, KeySet, OctKey
from running_gate import Gate, Person
from running_gate.gate import ACCESS_TOKEN, GRANT, ID_TOKEN

ACCESS = "gastown-access"
OLD = {"version": 3, "gastownAccess": True, "isAdmin": True, "env": "production"}
"""Claims of the legacy system's tokens. All are rejected where no legacy issuer is configured."""


def test_r38_token_contains_the_configured_claims(fresh: Gate, alice: Person, root: Person) -> None:
    """Issuer, audience, and lifetime are as configured. The flag's claim is JSON true, and so is an admin's."""
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[alice.user])
    answer = fresh.mint(alice).expect(200)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json | {"access_token": ""} == {
        "access_token": "", "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3_600,
        "scope": "access",
    }  # fmt: skip
    claims = decoded(answer.json["access_token"])
    assert (claims["iss"], claims["aud"]) == (fresh.ready["issuer"], fresh.ready["audience"])
    assert (claims["sub"], claims["kiloUserId"], claims["version"]) == (alice.user, alice.user, 3)
    assert claims["exp"] - claims["iat"] == 3_600
    assert claims["gastownAccess"] is True
    assert claims["entitlements"] == [ACCESS]
    assert claims["rev"] == answer.revision
    assert "isAdmin" not in claims
    assert "admin" not in claims
    of_admin = decoded(fresh.access_token(root))
    assert (of_admin["isAdmin"], of_admin["admin"], of_admin["gastownAccess"]) == (True, True, True)


def test_r38_denial_contains_no_token(fresh: Gate, alice: Person) -> None:
    answer = fresh.mint(alice).expect(403)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json.keys() == {"error", "error_description"}
    assert answer.json["error"] == "access_denied"
    assert "eyJ" not in answer.text  # the start of every JWT


def test_r39_access_or_admin_claim_admits(fresh: Gate, alice: Person, root: Person) -> None:
    """{access} and {access, admin} pass; {neither} is never issued. Legacy tokens: test_old_tokens.py."""
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[alice.user])
    for person in (alice, root):
        fresh.create_town(person, fresh.access_token(person)).expect(201)
    neither = Person()
    fresh.mint(neither).expect(403)
    fresh.create_town(neither, fresh.evaluation_token(neither)).expect(403)


def test_r08_any_jwt_library_verifies_a_token(fresh: Gate, root: Person) -> None:
    """PyJWT and joserfc, from the issuer's URL alone: metadata (RFC 8414), JWKS, ES256, issuer, audience."""
    token = fresh.access_token(root)
    metadata = fresh.call("GET", "/.well-known/oauth-authorization-server").expect(200).json
    assert metadata["issuer"] == fresh.ready["issuer"]
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    required = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]
    claims = jwt.decode(
        token, key, algorithms=["ES256"], audience=fresh.ready["audience"], issuer=metadata["issuer"],
        options={"require": required},
    )  # fmt: skip
    assert claims["sub"] == root.user
    jwks = fresh.http.send("GET", metadata["jwks_uri"]).expect(200)
    assert jwks.headers["cache-control"] == "public, max-age=300"
    parsed = jose.decode(token, KeySet.import_key_set(jwks.json), algorithms=["ES256"])
    assert (parsed.header["typ"], parsed.claims) == ("at+jwt", claims)


def test_r08_curl_is_enough_for_the_whole_api(fresh: Gate, alice: Person) -> None:
    """Open the gate, get and use a token, evaluate, read the audit: HTTP, a JWT, and a signature that curl can make."""
    user = fresh.ready["admin"]
    signed = ["--aws-sigv4", f"aws:amz:{fresh.ready['region']}:execute-api"]
    signed += ["--user", f"{user['access_key_id']}:{user['secret_access_key']}", "-H", "content-type: application/json"]
    body = json.dumps({"stage": "ga", "reason": "by curl"})
    etag = f'if-match: "{fresh.flag(ACCESS)["version"]}"'
    key = f"idempotency-key: {alice.user}"
    path = f"{fresh.api}/admin/v1/flags/{ACCESS}"
    assert curl(f"{path}/stage", *signed, "-H", etag, "-H", key, "-d", body)["stage"] == "ga"
    id_token = curl(f"{fresh.idp}/token", "-d", f"sub={alice.user}")["id_token"]
    form = ["-d", f"grant_type={GRANT}", "-d", f"subject_token={id_token}", "-d", f"subject_token_type={ID_TOKEN}"]
    token = curl(f"{fresh.api}/v1/token", *form)["access_token"]
    bearer = ["-H", f"authorization: Bearer {token}", "-H", "content-type: application/json"]
    town = curl(f"{fresh.api}/api/users/{alice.user}/towns", *bearer, "-d", "{}")
    assert town["created_by"] == alice.user
    fresh.settled()
    flag = curl(f"{fresh.api}/ofrep/v1/evaluate/flags/{ACCESS}", *bearer, "-d", '{"context": {}}')
    assert (flag["value"], flag["reason"]) == (True, "STATIC")
    assert curl(f"{fresh.api}/admin/v1/audit?limit=1", *signed)["entries"][0]["reason"] == "by curl"


def test_r20_missing_credential_is_401_and_invalid_one_is_403(fresh: Gate, root: Person) -> None:
    """The gate guards every worker route. Only an unaltered Headgate token reaches the handler."""
    fresh.call("GET", "/api/towns").expect(401)
    fresh.call("GET", f"/api/towns?access_token={fresh.access_token(root)}").expect(401)
    for scheme in ("Basic abc", "Bearer", "Bearer ", "Bearer  x", "bearer", "Token x"):
        answer = fresh.call("GET", "/api/towns", headers={"authorization": scheme})
        assert answer.status in (401, 403), (scheme, answer)
    token = fresh.access_token(root)
    fresh.call("GET", "/api/towns", token=token).expect(200)
    for name, bad in bad_tokens(fresh, root, token).items():
        assert fresh.call("GET", "/api/towns", token=bad).status == 403, name
        assert fresh.evaluate_all(bad).status == 401, name


def test_r20_r22_other_token_types_are_refused_on_entry_routes(fresh: Gate, alice: Person, root: Person) -> None:
    """Valid tokens that are not access tokens, on town creation for a user and an org, and over tRPC."""
    member = Person(alice.user, orgs=("an-org",))
    fresh.stage(ACCESS, "ga")
    access = fresh.access_token(member)
    others = {
        "evaluation": fresh.evaluation_token(member),
        "an admin's evaluation": fresh.evaluation_token(root),
        "service": fresh.service_token(),
        "session": fresh.session_token(access, "town:1"),
        "identity": fresh.id_token(member),
    }
    for name, token in others.items():
        assert fresh.create_town(member, token).status == 403, name
        assert fresh.create_town(member, token, org="an-org").status == 403, name
        assert fresh.call("POST", "/trpc/gastown.createTown", token=token, body={}).status == 403, name
    fresh.create_town(member, access).expect(201)
    fresh.create_town(member, access, org="an-org").expect(201)


def test_r40_added_claims_are_ignored_by_verifiers(fresh: Gate, root: Person) -> None:
    """The token contains profile claims (`version`, `kiloUserId`) that Headgate's verifiers do not read."""
    token = fresh.access_token(root)
    assert decoded(token)["version"] == 3
    fresh.call("GET", "/api/towns", token=token).expect(200)
    fresh.evaluate_all(token).expect(200)


def bad_tokens(gate: Gate, person: Person, token: str) -> dict[str, str]:
    """Invalid tokens that resemble Headgate's."""
    header, payload, signature = token.split(".")
    claims, kid = decoded(token), str(jwt.get_unverified_header(token)["kid"])
    head = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
    own_key = ECKey.generate_key("P-256")
    published = gate.call("GET", "/.well-known/jwks.json").expect(200).json["keys"][0]
    as_secret = OctKey.import_key(json.dumps(published))

    def signed(alg: str, key: Any, **members: Any) -> str:
        return jose.encode({**head, "alg": alg}, {**claims, **members}, key, algorithms=[alg])

    return {
        "garbled": "not.a.token",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "altered claims": f"{header}.{_part({**claims, 'sub': 'someone-else'})}.{signature}",
        "altered signature": f"{header}.{payload}.{signature[:-4]}AAAA",
        "alg none": f"{_part({**head, 'alg': 'none'})}.{payload}.",
        "alg None, signed": f"{_part({**head, 'alg': 'None'})}.{payload}.{signature}",
        "HS256 by the public key": signed("HS256", as_secret),
        "another key, same kid": signed("ES256", own_key),
        "another key, expired": signed("ES256", own_key, exp=claims["iat"] - 60),
        "another key, another version": signed("ES256", own_key, version=2),
        "unknown kid": jose.encode({**head, "kid": "unknown"}, claims, own_key, algorithms=["ES256"]),
        "identity token": gate.id_token(person),
        "of the system replaced": jose.encode(
            {"alg": "HS256", "typ": "JWT"},
            OLD | {"kiloUserId": person.user, "exp": claims["exp"]},
            OctKey.generate_key(256),
        ),
        "too long": f"{header}.{payload}.{signature}" + "A" * 9_000,
    }


def decoded(token: str) -> dict[str, Any]:
    """The claims, unverified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def curl(*arguments: str) -> Any:
    """Curl's output as JSON. Fails on any status of 400 or above."""
    command = ["curl", "-sS", "--fail-with-body", "--noproxy", "*", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "context",
    [{"admin": "true"}, {"admin": 1}, {"admin": {}}, {"admin": "variant-a"}, {"admin": None}, {"orgs": "an-org"}],
)
def test_r45_context_of_the_wrong_type_is_rejected(gate: Gate, context: dict[str, Any]) -> None:
    """Only JSON true makes an admin, also where a service names the subject."""
    answer = gate.evaluate(ACCESS, gate.service_token(), {"targetingKey": "somebody", **context})
    assert (answer.status, answer.json["errorCode"]) == (400, "INVALID_CONTEXT")


@pytest.mark.parametrize("value", ["true", 1, "variant-a", {}, [True], None])
def test_r45_invalid_flag_values_are_rejected(gate: Gate, value: Any) -> None:
    """On and off values must be of one type, and a boolean flag must be true when on."""
    for values in ({"on": value, "off": True}, {"on": value, "off": None}, {"on": False, "off": True}):
        document = {"values": values, "stage": "ga", "reason": "strict"}
        answer = gate.change("PUT", f"/admin/v1/flags/{Person().user}", document, headers={"if-none-match": "*"})
        assert (answer.status, answer.slug) == (400, "invalid-body"), values


def test_r45_flag_value_never_grants_access(fresh: Gate, alice: Person) -> None:
    """A flag with a truthy off value is off at every gate: token endpoint, route, explain."""
    fresh.replace(ACCESS, values={"on": "variant-a", "off": "true"})
    fresh.settled()
    answer = fresh.evaluate(ACCESS, fresh.evaluation_token(alice)).expect(200).json
    assert (answer["value"], answer["variant"]) == ("true", "off")
    fresh.mint(alice).expect(403)
    assert fresh.explain(ACCESS, alice)["value"] is False
