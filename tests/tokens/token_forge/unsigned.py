"""Mutations that our keys did not sign: of the text, its parts, and the signature.

Each gets a valid token and a random source, which alone decides the resulting text.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from token_forge.own import ACTIVE, NEXT, PREVIOUS, REVOKED, STRANGER, b64, text
from token_forge.pool import POOL

from headgate.tokens.compact import decode
from headgate.tokens.keys import ORDER, LocalSigner, raw_signature

Mutation = Callable[[str, Random], str]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
JUNK = ("=", "==", ".", " ", "\n", "\t", "A", "AAAA", "+", "/", "\u00e9", "\u200b", "\uff21", "\ud800", "%00", "\0",
        "-_", ",")  # fmt: skip
ODD = (None, True, False, 0, 1, -1, 2**63, 1.5, "", " ", "none", "a\0", "\u00e9", [], [1], ["x"], {}, {"a": 1}, "true")
POINTERS = ("jku", "x5u", "jwk", "x5c", "crit", "zip", "b64", "enc", "p2c", "cty", "x5t")
OTHER_KEY = ec.derive_private_key(777, ec.SECP384R1())

# -- the text


def bit(token: str, dice: Random) -> str:
    """Flip one bit of one character."""
    at = dice.randrange(len(token))
    return token[:at] + chr(ord(token[at]) ^ 1 << dice.randrange(7)) + token[at + 1 :]


def letter(token: str, dice: Random) -> str:
    """Replace one or several characters with others of the alphabet."""
    for _ in range(dice.choice((1, 1, 2, 9))):
        at = dice.randrange(len(token))
        token = token[:at] + dice.choice(LETTERS) + token[at + 1 :]
    return token


def case(token: str, dice: Random) -> str:
    """Change the case of some or all letters."""
    if dice.random() < 0.1:
        return dice.choice((token.upper(), token.lower(), token.swapcase()))
    at = dice.randrange(len(token))
    end = at + dice.randrange(1, 9)
    return token[:at] + token[at:end].swapcase() + token[end:]


def cut(token: str, dice: Random) -> str:
    """Remove a piece, or everything else."""
    start, end = sorted(dice.sample(range(len(token) + 1), 2))
    return token[start:end] if dice.random() < 0.2 else token[:start] + token[end:]


def insert(token: str, dice: Random) -> str:
    """Insert something."""
    at = dice.choice((0, len(token), dice.randrange(len(token) + 1)))
    return token[:at] + dice.choice(JUNK) * dice.choice((1, 1, 3, 4_000)) + token[at:]


# -- its parts


def parts(token: str, dice: Random) -> str:
    """Combine parts of several tokens, in any number and order, some empty."""
    pieces = token.split(".") + dice.choice(POOL).split(".") + [""]
    return ".".join(dice.choice(pieces) for _ in range(dice.choice((1, 2, 3, 3, 3, 3, 4, 5, 5))))


def encoding(token: str, dice: Random) -> str:
    """Encode a part in another base64: padded, with stray bits, the other alphabet, or a line break."""
    pieces = token.split(".")
    at = dice.randrange(3)
    part = pieces[at]
    pieces[at] = dice.choice(
        (
            part + "=" * dice.randrange(1, 4),
            part[:-1] + LETTERS[LETTERS.index(part[-1]) ^ dice.randrange(1, 4)],
            part.replace("-", "+").replace("_", "/") + "\n",
            f"{part[:40]}\r\n{part[40:]}",
            b64(part.encode()),
        )
    )
    return ".".join(pieces)


def octets(token: str, dice: Random) -> str:
    """Change, insert, or remove bytes within a part, and encode it correctly."""
    pieces = token.split(".")
    at = dice.randrange(3)
    raw = bytearray(decode(pieces[at]))
    for _ in range(dice.choice((1, 1, 1, 4))):
        where, change = dice.randrange(len(raw)), dice.randrange(3)
        if change == 0:
            raw[where] ^= 1 << dice.randrange(8)
        elif change == 1:
            raw.insert(where, dice.randrange(256))
        elif len(raw) > 1:
            del raw[where]
    pieces[at] = b64(bytes(raw))
    return ".".join(pieces)


def claims(token: str, dice: Random) -> str:
    """Change a claim and keep the signature."""
    header, payload, signature = token.split(".")
    said = json.loads(decode(payload))
    said[dice.choice([*said, "admin", "sid"])] = dice.choice(ODD)
    return f"{header}.{b64(json.dumps(said).encode())}.{signature}"


def header(token: str, dice: Random) -> str:
    """Change the header and keep the signature."""
    first, payload, signature = token.split(".")
    said = json.loads(decode(first))
    said[dice.choice(("alg", "typ", "kid", *POINTERS))] = dice.choice((*ODD, "HS256", "ES384", NEXT.kid, REVOKED.kid))
    return f"{b64(json.dumps(said).encode())}.{payload}.{signature}"


# -- the signature


def halves(token: str, dice: Random) -> str:
    """Change R and S: other elements, zero, exchanged, out of range. (r, n - s) is the twin, which verifies."""
    head, _, signature = token.rpartition(".")
    raw = decode(signature)
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    pairs = ((r, 0), (0, s), (0, 0), (s, r), (ORDER - r, s), (ORDER - r, ORDER - s), (r, ORDER), (ORDER, s), (1, 1),
             (r + ORDER, s), (r, s + ORDER), (r ^ 1 << dice.randrange(256), s), (r, s ^ 1 << dice.randrange(256)),
             (2**256 - 1, 2**256 - 1), (r, ORDER - s))  # fmt: skip
    pair = dice.choice(pairs)
    return f"{head}.{b64(b''.join((half % 2**256).to_bytes(32) for half in pair))}"


def form(token: str, dice: Random) -> str:
    """Write the correct R and S in another form: DER, short, long, padded, each twice."""
    head, _, signature = token.rpartition(".")
    raw = decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    size = dice.randrange(1, 140)
    forms = (der, der + b"\0", b"\x30" + der, raw[:-1], raw[1:], b"\0" + raw, raw + b"\0", raw + raw, raw[:32],
             raw[32:] + raw[:32], b"\0" + raw[:32] + b"\0" + raw[32:], raw.hex().encode(), b"\0" * 64, b"\xff" * 64,
             dice.randbytes(64), dice.randbytes(size))  # fmt: skip
    return f"{head}.{b64(dice.choice(forms))}"


def resigned(token: str, dice: Random) -> str:
    """Sign with another key than the one named: a foreign, another of ours, a revoked one, another curve."""
    head, payload, _ = token.split(".")
    said = json.loads(decode(head))
    key: LocalSigner | None = dice.choice((STRANGER, STRANGER, ACTIVE, NEXT, PREVIOUS, REVOKED, None))
    if key is not None and key is not STRANGER and key.kid == said["kid"]:
        key = REVOKED
    if key is REVOKED and dice.random() < 0.5:
        said["kid"] = REVOKED.kid
    if dice.random() < 0.3:
        said["jwk"] = STRANGER.public().jwk()
    message = f"{b64(text(said))}.{b64(decode(payload) + b' ' * dice.randrange(3))}"
    if key is None:
        return f"{message}.{b64(OTHER_KEY.sign(message.encode(), ec.ECDSA(SHA384(), deterministic_signing=True)))}"
    return f"{message}.{b64(raw_signature(key.sign(message.encode())))}"


def other_message(token: str, dice: Random) -> str:
    """Sign something other than the signing input, or with another hash."""
    head, payload, _ = token.split(".")
    message = f"{head}.{payload}".encode()
    hashing: HashAlgorithm = SHA256()
    if dice.random() < 0.5:
        hashing = dice.choice((SHA224(), SHA384(), SHA512()))
    else:
        message = dice.choice(
            (head.encode(), payload.encode(), message + b".", b"." + message, hashlib.sha256(message).digest(),
             decode(head) + b"." + decode(payload), message.upper(), f"{payload}.{head}".encode())
        )  # fmt: skip
    signer = {key.kid: key for key in (ACTIVE, NEXT, PREVIOUS)}[json.loads(decode(head))["kid"]]
    der = signer._key.sign(message, ec.ECDSA(hashing, deterministic_signing=True))
    return f"{head}.{payload}.{b64(raw_signature(der))}"


def secret(token: str, dice: Random) -> str:
    """Sign by HMAC with the public key, in any form, as the secret (T14)."""
    _, payload, _ = token.split(".")
    public = ACTIVE.public()
    shapes = (
        public.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        public.key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        text(public.jwk()),
        public.kid.encode(),
        b"",
    )
    name, hashing = dice.choice((("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), ("ES256", "sha512")))
    said = {"alg": name, "typ": dice.choice(("at+jwt", "JWT")), "kid": public.kid}
    message = f"{b64(text(said))}.{payload}"
    return f"{message}.{b64(hmac.digest(dice.choice(shapes), message.encode(), hashing))}"


def none(token: str, dice: Random) -> str:
    """Set `alg` to none in any spelling, with no, an empty, or the old signature (T13)."""
    first, payload, signature = token.split(".")
    spelling = dice.choice(("none", "None", "NONE", "nOnE", "", None, "ES256 ", "es256"))
    said = json.loads(decode(first)) | {"alg": spelling}
    return f"{b64(text(said))}.{payload}.{dice.choice(('', 'AA', signature))}"


TEXT: Mapping[str, Mutation] = {"bit": bit, "letter": letter, "case": case, "cut": cut, "insert": insert}
PARTS: Mapping[str, Mutation] = {
    "parts": parts, "encoding": encoding, "octets": octets, "claims": claims, "header": header,
}  # fmt: skip
SIGNATURE: Mapping[str, Mutation] = {
    "halves": halves, "form": form, "another key": resigned, "another message": other_message, "HMAC": secret,
    "none": none,
}  # fmt: skip
