"""Bad tokens with our own issuer by attack row, each with its refusal reason."""

import base64
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from token_forge.own import (
    ACCESS,
    ACTIVE,
    AUDIENCE,
    HEADER,
    ISSUER,
    NOW,
    REVOKED,
    STRANGER,
    b64,
    good,
    sign,
    sign_parts,
    signer,
    text,
    with_claims,
    with_header,
    with_literal,
)

from headgate.tokens.claims import Kind
from headgate.tokens.keys import ORDER
from headgate.tokens.refusals import RefusalCode as R

Bad = tuple[str, str, R]
"""What is wrong, the token, the reason."""


def z30_wrapped() -> Iterator[Bad]:
    """A valid token with extra text, as from a careless caller."""
    token = good()
    for name, wrapped in {
        "empty": "",
        "blank": " ",
        "with the scheme": f"Bearer {token}",
        "blank before": f" {token}",
        "blank after": f"{token} ",
        "newline after": f"{token}\n",
        "newline before": f"\n{token}",
        "tab": f"\t{token}",
        "no-break space": f"\u00a0{token}",
        "zero-width space inside": token[:40] + "\u200b" + token[40:],
        "NUL after": f"{token}\0",
        "quoted": f'"{token}"',
        "two, comma-joined": f"{token},{token}",
        "two, comma and blank": f"{token}, Bearer {token}",
        "semicolon": f"{token};x",
        "percent-encoded dots": token.replace(".", "%2E"),
        "full-width dots": token.replace(".", "\uff0e"),
        "slash alphabet": token.replace("-", "+").replace("_", "/") + "/",
        "one part": token.split(".")[0],
        "two parts": token.rpartition(".")[0],
        "no signature": token.rpartition(".")[0] + ".",
        "no payload": ".".join((token.split(".")[0], "", token.split(".")[2])),
        "no header": "." + token.partition(".")[2],
        "four parts": f"{token}.AAAA",
        "five parts (JWE)": f"{token}.AAAA.AAAA",
        "leading dot": f".{token}",
        "trailing dot": f"{token}.",
        "two dots": token.replace(".", ".."),
        "only dots": "..",
        "JSON serialization": '{"payload":"e30","protected":"e30","signature":"AA"}',
        "unencoded JSON": '{"alg":"none"}.{}.',
        "PASETO": "v4.public." + "A" * 40 + "!",
    }.items():
        yield name, wrapped, R.SHAPE


def z33_other_types() -> Iterator[Bad]:
    """Tokens of other types."""
    for typ in ("JWT", "jwt", "JOSE", "id_token+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "kb+jwt", "hg-jwt"):
        yield f"typ {typ}", with_header({"typ": typ}), R.TYPE


def z34_typ() -> Iterator[Bad]:
    """Malformed `typ` headers."""
    for typ in (
        *(
            "at+jwt;x",
            "at+jwt; charset=utf-8",
            " at+jwt",
            "at+jwt ",
            "at+jwt\n",
            "at jwt",
            "at+jw",
            "at+jwtt",
            "",
            "at",
        ),
        *("application/at+jwt", "at+jwt\0", "\u0430t+jwt", "at\uff0bjwt", "AT+JWT,at+jwt", "hg-session+jwt;x"),
        *(None, True, 1, 1.5, ["at+jwt"], {"at+jwt": 1}, []),
    ):
        yield f"typ {typ!r}", with_header({"typ": typ}), R.TYPE
    yield "no typ", with_header({}, "typ"), R.HEADER_MEMBER


def z35_signature_text() -> Iterator[Bad]:
    """Malformed signature text."""
    head, _, signature = good().rpartition(".")
    for name, bent, code in (
        ("padded", f"{signature}==", R.SHAPE),
        ("padded once", f"{signature}=", R.SHAPE),
        ("junk after", f"{signature}!", R.SHAPE),
        ("junk inside", f"{signature[:9]}*{signature[9:]}", R.SHAPE),
        ("blank inside", f"{signature[:9]} {signature[9:]}", R.SHAPE),
        ("newline inside", f"{signature[:9]}\n{signature[9:]}", R.SHAPE),
        ("not ASCII", f"{signature[:-1]}\u00e9", R.SHAPE),
        ("full-width letter", f"{signature[:-1]}\uff21", R.SHAPE),
        ("Kelvin sign", f"{signature[:-1]}\u212a", R.SHAPE),
        ("impossible length", f"{signature}AAA", R.ENCODING),
        ("one character", "A", R.ENCODING),
        ("stray bits of one byte", "AB", R.ENCODING),
        ("two bytes", "AAA", R.SIGNATURE),
        ("empty bytes of the right length", b64(bytes(64)), R.SIGNATURE),
        ("all ones", b64(b"\xff" * 64), R.SIGNATURE),
        ("first character changed", ("A" if signature[0] != "A" else "B") + signature[1:], R.SIGNATURE),
        ("halves swapped", b64(_raw(signature)[32:] + _raw(signature)[:32]), R.SIGNATURE),
        ("base64 of its base64", b64(signature.encode()), R.SIGNATURE),
        ("hex", _raw(signature).hex(), R.SIGNATURE),
        ("of another token", good(Kind.SESSION).rpartition(".")[2], R.SIGNATURE),
    ):
        yield name, f"{head}.{bent}", code
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(signature[-1])
    for stray in range(1, 16):  # 64 bytes leave 4 bits of the last character unused
        yield f"trailing bits {stray}", f"{head}.{signature[:-1]}{letters[last | stray]}", R.ENCODING


def _raw(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def z36_signature_bytes() -> Iterator[Bad]:
    """Signatures with altered numbers."""
    message = good().rpartition(".")[0]
    der = ACTIVE.sign(message.encode())
    r, s = decode_dss_signature(der)

    def raw(left: int, right: int) -> bytes:
        return left.to_bytes(32) + right.to_bytes(32)

    for name, signature in {
        "DER": der,
        "DER cut to 64": der[:64],
        "63 bytes": raw(r, s)[:63],
        "65 bytes": raw(r, s) + b"\0",
        "65 bytes, zero before": b"\0" + raw(r, s),
        "66 bytes, each half padded": b"\0" + raw(r, s)[:32] + b"\0" + raw(r, s)[32:],
        "96 bytes": raw(r, s) + bytes(32),
        "32 bytes": raw(r, s)[:32],
        "r is 0": raw(0, s),
        "s is 0": raw(r, 0),
        "both 0": raw(0, 0),
        "r is n": raw(ORDER, s),
        "s is n": raw(r, ORDER),
        "r is n + 1": raw(ORDER + 1, s),
        "s is n + 1": raw(r, ORDER + 1),
        "r and s are n": raw(ORDER, ORDER),
        "r is 1, s is 1": raw(1, 1),
        "r is n - r": raw(ORDER - r, s),
        "little-endian": r.to_bytes(32, "little") + s.to_bytes(32, "little"),
        "r twice": raw(r, r),
        "s twice": raw(s, s),
        "recovery byte before": b"\x1b" + raw(r, s),
        "recovery byte after": raw(r, s) + b"\x1b",
    }.items():
        yield name, f"{message}.{b64(signature)}", R.SIGNATURE
    other = STRANGER.sign(message.encode())
    yield "another key, our key id", f"{message}.{b64(raw(*decode_dss_signature(other)))}", R.SIGNATURE
    weak = ec.derive_private_key(9, ec.SECP256K1()).sign(message.encode(), ec.ECDSA(SHA256()))
    yield "another curve", f"{message}.{b64(raw(*decode_dss_signature(weak)))}", R.SIGNATURE
    for name, signed in {
        "payload only": message.partition(".")[2],
        "header only": message.partition(".")[0],
        "without the dot": message.replace(".", ""),
        "decoded": (text(HEADER) + b"." + text(ACCESS)).decode(),
    }.items():
        yield f"signed over the {name}", f"{message}.{b64(_jose(ACTIVE.sign(signed.encode())))}", R.SIGNATURE
    head, payload, signature = good().split(".")
    swapped = text(ACCESS | {"sub": "user-2"})
    yield "payload swapped", f"{head}.{b64(swapped)}.{signature}", R.SIGNATURE
    yield "header swapped", f"{b64(text(HEADER | {'typ': 'AT+jwt'}))}.{payload}.{signature}", R.SIGNATURE


def _jose(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(32) + s.to_bytes(32)


def z38_payload_text() -> Iterator[Bad]:
    """Malformed payload bytes, each signed by our own key."""
    claims = text(ACCESS)
    for name, payload, code in (
        ("array", b"[]", R.NOT_OBJECT),
        ("array of claims", b"[" + claims + b"]", R.NOT_OBJECT),
        ("null", b"null", R.NOT_OBJECT),
        ("true", b"true", R.NOT_OBJECT),
        ("number", b"1800000000", R.NOT_OBJECT),
        ("string", b'"x"', R.NOT_OBJECT),
        ("string of claims", text(claims.decode()), R.NOT_OBJECT),
        ("empty object", b"{}", R.CLAIM_MISSING),
        ("blank", b" ", R.NOT_JSON),
        ("one byte", b"{", R.NOT_JSON),
        ("BOM", b"\xef\xbb\xbf" + claims, R.NOT_JSON),
        ("UTF-16 with BOM", claims.decode().encode("utf-16"), R.NOT_UTF8),
        ("UTF-16 little-endian", claims.decode().encode("utf-16-le"), R.NOT_JSON),
        ("UTF-16 big-endian", claims.decode().encode("utf-16-be"), R.NOT_JSON),
        ("UTF-32", claims.decode().encode("utf-32-le"), R.NOT_JSON),
        ("Latin-1", claims.replace(b"user-1", b"user-\xe9"), R.NOT_UTF8),
        ("overlong UTF-8", claims.replace(b"user-1", b"user-\xc0\xaf"), R.NOT_UTF8),
        ("surrogate in UTF-8", claims.replace(b"user-1", b"user-\xed\xa0\x80"), R.NOT_UTF8),
        ("UTF-8 above U+10FFFF", claims.replace(b"user-1", b"user-\xf4\x90\x80\x80"), R.NOT_UTF8),
        ("cut UTF-8", claims.replace(b"user-1", b"user-\xe2\x82"), R.NOT_UTF8),
        ("lone surrogate escape", claims.replace(b"user-1", b"user-\\ud800"), R.NOT_UTF8),
        ("reversed surrogate escapes", claims.replace(b"user-1", b"\\udc00\\ud800"), R.NOT_UTF8),
        ("lone surrogate in an unknown claim", claims[:-1] + b',"x":"\\udfff"}', R.NOT_UTF8),
        ("lone surrogate in a claim's name", claims[:-1] + b',"\\ud800":1}', R.NOT_UTF8),
        ("trailing comma", claims[:-1] + b",}", R.NOT_JSON),
        ("two objects", claims + claims, R.NOT_JSON),
        ("garbage after", claims + b"x", R.NOT_JSON),
        ("NUL after", claims + b"\0", R.NOT_JSON),
        ("comment", b"/**/" + claims, R.NOT_JSON),
        ("single quotes", claims.replace(b'"', b"'"), R.NOT_JSON),
        ("bare names", claims.replace(b'"sub"', b"sub"), R.NOT_JSON),
        ("cut off", claims[:-1], R.NOT_JSON),
        ("raw newline in a string", claims.replace(b"user-1", b"user\n1"), R.NOT_JSON),
        ("raw NUL in a string", claims.replace(b"user-1", b"user\x001"), R.NOT_JSON),
        ("bad escape", claims.replace(b"user-1", b"user\\x31"), R.NOT_JSON),
        ("form-encoded", b"sub=user-1&admin=true", R.NOT_JSON),
        ("YAML", b"sub: user-1", R.NOT_JSON),
        ("Python", b"{'sub': None}", R.NOT_JSON),
        ("compressed (zip)", b"\x78\x9c" + claims, R.NOT_UTF8),
    ):
        yield name, sign(text(HEADER), payload), code
    for name, header, payload, code in (
        ("stray bits in the payload", b64(text(HEADER)), "e31", R.ENCODING),
        ("impossible payload", b64(text(HEADER)), b64(claims) + "A" * ((5 - len(b64(claims))) % 4), R.ENCODING),
        (
            "stray bits in the header",
            b64(text(HEADER | {"kid": "key-activ"}) + b" ")[:-1] + "h",
            b64(claims),
            R.ENCODING,
        ),
        ("impossible header", "A", b64(claims), R.ENCODING),
    ):
        yield name, sign_parts(header, payload), code
    for name, header_bytes, code in (
        ("header is an array", b"[]", R.NOT_OBJECT),
        ("header is null", b"null", R.NOT_OBJECT),
        ("header is a string", b'"ES256"', R.NOT_OBJECT),
        ("header is no JSON", b"alg=ES256", R.NOT_JSON),
        ("header with BOM", b"\xef\xbb\xbf" + text(HEADER), R.NOT_JSON),
        ("header in UTF-16", text(HEADER).decode().encode("utf-16"), R.NOT_UTF8),
        ("header with NaN", text(HEADER)[:-1] + b',"x":NaN}', R.NOT_FINITE),
        ("header with a lone surrogate", text(HEADER | {"kid": "\ud800"}), R.NOT_UTF8),
        ("header is empty object", b"{}", R.HEADER_MEMBER),
    ):
        yield name, sign(header_bytes, claims), code


def z39_twice() -> Iterator[Bad]:
    """A duplicate member, in either order, plain or escaped."""
    claims, header = text(ACCESS), text(HEADER)
    for name, value in ACCESS.items():
        again = text({name: value})[1:-1]
        yield f"{name} twice", sign(header, claims[:-1] + b"," + again + b"}"), R.DUPLICATE_MEMBER
    for name, member in {
        "aud, the foreign one last": b'"aud":"other"',
        "admin, false then true": b'"admin":false,"admin":true',
        "exp by an escape": b'"\\u0065xp":9999999999',
        "in an unknown claim": b'"x":{"a":1,"a":2}',
        "in attributes": b'"attributes":{"plan":"free","plan":"pro"}',
        "deep in a list": b'"x":[[{"a":1,"a":1}]]',
        "the empty name": b'"":1,"":1',
    }.items():
        yield name, sign(header, claims[:-1] + b"," + member + b"}"), R.DUPLICATE_MEMBER
    for name, value in HEADER.items():
        again = text({name: value})[1:-1]
        yield f"header {name} twice", sign(header[:-1] + b"," + again + b"}", claims), R.DUPLICATE_MEMBER
    yield "header alg none then ES256", sign(b'{"alg":"none",' + header[1:], claims), R.DUPLICATE_MEMBER


_LITERALS: tuple[tuple[str, R], ...] = (
    ("null", R.CLAIM_TYPE),
    ("true", R.CLAIM_TYPE),
    ("false", R.CLAIM_TYPE),
    ("[]", R.CLAIM_TYPE),
    ("{}", R.CLAIM_TYPE),
    ('""', R.CLAIM_TYPE),
    (f'"{NOW + 200}"', R.CLAIM_TYPE),
    (f"[{NOW + 200}]", R.CLAIM_TYPE),
    (f"{NOW + 200}.0", R.CLAIM_TYPE),
    (f"{NOW + 200}.5", R.CLAIM_TYPE),
    ("1.8e9", R.CLAIM_TYPE),
    ("-0.0", R.CLAIM_TYPE),
    ("9007199254740992", R.CLAIM_TYPE),
    ("1" + "0" * 400, R.CLAIM_TYPE),
    ("1" + "0" * 1_500, R.CLAIM_TYPE),
    ("9" * 5_000, R.TOO_LARGE),
    ("1e400", R.NOT_FINITE),
    ("-1e400", R.NOT_FINITE),
    ("NaN", R.NOT_FINITE),
    ("Infinity", R.NOT_FINITE),
    ("-Infinity", R.NOT_FINITE),
    ("nan", R.NOT_JSON),
    ("+1", R.NOT_JSON),
    ("01", R.NOT_JSON),
    ("0x7fffffff", R.NOT_JSON),
    ("1_800_000_200", R.NOT_JSON),
    ("1800000200.", R.NOT_JSON),
    (".5", R.NOT_JSON),
    ("\uff11", R.NOT_JSON),
    ("", R.NOT_JSON),
)


def z40_numbers() -> Iterator[Bad]:
    """`exp`, `iat`, `nbf`, and `rev` that are not plain integers, or are wrong ones."""
    for name in ("exp", "iat", "nbf", "rev"):
        for literal, code in _LITERALS:
            yield f"{name} {literal[:24] or 'nothing'} ({len(literal)})", with_literal(name, literal), code
    for claims, code in (
        ({"exp": NOW, "iat": NOW - 300}, R.EXPIRED),
        ({"exp": NOW - 1, "iat": NOW - 300}, R.EXPIRED),
        ({"exp": NOW - 3_600, "iat": NOW - 3_900}, R.EXPIRED),
        ({"exp": -1}, R.LIFETIME),
        ({"exp": 0}, R.LIFETIME),
        ({"exp": 0, "iat": -1}, R.EXPIRED),
        ({"iat": 0}, R.LIFETIME),
        ({"iat": -NOW}, R.LIFETIME),
        ({"exp": NOW + 3_601}, R.LIFETIME),
        ({"exp": 2**53 - 1}, R.LIFETIME),
        ({"exp": (NOW + 300) * 1_000}, R.LIFETIME),
        ({"iat": NOW + 31}, R.NOT_YET_VALID),
        ({"iat": NOW + 299}, R.NOT_YET_VALID),
        ({"iat": NOW + 300}, R.LIFETIME),
        ({"iat": NOW + 301}, R.LIFETIME),
        ({"nbf": NOW + 31}, R.NOT_YET_VALID),
        ({"nbf": 2**53 - 1}, R.NOT_YET_VALID),
        ({"rev": -1}, R.CLAIM_TYPE),
    ):
        yield f"{claims}", with_claims(claims), code


def z41_deep() -> Iterator[Bad]:
    """Nesting far deeper than any parser's stack, within the size limits; larger ones are refused by size."""
    for depth, code in ((40, R.TOO_DEEP), (150, R.TOO_DEEP), (1_500, R.TOO_LARGE), (7_400, R.TOO_LARGE)):
        yield f"header nested {depth} deep", sign(_nested(HEADER, depth), text(ACCESS)), code
    for name, opened, closed in (("lists", b"[", b"]"), ("objects", b'{"a":', b"}")):
        for depth, code in ((20, R.CLAIM_TYPE), (40, R.TOO_DEEP), (400, R.TOO_DEEP)):
            payload = text(ACCESS)[:-1] + b',"orgs2":' + opened * depth + b"1" + closed * depth + b"}"
            replaced = payload.replace(b'"orgs2"', b'"attributes"')
            yield f"attributes of {depth} nested {name}", sign(text(HEADER), replaced), code
    for depth, code in ((40, R.TOO_DEEP), (1_300, R.TOO_DEEP), (3_000, R.TOO_LARGE), (100_000, R.TOO_LARGE)):
        yield f"payload nested {depth} deep", sign(text(HEADER), _nested(ACCESS, depth)), code
    yield "payload of 900 open brackets", sign(text(HEADER), b"[" * 900), R.NOT_JSON


def _nested(claims: dict[str, object], depth: int) -> bytes:
    return text(claims)[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"


def z42_large() -> Iterator[Bad]:
    """Tokens that are too large."""
    for name, token in {
        "9.9 KB": with_claims({"x": "a" * 7_000}),
        "100 KB": with_claims({"x": "a" * 75_000}),
        "1 MB of dots": "." * 1_000_000,
        "1 MB of letters": "A" * 1_000_000,
        "1 byte above the token limit": "A" * 4_097,
        "3 KB of claims": with_claims({"x": "a" * 2_900}),
        "header above 512": with_header({"kid": "k" * 400}),
        "kid of 1 KB": with_header({"kid": "k" * 1_024}),
        "500 claims": with_claims({f"claim{i}": i for i in range(500)}),
        "long signature": good() + "A" * 4_000,
    }.items():
        yield name, token, R.TOO_LARGE


def z43_audience() -> Iterator[Bad]:
    """An audience other than ours, or ours with others."""
    for aud in (
        *("headgate-dev", "headgate ", " headgate", "Headgate", "HEADGATE", "headgate\n", "headgat", "headgatee", ""),
        *(
            "headgate:evaluate",
            "headgate,other",
            "headgate other",
            "https://headgate",
            "h\u0435adgate",
            "*",
            "headgate\0",
        ),
        *(["headgate"], ["headgate", "other"], ["other", "headgate"], [], ["other"], [["headgate"]]),
        *({"headgate": True}, {}, None, True, 1, 0),
    ):
        yield f"aud {aud!r}", with_claims({"aud": aud}), R.AUDIENCE
    yield "no aud", with_claims({}, "aud"), R.CLAIM_MISSING
    for kind, aud in ((Kind.EVALUATE, AUDIENCE), (Kind.SERVICE, AUDIENCE), (Kind.SESSION, "headgate:evaluate")):
        yield f"{kind} with the audience of another kind", with_claims({"aud": aud}, kind=kind), R.AUDIENCE


def z44_issuer() -> Iterator[Bad]:
    """Variants of our issuer."""
    for iss in (
        *(
            ISSUER + "/",
            ISSUER + ".evil.example",
            ISSUER[:-1],
            ISSUER.upper(),
            "HTTPS://gate.example",
            "https://Gate.example",
        ),
        *(
            "http://gate.example",
            "https://gate.example:443",
            "https://gate.example//",
            "https://gate.example?",
            " " + ISSUER,
        ),
        *(
            ISSUER + " ",
            ISSUER + "\n",
            "https://gate.ex\u0430mple",
            "https://gate\uff0eexample",
            "gate.example",
            "",
            "*",
        ),
        *("https://evil.example/" + ISSUER, "https://gate.example@evil.example", ISSUER + "\0", "https://x", "t", "g"),
        *(None, True, 1, [ISSUER], {ISSUER: 1}, []),
    ):
        yield f"iss {iss!r}", with_claims({"iss": iss}), R.ISSUER
    yield "no iss", with_claims({}, "iss"), R.CLAIM_MISSING


def z45_keys() -> Iterator[Bad]:
    """Keys and algorithms that are not accepted."""
    yield "revoked key", good(by=REVOKED), R.REVOKED_KEY
    for kid in (
        "key-unknown",
        "KEY-ACTIVE",
        "key-activ",
        "key-active2",
        "../../key-active",
        "' OR 1=1--",
        "key-active/",
    ):
        code = R.KEY_ID if " " in kid else R.UNKNOWN_KEY
        yield f"kid {kid}", with_header({"kid": kid}), code
    for kid in (
        *(
            "",
            " ",
            "key-active ",
            " key-active",
            "key-active\n",
            "key-active\0",
            "\0",
            "key\tactive",
            "k" * 257,
            "\x7f",
        ),
        *(None, 0, 1, True, 1.5, [], ["key-active"], {}, {"kid": "key-active"}),
    ):
        yield f"kid {kid!r}"[:60], with_header({"kid": kid}), R.KEY_ID
    for alg in (
        *("none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K"),
        *(
            "EdDSA",
            "es256",
            "ES256 ",
            " ES256",
            "ES-256",
            "ES256\0",
            "dir",
            "RSA-OAEP",
            "ECDH-ES",
            "PBES2-HS256+A128KW",
        ),
        *(
            "A128KW",
            "B-ES256",
            "SHA256",
            "Ed25519",
            "ML-DSA-44",
            None,
            True,
            256,
            [],
            ["ES256"],
            {"alg": "ES256"},
            "\uff25S256",
        ),
    ):
        yield f"alg {alg!r}", with_header({"alg": alg}), R.ALGORITHM
    unsigned = f"{b64(text(HEADER | {'alg': 'none'}))}.{b64(text(ACCESS))}"
    yield "alg none, signature of one byte", f"{unsigned}.AA", R.ALGORITHM
    yield "signed by a stranger under our key id", good(by=STRANGER), R.SIGNATURE
    yield "signed by a stranger under its own key id", good(by=signer("key-evil", 667)), R.UNKNOWN_KEY
    yield "active key's id over the next key's signature", with_header({"kid": "key-next"}), R.SIGNATURE


def t18_header_members() -> Iterator[Bad]:
    """Any header member but the three allowed ones, and each of the three missing."""
    jwk = ACTIVE.public().jwk()
    for name, value in {
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/cert",
        "jwk": jwk,
        "x5c": ["MII"],
        "x5t": "AAAA",
        "x5t#S256": "AAAA",
        "crit": ["exp"],
        "crit, empty": [],
        "zip": "DEF",
        "cty": "JWT",
        "b64": False,
        "enc": "A256GCM",
        "epk": jwk,
        "apu": "AA",
        "p2c": 2_000_000_000,
        "p2s": "AAAA",
        "iv": "AA",
        "tag": "AA",
        "iss": ISSUER,
        "exp": NOW + 300,
        "nonce": "x",
        "url": "https://evil.example",
        "ALG": "none",
        "Kid": "key-active",
        "": 1,
        "__proto__": {},
    }.items():
        yield f"header {name}", with_header({name.partition(",")[0]: value}), R.HEADER_MEMBER
    for name in HEADER:
        yield f"no {name} in the header", with_header({}, name), R.HEADER_MEMBER
    yield "crit of b64", with_header({"crit": ["b64"], "b64": False}), R.HEADER_MEMBER


def z43_claims_missing() -> Iterator[Bad]:
    """Every required claim, missing from every kind."""
    for kind in Kind:
        required = {"iss", "sub", "aud", "client_id", "exp", "iat", "jti", "scope", "rev"}
        more = {Kind.ACCESS: {"orgs", "entitlements"}, Kind.SESSION: {"orgs", "sid"}, Kind.EVALUATE: {"orgs"}}
        for name in sorted(required | more.get(kind, set())):
            yield f"{kind} without {name}", with_claims({}, name, kind=kind), R.CLAIM_MISSING


def z33_claims_of_other_kinds() -> Iterator[Bad]:
    """Claims that a kind must not have, and scopes of other kinds."""
    for kind, over in (
        (Kind.ACCESS, {"sid": "town:1"}),
        (Kind.ACCESS, {"sid": None}),
        (Kind.ACCESS, {"gen": 1}),
        (Kind.EVALUATE, {"gen": 1}),
        (Kind.SERVICE, {"gen": 1}),
        (Kind.SERVICE, {"orgs_cut": True}),
        (Kind.SESSION, {"admin": True}),
        (Kind.SESSION, {"admin": False}),
        (Kind.SESSION, {"entitlements": []}),
        (Kind.SESSION, {"entitlements": ["gastown-access"]}),
        (Kind.EVALUATE, {"sid": "town:1"}),
        (Kind.EVALUATE, {"entitlements": ["gastown-access"]}),
        (Kind.SERVICE, {"sid": "town:1"}),
        (Kind.SERVICE, {"orgs": []}),
        (Kind.SERVICE, {"admin": True}),
        (Kind.SERVICE, {"attributes": {}}),
        (Kind.SERVICE, {"entitlements": []}),
    ):
        yield f"{kind} with {over}", with_claims(over, kind=kind), R.CLAIM_FORBIDDEN
    for kind in Kind:
        for other in Kind:
            if other is not kind:
                yield f"{kind} with scope {other}", with_claims({"scope": other.value}, kind=kind), R.SCOPE
    for scope in ("", "access evaluate", "access ", " access", "ACCESS", "access\0", None, True, 1, ["access"], {}):
        yield f"scope {scope!r}", with_claims({"scope": scope}), R.SCOPE


def t23_subjects() -> Iterator[Bad]:
    """Subjects that are not valid ids."""
    for sub in (
        *(
            "",
            " ",
            "user 1",
            " user-1",
            "user-1 ",
            "user\n1",
            "user\t1",
            "user-1\r\n",
            "user\0",
            "\x1b[31muser",
            "user\x7f",
        ),
        *("user\x85", "user\u2028", "user\u2029", "user\u00a0", "\u3000", "u" * 257, "\u00e9" * 129, "\U0001f40e" * 65),
        *(None, True, False, 0, 1, 1.5, [], ["user-1"], {}, {"id": "user-1"}),
    ):
        yield f"sub {sub!r}"[:40], with_claims({"sub": sub}), R.SUBJECT


def z40_other_claims() -> Iterator[Bad]:
    """The other claims, of a wrong type or form."""
    for value in (False, None, 1, 0, "true", "false", "", [], [True], {}, "admin"):
        yield f"admin {value!r}", with_claims({"admin": value}), R.ADMIN
    for name in ("orgs", "entitlements"):
        for value in (None, True, 1, "", "org-1", {}, {"org-1": True}, [1], [None], [True], [["org-1"]], [""], ["a b"]):
            yield f"{name} {value!r}", with_claims({name: value}), R.CLAIM_TYPE
        for item in ("a\n", "\0", "x" * 257, " a", {}):
            yield f"{name} with {item!r}"[:40], with_claims({name: ["ok", item]}), R.CLAIM_TYPE
    for value in (None, True, 1, "", "x", [], [["plan", "pro"]], {"": 1}, {"a b": 1}, {"n" * 129: 1}, {"a": None}):
        yield f"attributes {value!r}"[:40], with_claims({"attributes": value}), R.CLAIM_TYPE
    for value in ({"a": {}}, {"a": {"b": 1}}, {"a": [None]}, {"a": [[1]]}, {"a": [{}]}, {"a\0": 1}):
        yield f"attributes {value!r}", with_claims({"attributes": value}), R.CLAIM_TYPE
    for value in (None, True, 1, "", " ", "a b", "a/b", "a\n", "x" * 129, "\u00e9", [], ["x"], {}, "a;b", "a'b"):
        yield f"jti {value!r}"[:40], with_claims({"jti": value}), R.CLAIM_TYPE
        yield f"sid {value!r}"[:40], with_claims({"sid": value}, kind=Kind.SESSION), R.CLAIM_TYPE
    for value in (None, True, 1, "", " ", "web app", "x" * 257, [], ["web"], {}, "web\n"):
        yield f"client_id {value!r}"[:40], with_claims({"client_id": value}), R.CLAIM_TYPE


def z40_session_claims() -> Iterator[Bad]:
    """The claims of renewals and of orgs that were cut."""
    for value in (None, True, -1, 1.0, "1", "", [], {}, 2**53):
        yield f"gen {value!r}", with_claims({"gen": value}, kind=Kind.SESSION), R.CLAIM_TYPE
    for value in (False, None, 1, "true", [], {}):
        yield f"orgs_cut {value!r}", with_claims({"orgs_cut": value}), R.CLAIM_TYPE


ROWS = {
    "z30": z30_wrapped,
    "z33": z33_other_types,
    "z33_claims": z33_claims_of_other_kinds,
    "z34": z34_typ,
    "z35": z35_signature_text,
    "z36": z36_signature_bytes,
    "z38": z38_payload_text,
    "z39": z39_twice,
    "z40": z40_numbers,
    "z40_claims": z40_other_claims,
    "z40_sessions": z40_session_claims,
    "z41": z41_deep,
    "z42": z42_large,
    "z43": z43_audience,
    "z43_missing": z43_claims_missing,
    "z44": z44_issuer,
    "z45": z45_keys,
    "t18": t18_header_members,
    "t23": t23_subjects,
}
