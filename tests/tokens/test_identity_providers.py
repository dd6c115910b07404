"""The entries of docs/identity-providers.md, with tokens and keys shaped like each provider's, over HTTP."""

import base64
import datetime
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from identity_site import Site
from token_forge.own import b64, text
from token_forge.provider import ec_jwk, rs256, rsa_jwk, rsa_key, sign

from headgate.core.documents import Invalid
from headgate.tokens.identity import Identity, IdentityVerifier
from headgate.tokens.issuers import parse_issuers
from headgate.tokens.refusals import RefusalCode, TokenRefused

PAGE = (Path(__file__).parents[2] / "docs" / "identity-providers.md").read_text()
ENTRIES = {
    name: json.loads(entry) for name, entry in re.findall(r"<!-- issuer: (\w+) -->\n```json\n(.*?)```", PAGE, re.DOTALL)
}
Json = dict[str, Any]
GUID = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def here(site: Site, url: str) -> str:
    """The same path on this site."""
    return site.base + urlsplit(url).path


def certificate() -> str:
    """The provider's key in a certificate, as in `x5c` (RFC 7517 §4.7)."""
    key, name = rsa_key(2_048), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=3_650)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return base64.b64encode(built.public_bytes(serialization.Encoding.DER)).decode()


def without(jwk: Json, *names: str, **over: object) -> Json:
    return {name: value for name, value in jwk.items() if name not in names} | over


OLD = ec_jwk("old", ec.derive_private_key(9, ec.SECP256R1()), alg="ES256")
PLAIN = [rsa_jwk(alg="RS256"), OLD]
"""Two keys, each with `alg` and `use`."""


def with_certificate(*missing: str) -> list[Json]:
    chain = {"x5c": [certificate()], "x5t": "c2hhMQ"}
    return [without(rsa_jwk(**chain), *missing), without(OLD, *missing)]


KEYS: Mapping[str, Callable[[], list[Json]]] = {
    "entra": lambda: with_certificate("alg"),
    "auth0": lambda: with_certificate(),
    "adfs": lambda: with_certificate("use"),
    "keycloak": lambda: [rsa_jwk("enc", use="enc", alg="RSA-OAEP"), *with_certificate()],
    "github": lambda: with_certificate(),
    "apple": lambda: [without(rsa_jwk(), "kid"), OLD],
}
HEADERS: Mapping[str, Json] = {
    "cognito": {"alg": "RS256", "kid": "rsa-1"},
    "apple": {"alg": "RS256"},
    "adfs": {"alg": "RS256", "kid": "rsa-1", "typ": "JWT", "x5t": "c2hhMQ"},
    "clerk": {"alg": "RS256", "kid": "rsa-1", "typ": "JWT", "cat": "cl_B7d4PD111AAA"},
}
CLAIMS: Mapping[str, Json] = {
    "cognito": {"sub": "u-1", "token_use": "id", "cognito:groups": ["staff", "admins"], "custom:orgs": "acme",
                "custom:admin": "true", "email_verified": True, "auth_time": 1, "event_id": "e", "jti": "j"},
    "entra": {"sub": "pairwise", "oid": GUID, "tid": GUID, "roles": ["Gate.Admin"], "ver": "2.0", "uti": "u", "rh": "r",
              "preferred_username": "ada@corp.example", "email": "ada@corp.example"},
    "okta": {"sub": "00u1", "groups": ["Everyone", "gate-admins"], "ver": 1, "amr": ["pwd"], "idp": "00o"},
    "auth0": {"sub": "auth0|1", "org_id": "org_1", "https://example.com/roles": ["admin"], "sid": "s", "nonce": "n"},
    "keycloak": {"sub": "k-1", "typ": "ID", "azp": "web", "organization": {"acme": {"id": "1"}, "umbrella": {}},
                 "groups": ["/staff", "/admins"], "email": "ada@corp.example", "email_verified": True, "acr": "1"},
    "google": {"sub": "11", "azp": "1-example.apps.googleusercontent.com", "hd": "corp.example", "nbf": 1,
               "email": "ada@corp.example", "email_verified": True, "at_hash": "a"},
    "apple": {"sub": "001.a", "email": "ada@corp.example", "email_verified": "true", "is_private_email": "false",
              "nonce_supported": True, "c_hash": "c"},
    "adfs": {"sub": "a=", "upn": "ada@corp.example", "group": "Gate Admins", "scp": "openid", "appid": "app",
             "ver": "1.0", "apptype": "Public", "authmethod": "FormsAuthentication"},
    "cloudflare": {"sub": "c-1", "type": "app", "email": "ada@corp.example", "country": "DE", "identity_nonce": "n"},
    "github": {"sub": "repo:acme/app:ref:refs/heads/main", "repository_owner": "acme", "repository": "acme/app",
               "ref": "refs/heads/main", "environment": "production", "nbf": 1, "jti": "j", "run_id": "1"},
    "clerk": {"sub": "user_1", "azp": "https://app.example.com", "org_id": "org_1", "nbf": 1, "jti": "j"},
}  # fmt: skip
EXPECTED: Mapping[str, tuple[str, tuple[str, ...], bool, Json]] = {
    "cognito": ("u-1", ("acme",), True, {}),
    "entra": (GUID, (GUID,), True, {}),
    "okta": ("00u1", ("Everyone", "gate-admins"), True, {}),
    "auth0": ("auth0|1", ("org_1",), True, {}),
    "keycloak": ("k-1", ("acme", "umbrella"), True, {"email": "ada@corp.example"}),
    "google": ("11", ("corp.example",), False, {"email": "ada@corp.example"}),
    "apple": ("001.a", (), False, {"email": "ada@corp.example"}),
    "adfs": ("a=", (), True, {}),
    "cloudflare": ("c-1", (), False, {"email": "ada@corp.example", "country": "DE"}),
    "github": ("repo:acme/app:ref:refs/heads/main", ("acme",), False,
               {"repository": "acme/app", "ref": "refs/heads/main", "environment": "production"}),
    "clerk": ("user_1", ("org_1",), False, {}),
}  # fmt: skip
LIST_AUDIENCE = ("okta", "cloudflare")
FRACTIONS = ("auth0", "clerk")


def publish(site: Site, name: str) -> Json:
    """Publish a provider's documents on the site; its entry there."""
    entry = ENTRIES[name]
    issuer, keys = here(site, entry["issuer"]), KEYS.get(name, lambda: PLAIN)()
    jwks = entry.get("jwks_uri", entry["issuer"].rstrip("/") + "/keys")
    site.documents[urlsplit(jwks).path] = {"keys": keys, "public_cert": {"kid": "rsa-1", "cert": "PEM"}}
    discovery = {"issuer": issuer, "jwks_uri": here(site, jwks), "id_token_signing_alg_values_supported": ["RS256"]}
    site.documents[urlsplit(issuer).path.rstrip("/") + "/.well-known/openid-configuration"] = discovery
    return entry | {"issuer": issuer} | ({"jwks_uri": here(site, jwks)} if "jwks_uri" in entry else {})


def token_of(name: str, entry: Json, **over: object) -> str:
    now = time.time() if name in FRACTIONS else int(time.time())
    audience = entry["audience"] if name in LIST_AUDIENCE else entry["audience"][0]
    claims = {"iss": entry["issuer"], "aud": audience, "iat": now, "exp": now + 300, **CLAIMS[name], **over}
    header = HEADERS.get(name, {"alg": "RS256", "kid": "rsa-1", "typ": "JWT"})
    return sign(text(header), text(claims), by=rs256)


def read(entries: list[Json], token: str) -> Identity:
    return IdentityVerifier(parse_issuers(json.dumps(entries))).verify(token, time.time())


def test_each_provider_of_the_page_is_tested() -> None:
    assert ENTRIES.keys() == CLAIMS.keys() == EXPECTED.keys()
    assert len(ENTRIES) == 11


@pytest.mark.parametrize("name", EXPECTED)
def test_a_token_of_the_provider_is_accepted_and_read(name: str, site: Site) -> None:
    entry = publish(site, name)
    identity = read([entry], token_of(name, entry))
    user, orgs, admin, attributes = EXPECTED[name]
    wanted = (orgs, False) if name != "adfs" else ((), True)  # its one group has a space, which no org has
    assert (identity.user, identity.admin, identity.attributes) == (user, admin, attributes)
    assert (identity.orgs, identity.orgs_cut) == wanted


@pytest.mark.parametrize("name", EXPECTED)
def test_the_entry_fits_into_the_parameter_and_works_next_to_another(name: str, site: Site) -> None:
    entry = publish(site, name) | {"prefix": f"{name}:"}
    other = {"issuer": "https://other.example", "audience": ["web"], "prefix": ""}
    assert len(json.dumps([ENTRIES[name]])) <= 2_048
    assert read([other, entry], token_of(name, entry)).user == f"{name}:{EXPECTED[name][0]}"
    with pytest.raises(Invalid):
        parse_issuers(json.dumps([ENTRIES[name], other]))


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("cognito", {"token_use": "access", "client_id": "1example23456789", "scope": "openid"}),
        ("okta", {"cid": "0oaexample", "scp": ["openid"]}),
        ("keycloak", {"typ": "Bearer", "scope": "openid"}),
        ("auth0", {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
    ],
)
def test_another_kind_of_token_of_the_provider_is_refused(name: str, over: Json, site: Site) -> None:
    entry = publish(site, name)
    with pytest.raises(TokenRefused) as caught:
        read([entry], token_of(name, entry, **over))
    assert caught.value.code is RefusalCode.NOT_IDENTITY


@pytest.mark.parametrize(
    ("name", "over", "orgs"),
    [
        ("keycloak", {"organization": ["acme"]}, ("acme",)),
        ("adfs", {"group": ["Gate-Users", "Gate-Ops"]}, ("Gate-Users", "Gate-Ops")),
        ("cognito", {"custom:orgs": ""}, ()),
        ("okta", {"groups": None}, ()),
    ],
)
def test_other_shapes_of_the_orgs_are_read(name: str, over: Json, orgs: tuple[str, ...], site: Site) -> None:
    entry = publish(site, name)
    identity = read([entry], token_of(name, entry, **over))
    assert (identity.orgs, identity.orgs_cut) == (orgs, False)


def test_a_forged_token_is_refused_by_each_provider(site: Site) -> None:
    for name in EXPECTED:
        entry = publish(site, name)
        header, claims, _ = token_of(name, entry).split(".")
        with pytest.raises(TokenRefused) as caught:
            read([entry], f"{header}.{claims}.{b64(bytes(256))}")
        assert caught.value.code is RefusalCode.SIGNATURE
