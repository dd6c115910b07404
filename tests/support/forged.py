"""Tokens that are none: made from a good one by spoiling it, since no test has the key that signs."""

import base64
import json
from collections.abc import Mapping
from typing import Any

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the curve P-256 (SEC 2)."""


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """And back."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(value: Any) -> str:
    """A header or a payload."""
    return b64(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode())


def spoiled(token: str, *, header: Any = None, payload: Any = None, signature: str | None = None) -> str:
    """The token with members of its header or payload changed (or the whole given as bytes), or its signature."""
    head, body, seal = token.split(".")
    if isinstance(header, Mapping):
        header = {**json.loads(unb64(head)), **header}
    if isinstance(payload, Mapping):
        payload = {**json.loads(unb64(body)), **payload}
    head = head if header is None else part(header)
    body = body if payload is None else part(payload)
    return f"{head}.{body}.{seal if signature is None else signature}"


def unsigned(token: str, alg: str, **payload: Any) -> str:
    """`alg` none, as it is spelt, and no signature."""
    return spoiled(token, header={"alg": alg}, payload=payload, signature="")


def r_and_s(token: str) -> tuple[int, int]:
    """The two numbers of an ES256 signature."""
    seal = unb64(token.split(".")[2])
    return int.from_bytes(seal[:32]), int.from_bytes(seal[32:])


def sealed(r: int, s: int) -> str:
    """An ES256 signature of two numbers."""
    return b64(r.to_bytes(32) + s.to_bytes(32))


def twin(token: str) -> str:
    """The other signature of the same message, which verifies as well (r, n - s)."""
    r, s = r_and_s(token)
    return spoiled(token, signature=sealed(r, N - s))


def der(token: str) -> str:
    """The signature in the encoding that certificates use."""

    def whole(number: int) -> bytes:
        raw = number.to_bytes((number.bit_length() + 8) // 8)
        return bytes((2, len(raw))) + raw

    r, s = r_and_s(token)
    body = whole(r) + whole(s)
    return spoiled(token, signature=b64(bytes((0x30, len(body))) + body))


def last_bit(token: str) -> str:
    """The last character changed in bits that carry nothing: the same bytes, another text."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def bad_own(token: str) -> dict[str, str]:
    """Own tokens that no door takes, by the attack that they stand for."""
    head, body, seal = token.split(".")
    return {
        "Z30-nothing": "",
        "Z30-a word": "token",
        "Z30-two dots": "..",
        "Z30-a part more": f"{token}.x",
        "Z30-a part less": f"{head}.{body}",
        "Z30-quoted": f'"{token}"',
        "Z31-two": f"{token}, Bearer {token}",
        "Z34-no typ": spoiled(
            token, header=json.dumps({"alg": "ES256", "kid": json.loads(unb64(head))["kid"]}).encode()
        ),
        "Z34-typ JWT": spoiled(token, header={"typ": "JWT"}),
        "Z34-typ of a session": spoiled(token, header={"typ": "hg-session+jwt"}),
        "Z35-no signature": spoiled(token, signature=""),
        "Z35-junk in the signature": spoiled(token, signature=seal[:40] + "!" + seal[40:]),
        "Z35-padding": token + "==",
        "Z35-a trailing bit": last_bit(token),
        "Z35-standard base64": spoiled(token, signature=seal[:-2] + "+/"),
        "Z36-DER": der(token),
        "Z36-r of 0": spoiled(token, signature=sealed(0, 1)),
        "Z36-s of n": spoiled(token, signature=sealed(1, N)),
        "Z36-63 bytes": spoiled(token, signature=b64(unb64(seal)[:63])),
        "Z36-65 bytes": spoiled(token, signature=b64(unb64(seal) + b"\0")),
        "Z36-all zero": spoiled(token, signature=b64(b"\0" * 64)),
        "Z38-an empty payload": spoiled(token, payload=b""),
        "Z38-a list": spoiled(token, payload=b"[]"),
        "Z38-null": spoiled(token, payload=b"null"),
        "Z38-a BOM": spoiled(token, payload=b"\xef\xbb\xbf" + unb64(body)),
        "Z38-UTF-16": spoiled(token, payload=unb64(body).decode().encode("utf-16")),
        "Z39-aud twice": spoiled(token, payload=unb64(body)[:-1] + b',"aud":"headgate"}'),
        "Z40-exp moved": spoiled(token, payload={"exp": 4_000_000_000}),
        "Z40-exp null": spoiled(token, payload={"exp": None}),
        "Z40-exp NaN": spoiled(token, payload=b'{"exp":NaN}'),
        "Z40-exp 1e400": spoiled(token, payload=b'{"exp":1e400}'),
        "Z40-exp of 5,000 digits": spoiled(token, payload=b'{"exp":' + b"9" * 1_500 + b"}"),
        "Z41-a deep header": spoiled(token, header=b'{"alg":' + b"[" * 370 + b"]" * 370 + b"}"),
        "Z41-a deeper payload": spoiled(token, payload=b"[" * 1_400 + b"]" * 1_400),
        "Z43-another audience": spoiled(token, payload={"aud": "headgate-prod"}),
        "Z43-a list of audiences": spoiled(token, payload={"aud": ["headgate", "x"]}),
        "Z44-another issuer": spoiled(token, payload={"iss": "http://127.0.0.1"}),
        "Z45-an unknown key": spoiled(token, header={"kid": "00000000-0000-0000-0000-000000000000"}),
        "Z45-a key that is a path": spoiled(token, header={"kid": "../../etc/passwd"}),
        "Z45-no key": spoiled(token, header={"kid": None}),
        "T13-none": unsigned(token, "none", admin=True),
        "T13-None": unsigned(token, "None", admin=True),
        "T13-nOnE": unsigned(token, "nOnE", admin=True),
        "T14-HS256": spoiled(token, header={"alg": "HS256"}),
        "T14-RS256": spoiled(token, header={"alg": "RS256"}),
        "T18-jku": spoiled(token, header={"jku": "http://127.0.0.1:9/jwks"}),
        "T18-jwk": spoiled(token, header={"jwk": {"kty": "EC"}}),
        "T18-crit": spoiled(token, header={"crit": ["exp"]}),
        "T22-five parts": f"{head}.{body}.{seal}.{body}.{seal}",
        "Z37-admin by hand": spoiled(token, payload={"admin": True, "sub": "root"}),
    }
