"""Tokens as a worker and its clients have them: what they hold, who can verify them, and which are refused."""

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
"""What tokens of the system that Headgate replaces say: none of them is taken where nobody asked for it."""


def test_r38_a_token_says_what_it_admits_to(fresh: Gate, alice: Person, root: Person) -> None:
    """Issuer, audience and lifetime as configured; the flag's claim is JSON true; an admin's says so too."""
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


def test_r38_a_denial_holds_no_token(fresh: Gate, alice: Person) -> None:
    answer = fresh.mint(alice).expect(403)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json.keys() == {"error", "error_description"}
    assert answer.json["error"] == "access_denied"
    assert "eyJ" not in answer.text  # how every JWT begins


def test_r39_either_claim_opens_the_route(fresh: Gate, alice: Person, root: Person) -> None:
    """{access} alone and {access, admin} pass; {neither} cannot be had. Old tokens: test_old_tokens.py."""
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


def test_r08_everything_is_driven_by_curl(fresh: Gate, alice: Person) -> None:
    """Open the gate, get a token, use it, evaluate, read the audit: HTTP, a JWT and a signature curl can make."""
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


def test_r20_no_credential_is_401_a_bad_one_403(fresh: Gate, root: Person) -> None:
    """A gate in front of every worker route; the handler is reached only with a token of its own, unaltered."""
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


def test_r20_r22_other_kinds_of_token_open_no_entry(fresh: Gate, alice: Person, root: Person) -> None:
    """A valid token that is not an access token: personal and org form of town creation, and tRPC."""
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


def test_r40_added_claims_do_no_harm(fresh: Gate, root: Person) -> None:
    """The token bears claims of the profile (`version`, `kiloUserId`) that no verifier of ours asks for."""
    token = fresh.access_token(root)
    assert decoded(token)["version"] == 3
    fresh.call("GET", "/api/towns", token=token).expect(200)
    fresh.evaluate_all(token).expect(200)


def bad_tokens(gate: Gate, person: Person, token: str) -> dict[str, str]:
    """Tokens that look like ours and are not."""
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
    """What curl prints, read. Fails on any status from 400 on."""
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
def test_r45_a_context_that_is_not_strictly_typed_is_refused(gate: Gate, context: dict[str, Any]) -> None:
    """Only JSON true makes an admin, also where a service names the subject."""
    answer = gate.evaluate(ACCESS, gate.service_token(), {"targetingKey": "somebody", **context})
    assert (answer.status, answer.json["errorCode"]) == (400, "INVALID_CONTEXT")


@pytest.mark.parametrize("value", ["true", 1, "variant-a", {}, [True], None])
def test_r45_only_true_grants(gate: Gate, value: Any) -> None:
    """A flag may map on and off to values; `on` is none of them, and a boolean flag is true when on."""
    for values in ({"on": value, "off": True}, {"on": value, "off": None}, {"on": False, "off": True}):
        document = {"values": values, "stage": "ga", "reason": "strict"}
        answer = gate.change("PUT", f"/admin/v1/flags/{Person().user}", document, headers={"if-none-match": "*"})
        assert (answer.status, answer.slug) == (400, "invalid-body"), values


def test_r45_a_value_is_no_grant(fresh: Gate, alice: Person) -> None:
    """A flag whose off-value is true-ish stays off at every gate: mint, route, explain."""
    fresh.replace(ACCESS, values={"on": "variant-a", "off": "true"})
    fresh.settled()
    answer = fresh.evaluate(ACCESS, fresh.evaluation_token(alice)).expect(200).json
    assert (answer["value"], answer["variant"]) == ("true", "off")
    fresh.mint(alice).expect(403)
    assert fresh.explain(ACCESS, alice)["value"] is False
