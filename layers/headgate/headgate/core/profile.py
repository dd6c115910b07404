"""The manifest's token profile: access flag, limit on staleness, lifetime, and added claims."""

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
"""One hour. In a longer outage, the emergency kill is better than old rules."""
LIFETIME_LOW, LIFETIME_HIGH = 60, 3_600
"""Seconds an access token may live. Below, clients would only renew; above, `continue` would outlive its reason."""
MAX_CLAIMS = 20


def parse_profile(document: Json) -> Profile:
    """Read `access`, `max_stale`, and `token`. Raises `Invalid` with every fault."""
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
        read.fault("claims", f"must be an object with at most {MAX_CLAIMS} members")
        return {}
    for name, value in claims.items():
        if not is_claim_name(name):
            read.fault("claims", "names must be 1 to 64 letters, digits, or _, and not names of standard claims")
        if not _is_claim_value(value):
            read.fault(
                f"claims.{name[:64]}",
                f"must be {USER_CLAIM}, {ADMIN_CLAIM}, or a fixed string, number, or boolean",
            )
    return dict(claims)


def _is_claim_value(value: Json) -> bool:
    if isinstance(value, str):
        known = not value.startswith("$") or value in (USER_CLAIM, ADMIN_CLAIM)
        return known and len(value) <= 128 and is_plain(value)
    return isinstance(value, (bool, int, float))


def check_told(profile: Profile, flags: Mapping[str, Flag], routes: RouteTable) -> None:
    """Refuse rules whose access tokens could exceed the verifiers' limit with every flag on. Raises `Invalid`."""
    claimed = {key: flag.claim for key, flag in flags.items() if flag.claim}
    keys = sorted(routes.flags | claimed.keys() | set(filter(None, (profile.access,))))
    told = {"entitlements": keys, **profile.claims, **dict.fromkeys(filter(None, claimed.values()), True)}
    if len(json.dumps(told, separators=(",", ":"))) > limits.MAX_TOLD_BYTES:
        refuse("token", f"flags and claims would take more than {limits.MAX_TOLD_BYTES} bytes of each access token")


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return the profile as written in a manifest."""
    return {
        "access": profile.access,
        "max_stale": profile.max_stale,
        "token": {"lifetime": profile.lifetime, "claims": dict(profile.claims)},
    }
