"""Read the configuration of identity issuers. Decides what may be configured; knows no token and no network."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import SplitResult, urlsplit

from headgate.core.documents import Reader, refuse
from headgate.tokens import limits
from headgate.tokens.compact import decode_json
from headgate.tokens.fields import Prefix, is_short_and_plain
from headgate.tokens.refusals import TokenRefused

ALGORITHMS = frozenset("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA".split())
"""Only signatures with a private key. With a shared secret (HS*) or none, whoever can verify could also sign."""

DEFAULT_ALGORITHMS = ("RS256", "ES256")
_MEMBERS = frozenset(
    "issuer audience jwks_uri azp algorithms max_age claims prefix trusted_as_one unverified_email".split()
)
_MOST_ISSUERS, _MOST_ITEMS, _MOST_PREFIX = 50, 100, 64


@dataclass(frozen=True, slots=True)
class AdminClaim:
    """The claim that marks an admin: JSON `true`, or with `contains`, that value or a list with that element."""

    claim: str
    contains: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claims of an identity token to read. An attribute has its claim's name. Without `admin`, nobody is one."""

    user: str = "sub"
    orgs: str = "orgs"
    admin: AdminClaim | None = None
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentityIssuer:
    """One identity provider whose tokens are accepted. `max_age` in seconds after `iat`; empty `azp`: the audiences.

    `prefix` is put before its subjects and orgs, which are unique only per issuer (RFC 8725 §3.8). Issuers that are
    `trusted_as_one` have subjects in common. With `unverified_email`, rules may read an `email` that nobody verified.
    """

    issuer: str
    audience: tuple[str, ...]
    jwks_uri: str | None = None
    azp: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    max_age: int = limits.MAX_AGE
    claims: ClaimNames = ClaimNames()
    prefix: str | None = None
    trusted_as_one: bool = False
    unverified_email: bool = False


def parse_issuers(text: str) -> tuple[IdentityIssuer, ...]:
    """Read the issuers from a JSON list. Raises `headgate.core.documents.Invalid` with every fault."""
    try:
        document = decode_json(text.encode("utf-8", "surrogatepass"))
    except TokenRefused as refused:
        refuse("$", f"must be a JSON list: {refused.code}")
    root = Reader({"issuers": document})
    items = root.objects("issuers", _MOST_ISSUERS)
    issuers = [_read_issuer(root, item, f"issuers[{index}]") for index, item in enumerate(items)]
    named = [issuer.issuer for issuer in issuers if issuer.issuer]
    if len(set(named)) != len(named):
        root.fault("issuers", "must not list an issuer twice")
    _check_prefixes(root, issuers)
    root.check()
    return tuple(issuers)


def prefixes(issuers: Iterable[IdentityIssuer]) -> dict[str, Prefix]:
    """Return each issuer's prefix."""
    own = {issuer.issuer: issuer.prefix or "" for issuer in issuers}
    reserved = tuple(filter(None, own.values()))
    return {issuer: Prefix(prefix, reserved) for issuer, prefix in own.items()}


def _check_prefixes(root: Reader, issuers: list[IdentityIssuer]) -> None:
    """Subjects of two issuers must never be one subject, unless the configuration says that they are."""
    for index, issuer in enumerate(issuers):
        if issuer.prefix is not None and issuer.trusted_as_one:
            root.fault(f"issuers[{index}]", "must have either prefix or trusted_as_one")
        if len(issuers) > 1 and issuer.prefix is None and not issuer.trusted_as_one:
            root.fault(f"issuers[{index}].prefix", "must be set, as there are other issuers (or set trusted_as_one)")
    unprefixed = [issuer for issuer in issuers if issuer.prefix == ""]
    if len(unprefixed) > 1 or (unprefixed and any(issuer.trusted_as_one for issuer in issuers)):
        root.fault("issuers", "must not have more than one empty prefix, nor one next to trusted_as_one")
    used = sorted(issuer.prefix for issuer in issuers if issuer.prefix)
    if any(second.startswith(first) for first, second in pairwise(used)):
        root.fault("issuers", "must not have a prefix that begins with another one")


def is_url(text: str) -> bool:
    """Whether the URL may be fetched: https, or http to this machine (local mode); no credentials, no fragment."""
    parts = _split(text)
    if parts is None or not parts.hostname or parts.username is not None or parts.fragment or "#" in text:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def is_secure(text: str) -> bool:
    """Whether a URL that passed `is_url` is https."""
    return text[:6].lower() == "https:"


def _split(text: str) -> SplitResult | None:
    if not is_short_and_plain(text, 1_024) or not text.isascii() or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        return parts if parts.port is None or parts.port > 0 else None  # reading the port checks it
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read_issuer(root: Reader, item: object, path: str) -> IdentityIssuer:
    read = Reader(item, path, known=_MEMBERS)
    issuer = _url(read, "issuer") or ""
    if "?" in issuer:
        read.fault("issuer", "must not have a query (OpenID Connect Core 1.0 §2)")
    jwks_uri = _url(read, "jwks_uri") if "jwks_uri" in read.members else None
    if jwks_uri and is_secure(issuer) and not is_secure(jwks_uri):
        read.fault("jwks_uri", "must be https because the issuer is")
    client_ids = partial(
        read.strings, limit=_MOST_ITEMS, accept=is_short_and_plain, what="client ids without whitespace"
    )
    audience = client_ids("audience")
    if not audience:
        read.fault("audience", "must name at least one audience")
    algorithms = read.strings(
        "algorithms", limit=len(ALGORITHMS), accept=ALGORITHMS.__contains__, what=", ".join(sorted(ALGORITHMS))
    )
    if "algorithms" in read.members and not algorithms:
        read.fault("algorithms", "must name at least one algorithm")
    configured = IdentityIssuer(
        issuer=issuer,
        audience=audience,
        jwks_uri=jwks_uri,
        azp=client_ids("azp"),
        algorithms=algorithms or DEFAULT_ALGORITHMS,
        max_age=read.whole("max_age", limits.MAX_AGE, 1, limits.MAX_AGE_CEILING),
        claims=_read_claim_names(read),
        prefix=_read_prefix(read),
        trusted_as_one=read.flag("trusted_as_one"),
        unverified_email=read.flag("unverified_email"),
    )
    root.absorb(read)
    return configured


def _read_prefix(read: Reader) -> str | None:
    prefix = read.members.get("prefix")
    if prefix is None or prefix == "" or is_short_and_plain(prefix, _MOST_PREFIX):
        return prefix
    read.fault("prefix", f"must be text of at most {_MOST_PREFIX} bytes without whitespace")
    return None


def _read_admin(parent: Reader) -> AdminClaim | None:
    if "admin" not in parent.members:
        return None
    if isinstance(parent.members["admin"], str):
        return AdminClaim(parent.text("admin", limit=limits.ATTRIBUTE_NAME_BYTES, blank=False))
    read = Reader(parent.members["admin"], parent.at("admin"), known=("claim", "contains"))
    admin = AdminClaim(
        read.text("claim", limit=limits.ATTRIBUTE_NAME_BYTES, blank=False),
        read.text("contains", limit=limits.TEXT_BYTES, blank=False),
    )
    parent.absorb(read)
    return admin


def _read_claim_names(parent: Reader) -> ClaimNames:
    read = Reader(parent.members.get("claims", {}), parent.at("claims"), known=("user", "orgs", "admin", "attributes"))
    names = ClaimNames(
        user=read.text("user", default="sub", limit=limits.ATTRIBUTE_NAME_BYTES, blank=False),
        orgs=read.text("orgs", default="orgs", limit=limits.ATTRIBUTE_NAME_BYTES, blank=False),
        admin=_read_admin(read),
        attributes=read.strings(
            "attributes", limit=_MOST_ITEMS, accept=_is_attribute, what="claim names without whitespace"
        ),
    )
    used = [names.user, names.orgs, *([names.admin.claim] if names.admin and not names.admin.contains else [])]
    if len(set(used)) != len(used):
        read.fault("", "user, orgs, and admin must be different claims")
    parent.absorb(read)
    return names


def _is_attribute(name: str) -> bool:
    return is_short_and_plain(name, limits.ATTRIBUTE_NAME_BYTES)


def _url(read: Reader, name: str) -> str | None:
    value = read.members.get(name)
    if isinstance(value, str) and is_url(value):
        return value
    read.fault(name, "must be an https URL (http only to a loopback address) without credentials or fragment")
    return None
