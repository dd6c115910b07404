"""Bad identity tokens by attack row, each with its refusal reason."""

import json
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec
from token_forge import own
from token_forge.own import NOW, b64, text
from token_forge.provider import (
    CLAIMS,
    CLIENT,
    HEADER,
    IDP,
    ec_jwk,
    es256,
    hs256,
    identity_token,
    rs256,
    sign,
    stranger,
    unsigned,
    with_header,
)

from headgate.tokens.refusals import RefusalCode as R

Bad = tuple[str, str, R]


def t07_own_and_other_tokens() -> Iterator[Bad]:
    """Access tokens, ours or the provider's, offered as identity tokens."""
    yield "own access token", own.good(), R.TYPE
    yield "own access token without its type", own.with_header({"typ": "JWT"}), R.ISSUER
    for typ in (
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "logout+jwt",
        "hg-session+jwt",
        "JWT;x",
        " JWT",
        "",
        None,
        1,
        [],
    ):
        yield f"typ {typ!r}", with_header({"typ": typ}), R.TYPE
    yield "for an API, not for a client", identity_token({"aud": "https://api.example"}), R.AUDIENCE
    yield "without an audience, as Cognito's access tokens", identity_token({}, "aud"), R.AUDIENCE
    for name, claims in (
        ("a Cognito access token", {"token_use": "access", "client_id": CLIENT}),
        ("a Keycloak access token", {"typ": "Bearer", "azp": CLIENT, "scope": "openid"}),
        ("a Keycloak refresh token", {"typ": "Refresh"}),
        ("an access token as RFC 9068 has it, but for its type", {"client_id": CLIENT, "scope": "openid", "jti": "1"}),
        ("an Okta access token", {"cid": CLIENT, "scp": ["openid"], "uid": "00u1"}),
        ("a logout token", {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "sid": "s"}),
        ("a security event", {"events": {}}),
        ("a use that is no text", {"token_use": ["id"]}),
    ):
        yield name, identity_token(claims), R.NOT_IDENTITY


def t13_none() -> Iterator[Bad]:
    """No signature at all."""
    for alg in ("none", "None", "nOnE", "NONE", "", None):
        for name, by in (("signed", es256), ("unsigned", unsigned)):
            yield f"alg {alg!r}, {name}", with_header({"alg": alg}, by=by), R.ALGORITHM
    head = f"{b64(text(HEADER | {'alg': 'none'}))}.{b64(text(CLAIMS))}"
    yield "alg none, empty signature", f"{head}.", R.SHAPE
    yield "alg none, two parts", head, R.SHAPE


def t14_algorithms() -> Iterator[Bad]:
    """An algorithm that is not the key's, most of all a shared secret."""
    for alg in ("HS256", "HS384", "HS512", "hs256"):
        for kid in ("rsa-1", "ec-1"):
            yield f"{alg} with the public key of {kid}", with_header({"alg": alg, "kid": kid}, by=hs256), R.ALGORITHM
    for alg in (
        "RS384",
        "RS512",
        "PS256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "rs256",
        "es256",
        "RS256 ",
        "dir",
        "RSA1_5",
    ):
        yield f"alg {alg}", with_header({"alg": alg}), R.ALGORITHM
    for alg in (True, 256, ["ES256"], {"alg": "ES256"}, 1.5):
        yield f"alg {alg!r}", with_header({"alg": alg}), R.ALGORITHM
    yield "RS256 under the EC key's id", with_header({"alg": "RS256"}, by=rs256), R.UNKNOWN_KEY
    yield "ES256 under the RSA key's id", with_header({"kid": "rsa-1"}), R.UNKNOWN_KEY
    yield "ES256 signature, RS256 said", with_header({"alg": "RS256", "kid": "rsa-1"}), R.SIGNATURE
    yield "HMAC of the public key, RS256 said", with_header({"alg": "RS256", "kid": "rsa-1"}, by=hs256), R.SIGNATURE
    yield "HMAC of the public key, ES256 said", with_header({}, by=hs256), R.SIGNATURE
    yield "a stranger's signature", with_header({}, by=stranger), R.SIGNATURE
    yield "no alg", with_header({}, "alg"), R.HEADER_MEMBER


def t15_issuers() -> Iterator[Bad]:
    """Variants of the issuer."""
    for iss in (
        *(IDP + "/", IDP.upper(), "HTTPS://idp.example/tenant", "https://IDP.example/tenant", IDP[:-1], IDP + "s"),
        *(
            "http://idp.example/tenant",
            "https://idp.example",
            "https://idp.example:443/tenant",
            "https://idp.example//tenant",
        ),
        *(
            "https://idp.ex\u0430mple/tenant",
            "https://idp\uff0eexample/tenant",
            IDP + "\u200b",
            IDP + "?",
            IDP + "#",
            "t",
        ),
        *(
            "https://evil.example/" + IDP,
            "https://idp.example@evil.example/tenant",
            "https://evil.example/tenant",
            own.ISSUER,
        ),
        *(IDP + " ", " " + IDP, IDP + "\n", IDP + "\0", "", None, True, 1, [IDP], {"iss": IDP}, []),
    ):
        yield f"iss {iss!r}", identity_token({"iss": iss}), R.ISSUER
    yield "no iss", identity_token({}, "iss"), R.CLAIM_MISSING


def t16_audiences() -> Iterator[Bad]:
    """An audience without our client, or with others and without `azp`."""
    for aud in (
        *(
            "other",
            CLIENT + " ",
            CLIENT.upper(),
            CLIENT + "\n",
            CLIENT[:-1],
            "",
            "*",
            f"{CLIENT},other",
            f"{CLIENT} other",
        ),
        *(
            [],
            ["other"],
            ["other", "another"],
            [CLIENT, 1],
            [CLIENT, None],
            [[CLIENT]],
            [CLIENT, True],
            [{"aud": CLIENT}],
        ),
        *(None, True, 1, {CLIENT: 1}),
    ):
        yield f"aud {aud!r}", identity_token({"aud": aud}), R.AUDIENCE
    yield "no aud", identity_token({}, "aud"), R.AUDIENCE
    yield "others too, no azp", identity_token({"aud": [CLIENT, "other"]}), R.AUTHORIZED_PARTY
    yield "others too, a null azp", identity_token({"aud": [CLIENT, "other"], "azp": None}), R.AUTHORIZED_PARTY
    for azp in ("other", CLIENT + " ", CLIENT.upper(), "", True, 1, [CLIENT], {}, [], "w" * 300):
        for aud in (CLIENT, [CLIENT], [CLIENT, "other"]):
            yield f"aud {aud!r}, azp {azp!r}"[:60], identity_token({"aud": aud, "azp": azp}), R.AUTHORIZED_PARTY


def t17_times() -> Iterator[Bad]:
    """A time that is too early, too late, too old, or missing."""
    for claims, code in (
        ({"exp": NOW}, R.EXPIRED),
        ({"exp": NOW - 1}, R.EXPIRED),
        ({"exp": NOW - 31, "iat": NOW - 400}, R.EXPIRED),
        ({"exp": 0}, R.EXPIRED),
        ({"exp": -1}, R.EXPIRED),
        ({"iat": NOW + 31}, R.NOT_YET_VALID),
        ({"iat": NOW + 3_000}, R.NOT_YET_VALID),
        ({"nbf": NOW + 31}, R.NOT_YET_VALID),
        ({"nbf": 2**53 - 1}, R.NOT_YET_VALID),
        ({"iat": NOW - 601}, R.TOO_OLD),
        ({"iat": NOW - 3_599}, R.TOO_OLD),
        ({"iat": 0}, R.TOO_OLD),
        ({"iat": -1}, R.TOO_OLD),
        ({"iat": -(2**53) + 1}, R.TOO_OLD),
    ):
        yield f"{claims}", identity_token(claims), code
    for name in ("exp", "iat"):
        yield f"no {name}", identity_token({}, name), R.CLAIM_MISSING
        yield f"a null {name}", identity_token({name: None}), R.CLAIM_TYPE
    for name in ("exp", "iat", "nbf"):
        for literal, code in own_literals():
            others = text({n: v for n, v in CLAIMS.items() if n != name})[:-1]
            yield (
                f"{name} {literal[:24]} ({len(literal)})",
                sign(text(HEADER), others + f',"{name}":{literal}}}'.encode()),
                code,
            )


def own_literals() -> tuple[tuple[str, R], ...]:
    """Numbers that are not plain integers."""
    return (
        ("true", R.CLAIM_TYPE),
        ("[]", R.CLAIM_TYPE),
        ("{}", R.CLAIM_TYPE),
        (f'"{NOW}"', R.CLAIM_TYPE),
        ("9007199254740992", R.CLAIM_TYPE),
        ("1" + "0" * 4_000, R.CLAIM_TYPE),
        ("9" * 5_000, R.NOT_JSON),
        ("1e400", R.NOT_FINITE),
        ("NaN", R.NOT_FINITE),
        ("-Infinity", R.NOT_FINITE),
        ("01", R.NOT_JSON),
    )


def t18_pointers() -> Iterator[Bad]:
    """Headers that contain a key or point to one; nothing may be fetched from there."""
    evil = ec_jwk("evil", ec.derive_private_key(202, ec.SECP256R1()))
    for name, value in {
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/cert",
        "jwk": evil,
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "zip": "DEF",
        "b64": True,
        "enc": "A256GCM",
        "epk": evil,
        "p2c": 2_000_000_000,
        "p2s": "AAAA",
        "iv": "AAAA",
        "tag": "AAAA",
        "apu": "AA",
        "apv": "AA",
    }.items():
        yield f"{name}", with_header({name: value}, by=stranger), R.HEADER_MEMBER
        yield f"{name}, null", with_header({name: None}), R.HEADER_MEMBER


def t19_key_ids() -> Iterator[Bad]:
    """Key ids that attack a lookup."""
    for kid in (
        *(
            "../../x",
            "../../../../dev/null",
            "a/../b",
            "' OR '1'='1",
            "1; DROP TABLE keys",
            "k" * 257,
            "1" * 300 + "k" * 1_024,
        ),
        *(
            "key\0",
            "\0",
            "key\n",
            "\r\nX: y",
            "",
            " ",
            "ec-1 ",
            " ec-1",
            "\u00e9c-1",
            "ec\u20101",
            "$(id)",
            "`id`",
            "a%00",
        ),
        *("{{7*7}}", "<script>", "ec-1\\", '"', "|\x1b[2J", "..", "file:///etc/passwd?x", "(a)", "a*", "[x]", "ec-1;x"),
        *(None, 0, 1, -1, True, 1.5, [], ["ec-1"], {}, {"$ne": None}),
    ):
        yield f"kid {kid!r}"[:40], with_header({"kid": kid}), R.KEY_ID
    yield "no kid, signed by another", with_header({}, "kid", by=stranger), R.SIGNATURE
    yield "unknown kid", with_header({"kid": "ec-2"}), R.UNKNOWN_KEY
    yield "kid in another case", with_header({"kid": "EC-1"}), R.UNKNOWN_KEY


def t21_deep() -> Iterator[Bad]:
    """Nesting far deeper than any parser's stack."""
    for depth, code in ((33, R.TOO_DEEP), (1_900, R.TOO_DEEP), (100_000, R.TOO_LARGE)):
        for name, opened, closed in (("lists", b"[", b"]"), ("objects", b'{"a":', b"}")):
            payload = text(CLAIMS)[:-1] + b',"x":' + opened * depth + b"1" + closed * depth + b"}"
            yield f"claims of {depth} nested {name}", sign(text(HEADER), payload), code
    for depth, code in ((40, R.TOO_DEEP), (700, R.TOO_DEEP), (1_500, R.TOO_LARGE), (7_400, R.TOO_LARGE)):
        header = text(HEADER)[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
        yield f"header nested {depth} deep", sign(header, text(CLAIMS)), code
    yield "claims of 900 open brackets", sign(text(HEADER), b"[" * 900), R.NOT_JSON
    yield "17 KB", identity_token({"picture": "a" * 12_500}), R.TOO_LARGE
    yield "1 MB", "A" * 1_000_000, R.TOO_LARGE


def t22_encrypted() -> Iterator[Bad]:
    """Encrypted tokens: refused by shape, before any key is derived."""
    for alg in ("PBES2-HS256+A128KW", "RSA-OAEP", "dir", "ECDH-ES", "A128KW"):
        header = b64(json.dumps({"alg": alg, "enc": "A256GCM", "p2c": 2_000_000_000, "p2s": "AAAA"}).encode())
        yield f"JWE {alg}", f"{header}.AAAA.AAAA.AAAA.AAAA", R.SHAPE
        yield f"JWE {alg}, empty key", f"{header}..AAAA.AAAA.AAAA", R.SHAPE
        yield f"JWS that says {alg}", f"{header}.{b64(text(CLAIMS))}.AAAA", R.HEADER_MEMBER
    yield "alg PBES2 alone", with_header({"alg": "PBES2-HS256+A128KW"}), R.ALGORITHM


def t23_subjects() -> Iterator[Bad]:
    """Subjects that are not valid ids."""
    for sub in (
        *(
            "",
            " ",
            "al ice",
            " alice",
            "alice ",
            "alice\n",
            "alice\t",
            "alice\r\n",
            "alice\0",
            "\x1b[31malice",
            "a\x7f",
        ),
        *("a\x85", "a\u2028", "a\u2029", "a\u00a0", "a" * 257, "b" * 10_000, "\u00e9" * 129, "\U0001f40e" * 65),
        *(True, False, 0, 1, 1.5, [], ["alice"], {}, {"sub": "alice"}),
    ):
        yield f"sub {sub!r}"[:40], identity_token({"sub": sub}), R.SUBJECT
    yield "no sub", identity_token({}, "sub"), R.CLAIM_MISSING
    yield "a null sub", identity_token({"sub": None}), R.CLAIM_MISSING
    yield "lone surrogate", identity_token({"sub": "a\ud800"}), R.NOT_UTF8


def z38_form() -> Iterator[Bad]:
    """Malformed text, as for our own tokens."""
    token, claims = identity_token(), text(CLAIMS)
    yield from (
        ("empty", "", R.SHAPE),
        ("blank after", f"{token} ", R.SHAPE),
        ("newline after", f"{token}\n", R.SHAPE),
        ("padded", f"{token}==", R.SHAPE),
        ("four parts", f"{token}.AAAA", R.SHAPE),
        ("two, comma-joined", f"{token},{token}", R.SHAPE),
        ("not ASCII", f"{token}\u00e9", R.SHAPE),
        ("63 bytes of signature", f"{token.rpartition('.')[0]}.{b64(bytes(63))}", R.SIGNATURE),
        ("65 bytes of signature", f"{token.rpartition('.')[0]}.{b64(bytes(65))}", R.SIGNATURE),
        ("zero signature", f"{token.rpartition('.')[0]}.{b64(bytes(64))}", R.SIGNATURE),
        ("short RSA signature", with_header({"alg": "RS256", "kid": "rsa-1"}, by=unsigned), R.SIGNATURE),
        ("array", sign(text(HEADER), b"[]"), R.NOT_OBJECT),
        ("null", sign(text(HEADER), b"null"), R.NOT_OBJECT),
        ("BOM", sign(text(HEADER), b"\xef\xbb\xbf" + claims), R.NOT_JSON),
        ("UTF-16", sign(text(HEADER), claims.decode().encode("utf-16")), R.NOT_UTF8),
        ("Latin-1", sign(text(HEADER), claims.replace(b"alice", b"al\xefce")), R.NOT_UTF8),
        ("sub twice", sign(text(HEADER), claims[:-1] + b',"sub":"root"}'), R.DUPLICATE_MEMBER),
        ("aud twice", sign(text(HEADER), claims[:-1] + b',"aud":"other"}'), R.DUPLICATE_MEMBER),
        ("alg twice", sign(b'{"alg":"none",' + text(HEADER)[1:], claims), R.DUPLICATE_MEMBER),
        ("NaN in an unknown claim", sign(text(HEADER), claims[:-1] + b',"x":NaN}'), R.NOT_FINITE),
    )


ROWS = {
    "t07": t07_own_and_other_tokens,
    "t13": t13_none,
    "t14": t14_algorithms,
    "t15": t15_issuers,
    "t16": t16_audiences,
    "t17": t17_times,
    "t18": t18_pointers,
    "t19": t19_key_ids,
    "t21": t21_deep,
    "t22": t22_encrypted,
    "t23": t23_subjects,
    "z38": z38_form,
}
