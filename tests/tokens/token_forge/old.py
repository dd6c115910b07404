"""Makes tokens as the replaced system did (HS256 with a shared secret), and malformed ones."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping

from token_forge.own import ACCESS, ACTIVE, HEADER, NOW, b64, good, text

from headgate.tokens.legacy import LegacyVerifier
from headgate.tokens.legacy_issuer import LegacyIssuer
from headgate.tokens.refusals import RefusalCode as R

SECRET = hashlib.sha256(b"what the tests of old tokens share").hexdigest().encode()
"""64 characters, as a secret made by `openssl rand -hex 32` is."""

OLD_HEADER: dict[str, object] = {"alg": "HS256", "typ": "JWT"}
OLD: dict[str, object] = {
    "env": "production",
    "kiloUserId": "user-1",
    "apiTokenPepper": None,
    "version": 3,
    "isAdmin": False,
    "gastownAccess": True,
    "iat": NOW,
    "exp": NOW + 3_600,
}
ISSUER = LegacyIssuer(
    version=3,
    accept_until=NOW + 86_400,
    issued_before=NOW + 43_200,
    user="kiloUserId",
    access="gastownAccess",
    admin="isAdmin",
)

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

Bad = tuple[str, str, R]
"""What is wrong, the token, the reason."""


def verifier(issuer: LegacyIssuer = ISSUER, secret: bytes = SECRET) -> LegacyVerifier:
    """The verifier under test."""
    return LegacyVerifier(issuer, lambda _now: secret)


def seal(header: bytes, payload: bytes, secret: bytes = SECRET, digest: str = "sha256") -> str:
    """A token of two byte strings, unchanged, with their HMAC."""
    message = f"{b64(header)}.{b64(payload)}"
    return f"{message}.{b64(hmac.digest(secret, message.encode(), digest))}"


def old(over: Mapping[str, object] | None = None, *without: str, secret: bytes = SECRET) -> str:
    """A valid old token with some claims changed."""
    claims = {name: value for name, value in (OLD | dict(over or {})).items() if name not in without}
    return seal(text(OLD_HEADER), text(claims), secret)


def old_header(over: Mapping[str, object], *without: str) -> str:
    """A valid old token with some header members changed."""
    header = {name: value for name, value in (OLD_HEADER | dict(over)).items() if name not in without}
    return seal(text(header), text(OLD))


def literally(name: str, literal: str) -> str:
    """A valid old token with one claim replaced by this text."""
    others = text({n: v for n, v in OLD.items() if n != name})[:-1]
    return seal(text(OLD_HEADER), others + f',"{name}":{literal}}}'.encode())


def signatures() -> Iterator[Bad]:
    """Signatures that are not the secret's HMAC of the text."""
    head, body, seal_ = old().split(".")
    for name, bent in {
        "another secret": old(secret=SECRET[::-1]),
        "the secret's first half": old(secret=SECRET[:32]),
        "an empty secret": old(secret=b""),
        "the secret unhexed": old(secret=bytes.fromhex(SECRET.decode())),
        "HMAC-SHA-1": seal(text(OLD_HEADER), text(OLD), digest="sha1"),
        "HMAC-SHA-384": seal(text(OLD_HEADER), text(OLD), digest="sha384"),
        "HMAC-SHA-512": seal(text(OLD_HEADER), text(OLD), digest="sha512"),
        "SHA-256 without a key": f"{head}.{body}.{b64(hashlib.sha256(f'{head}.{body}'.encode()).digest())}",
        "30 bytes of it": f"{head}.{body}.{seal_[:40]}",
        "twice": f"{head}.{body}.{b64(hmac.digest(SECRET, f'{head}.{body}'.encode(), 'sha256') * 2)}",
        "of another token": f"{head}.{b64(text(OLD | {'isAdmin': True}))}.{seal_}",
        "all zero": f"{head}.{body}.{b64(bytes(32))}",
        "of our own token": f"{head}.{body}.{good().split('.')[2]}",
    }.items():
        yield name, bent, R.SIGNATURE
    for name, bent in {
        "padding bits": old()[:-1] + ALPHABET[ALPHABET.index(old()[-1]) ^ 1],
        "an impossible length": f"{head}.{body}.{seal_}AA",
    }.items():
        yield name, bent, R.ENCODING
    for name, bent in {
        "none at all": f"{head}.{body}.",
        "padded": f"{old()}=",
        "junk in it": f"{head}.{body}.{seal_[:9]}!{seal_[9:]}",
        "a part more": f"{old()}.AAAA",
        "a part less": f"{head}.{body}",
        "a blank before": f" {old()}",
        "a line after": f"{old()}\n",
        "two of them": f"{old()},{old()}",
        "empty": "",
    }.items():
        yield name, bent, R.SHAPE


def algorithms() -> Iterator[Bad]:
    """Any algorithm but `HS256`, still signed with the secret."""
    for alg in ("none", "None", "nOnE", "NONE", "", "hs256", "HS256 ", "HS384", "HS512", "RS256", "PS256", "ES256",
                "dir", "PBES2-HS256+A128KW", None, 256, True, ["HS256"], {"HS256": True}):  # fmt: skip
        yield f"alg {alg!r}", old_header({"alg": alg}), R.ALGORITHM
    yield "no alg", old_header({}, "alg"), R.ALGORITHM
    yield "none, and no HMAC", seal(text(OLD_HEADER | {"alg": "none"}), text(OLD), b""), R.ALGORITHM


def headers() -> Iterator[Bad]:
    """Header members that contain a key, require an extension, or name another kind of token."""
    for name in "jku jwk x5u x5c x5t crit b64 zip enc epk p2c cty nonce iss".split():
        yield f"header {name}", old_header({name: "x"}), R.HEADER_MEMBER
    for typ in ("at+jwt", "hg-session+jwt", "JOSE", "", " JWT", None, 1, ["JWT"]):
        yield f"typ {typ!r}", old_header({"typ": typ}), R.TYPE
    for name, kid in {
        "number": 1,
        "null": None,
        "empty": "",
        "long": "k" * 257,
        "a blank": "a b",
        "NUL": "a\0",
    }.items():
        yield f"kid {name}", old_header({"kid": kid}), R.KEY_ID
    for name, raw, code in (
        ("list", b"[]", R.NOT_OBJECT),
        ("null", b"null", R.NOT_OBJECT),
        ("BOM", b"\xef\xbb\xbf" + text(OLD_HEADER), R.NOT_JSON),
        ("UTF-16", '{"alg":"HS256"}'.encode("utf-16"), R.NOT_UTF8),
        ("alg twice", b'{"alg":"none","alg":"HS256"}', R.DUPLICATE_MEMBER),
        ("NaN", b'{"alg":"HS256","kid":NaN}', R.NOT_FINITE),
        ("deep", b'{"alg":' + b"[" * 150 + b"]" * 150 + b"}", R.TOO_DEEP),
    ):
        yield f"header is {name}", seal(raw, text(OLD)), code
    yield "header too long", old_header({"kid": "k" * 400}), R.TOO_LARGE


def payloads() -> Iterator[Bad]:
    """Payloads signed with the secret that are not plain JSON objects."""
    for name, raw, code in (
        ("list", b"[]", R.NOT_OBJECT),
        ("null", b"null", R.NOT_OBJECT),
        ("string", b'"x"', R.NOT_OBJECT),
        ("cut", text(OLD)[:-1], R.NOT_JSON),
        ("BOM", b"\xef\xbb\xbf" + text(OLD), R.NOT_JSON),
        ("UTF-16", text(OLD).decode().encode("utf-16"), R.NOT_UTF8),
        ("overlong UTF-8", b'{"kiloUserId":"\xc0\xaf"}', R.NOT_UTF8),
        ("half a surrogate pair", text(OLD)[:-1] + b',"x":"\\ud800"}', R.NOT_UTF8),
        ("isAdmin twice", text(OLD)[:-1] + b',"isAdmin":true}', R.DUPLICATE_MEMBER),
        ("a member twice below", text(OLD)[:-1] + b',"x":{"a":1,"a":1}}', R.DUPLICATE_MEMBER),
        ("NaN", text(OLD)[:-1] + b',"x":NaN}', R.NOT_FINITE),
        ("1e400", text(OLD)[:-1] + b',"x":1e400}', R.NOT_FINITE),
        ("deep", text(OLD)[:-1] + b',"x":' + b"[" * 1_200 + b"]" * 1_200 + b"}", R.TOO_DEEP),
    ):
        yield f"payload is {name}", seal(text(OLD_HEADER), raw), code
    yield "more than 4 KB", old({"x": "x" * 4_000}), R.TOO_LARGE


def times() -> Iterator[Bad]:
    """Times of another type, or that no old token has."""
    for claim in ("iat", "exp", "version"):
        yield f"no {claim}", old({}, claim), R.CLAIM_MISSING
    for claim in ("iat", "exp", "nbf", "version"):
        for literal in (
            "null",
            "true",
            '"3"',
            "[3]",
            "{}",
            "3.0",
            "3e0",
            "1e400",
            "NaN",
            "9007199254740992",
            "9" * 400,
        ):
            code = R.NOT_FINITE if literal in ("1e400", "NaN") else R.CLAIM_TYPE
            yield f"{claim} {literal[:16]}", literally(claim, literal), code
    for name, over in {
        "ends as it starts": {"exp": NOW},
        "ends before it starts": {"exp": NOW - 1},
        "a second too long": {"exp": NOW + 3_601},
        "for five years": {"exp": NOW + 5 * 365 * 86_400},
        "negative start": {"iat": -1},
        "no start": {"iat": 0},
    }.items():
        yield name, old(over), R.LIFETIME
    yield "expired", old({"iat": NOW - 3_600, "exp": NOW}), R.EXPIRED
    yield "from the future", old({"iat": NOW + 31, "exp": NOW + 600}), R.NOT_YET_VALID
    yield "not before", old({"nbf": NOW + 31}), R.NOT_YET_VALID
    for version in (0, 1, 2, 4, -3):
        yield f"version {version}", old({"version": version}), R.VERSION


def subjects() -> Iterator[Bad]:
    """Subjects that are not valid user ids."""
    yield "no user", old({}, "kiloUserId"), R.CLAIM_MISSING
    for name, value in {
        "null": None, "a number": 7, "a list": ["user-1"], "true": True, "empty": "", "a blank": "user 1",
        "a tab": "user\t1", "NUL": "user\0", "too long": "u" * 257, "a line separator": "user\u2028",
    }.items():  # fmt: skip
        yield f"user is {name}", old({"kiloUserId": value}), R.SUBJECT


def admissions() -> Iterator[Bad]:
    """Tokens in which neither claim is JSON true."""
    for value in (False, None, "true", "True", 1, 1.0, "variant-a", {}, [], [True], {"value": True}):
        yield f"both {value!r}", old({"isAdmin": value, "gastownAccess": value}), R.NOT_ADMITTED
    yield "neither", old({}, "isAdmin", "gastownAccess"), R.NOT_ADMITTED
    yield "our own claims", old({"admin": True, "entitlements": ["gastown-access"], "scope": "access"},
                                "isAdmin", "gastownAccess"), R.NOT_ADMITTED  # fmt: skip


def own_by_the_secret() -> Iterator[Bad]:
    """Our own tokens, forged with only the shared secret."""
    for alg in ("HS256", "ES256"):
        header = HEADER | {"alg": alg, "kid": ACTIVE.kid}
        yield f"our claims, alg {alg}", seal(text(header), text(ACCESS)), R.TYPE if alg == "HS256" else R.ALGORITHM
        yield (
            f"both claims, alg {alg}",
            seal(text(header), text(OLD | ACCESS)),
            R.TYPE if alg == "HS256" else R.ALGORITHM,
        )
    yield "our own token", good(), R.ALGORITHM


ROWS = {
    rows.__name__: rows
    for rows in (signatures, algorithms, headers, payloads, times, subjects, admissions, own_by_the_secret)
}
