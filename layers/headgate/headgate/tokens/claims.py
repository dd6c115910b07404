"""What our own tokens are: four kinds, what marks each, and the frozen form of a verified one.

Holds only; `accept` decides. The kinds cannot be taken for one another: type, audience and scope each tell them apart
(RFC 8725 §3.11, §3.12).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headgate.tokens.fields import Attribute, no_attributes


class Kind(StrEnum):
    """What a token is for."""

    ACCESS = "access"
    SESSION = "session"
    EVALUATE = "evaluate"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class KindProfile:
    """What marks a kind: `typ` header, what follows the audience, scope, and claims it must or may never carry."""

    kind: Kind
    typ: str
    suffix: str
    required: frozenset[str]
    forbidden: frozenset[str]

    @property
    def scope(self) -> str:
        """The `scope` claim: the kind's own name."""
        return self.kind.value

    def audience(self, base: str) -> str:
        """The `aud` claim of this kind for the configured audience."""
        return base + self.suffix


def _profile(kind: Kind, typ: str, suffix: str, required: str, forbidden: str) -> KindProfile:
    return KindProfile(kind, typ, suffix, frozenset(required.split()), frozenset(forbidden.split()))


PROFILES: Mapping[Kind, KindProfile] = {
    profile.kind: profile
    for profile in (
        _profile(Kind.ACCESS, "at+jwt", "", "orgs entitlements", "sid"),
        _profile(Kind.SESSION, "hg-session+jwt", "", "orgs sid", "admin entitlements"),
        _profile(Kind.EVALUATE, "hg-evaluate+jwt", ":evaluate", "orgs", "sid entitlements"),
        _profile(Kind.SERVICE, "hg-service+jwt", ":evaluate", "", "sid orgs admin attributes entitlements"),
    )
}

BY_TYP: Mapping[str, KindProfile] = {profile.typ: profile for profile in PROFILES.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A verified own token. Times are unix seconds; `rev` is the revision it was made under; `kid` its key.

    What names a person is left out of `repr()`, so that a log line cannot hold it by accident.
    """

    kind: Kind
    issuer: str
    audience: str
    subject: str = field(repr=False)
    client_id: str = field(repr=False)
    orgs: tuple[str, ...] = field(default=(), repr=False)
    admin: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=no_attributes, repr=False)
    entitlements: tuple[str, ...] = ()
    sid: str | None = field(default=None, repr=False)
    rev: int
    jti: str
    iat: int
    nbf: int
    exp: int
    kid: str
