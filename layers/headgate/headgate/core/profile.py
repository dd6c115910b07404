"""The manifest's part on tokens: the access flag, the bound on staleness, lifetime and added claims."""

import json
from collections.abc import Mapping
from typing import Any

from headgate.core import limits
from headgate.core.documents import Reader, is_key, is_plain, refuse
from headgate.core.flag import is_claim_name
from headgate.core.model import Flag, Json, Profile
from headgate.core.routes import RouteTable

USER_CLAIM, ADMIN_CLAIM = "$user", "$admin"
MAX_STALE_LIMIT = 3_600
"""An hour: a longer outage than that is better answered by the emergency path than by old rules."""
LIFETIME_LOW, LIFETIME_HIGH = 60, 3_600
"""Seconds an access token may live: below, clients only renew; above, `continue` outlives its reason."""
MAX_CLAIMS = 20


def parse_profile(document: Json) -> Profile:
    """Read `access`, `max_stale` and `token`. Raises `Invalid` with every fault."""
    read = Reader(document, known=("access", "max_stale", "token"))
    access = read.members.get("access")
    if access is not None and not (isinstance(access, str) and is_key(access)):
        read.fault("access", "must be a flag key")
        access = None
    token = Reader(read.members.get("token", {}), "token", known=("lifetime", "claims"))
    profile = Profile(
        access=access,
        max_stale=read.whole("max_stale", 60, 0, MAX_STALE_LIMIT),
        lifetime=token.whole("lifetime", 300, LIFETIME_LOW, LIFETIME_HIGH),
        claims=_read_claims(token),
    )
    read.absorb(token)
    read.check()
    return profile


def _read_claims(read: Reader) -> dict[str, Json]:
    claims = read.members.get("claims", {})
    if not isinstance(claims, dict) or len(claims) > MAX_CLAIMS:
        read.fault("claims", f"must be an object of at most {MAX_CLAIMS} members")
        return {}
    for name, value in claims.items():
        if not is_claim_name(name):
            read.fault("claims", "a name must be letters, digits and _, and no standard claim")
        if not _is_claim_value(value):
            read.fault(
                f"claims.{name[:64]}",
                f"must be {USER_CLAIM}, {ADMIN_CLAIM}, or a fixed string, number or boolean",
            )
    return dict(claims)


def _is_claim_value(value: Json) -> bool:
    if isinstance(value, str):
        known = not value.startswith("$") or value in (USER_CLAIM, ADMIN_CLAIM)
        return known and len(value) <= 128 and is_plain(value)
    return isinstance(value, (bool, int, float))


def check_told(profile: Profile, flags: Mapping[str, Flag], routes: RouteTable) -> None:
    """Refuse rules whose access tokens could grow past what verifiers take, every flag being on. Raises `Invalid`."""
    claimed = {key: flag.claim for key, flag in flags.items() if flag.claim}
    keys = sorted(routes.flags | claimed.keys() | set(filter(None, (profile.access,))))
    told = {"entitlements": keys, **profile.claims, **dict.fromkeys(filter(None, claimed.values()), True)}
    if len(json.dumps(told, separators=(",", ":"))) > limits.MAX_TOLD_BYTES:
        refuse("token", f"flags and claims would take more than {limits.MAX_TOLD_BYTES} bytes of each token")


def profile_document(profile: Profile) -> dict[str, Any]:
    """The profile as the manifest writes it."""
    return {
        "access": profile.access,
        "max_stale": profile.max_stale,
        "token": {"lifetime": profile.lifetime, "claims": dict(profile.claims)},
    }
