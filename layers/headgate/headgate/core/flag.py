"""Convert flags between JSON and frozen types. Writes and loads share one reader; evaluation trusts its result."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import inf
from typing import Any

from headgate.core import limits
from headgate.core.allow import LOST_LIST, allow_document, long_document, read_allow, read_long
from headgate.core.documents import Invalid, Reader, canonical, is_key, unix
from headgate.core.model import Algorithm, Flag, Json, Kill, LongList, Reach, Stage, Unit

SERVER_MEMBERS = ("version", "revision", "killed", "updated_at", "updated_by", "members")
OWN_MEMBERS = tuple(
    "key description owner stage percent unit algorithm hash_key salt requires allow values claim".split()
)
MAX_HASH_KEY_BYTES = 400  # as long as PostHog's keys


def parse_flag(document: Json, *, salt: str, path: str = "") -> Flag:
    """Read a flag as an operator writes it, without server members. `salt` is the default.

    Raises `Invalid` with every fault.
    """
    read = Reader(document, path, known=OWN_MEMBERS)
    flag = _read_own(read, salt)
    read.check()
    return flag


NEVER_LEFT_OUT = ("requires", "killed", "unit", "algorithm")
"""Members that every stored flag has. If one of these is lost, its default could let somebody in: no parent, no kill,
other buckets. The defaults of all others only let in fewer."""


def load_flag(document: Json) -> Flag:
    """Read a stored flag, including server members. Raises `Invalid`; the caller quarantines the flag."""
    read = Reader(document, known=(*OWN_MEMBERS, *SERVER_MEMBERS))
    for name in NEVER_LEFT_OUT:
        if name not in read.members:
            read.fault(name, "is missing")
    own = _read_own(read, salt=None)
    killed = _read_kill(read)
    version = read.whole("version", 0, 1, 2**53)
    revision = read.whole("revision", -1, 1, 2**53)
    updated_at, updated_by = read.text("updated_at"), read.text("updated_by", limit=4_096)
    long = read_long(read)
    read.check()
    return Flag(
        **{name: getattr(own, name) for name in Flag.__slots__ if name not in (*SERVER_MEMBERS, "quarantined")},
        killed=killed, version=version, revision=revision, updated_at=updated_at, updated_by=updated_by,
        members=long,
    )  # fmt: skip


def read_flag(key: str, document: Json) -> Flag:
    """Return a stored flag, quarantined if it cannot be read. Its kill still applies, also to sessions."""
    try:
        flag: Flag | None = load_flag(document)
    except (Invalid, RecursionError):
        flag = None
    if flag is not None and flag.key == key:
        return flag
    return Flag(key=key, salt="", killed=load_kill(document), members=load_long(document), quarantined=True)


def load_kill(document: Json) -> Kill | None:
    """Return the kill of a stored flag that may otherwise be unreadable; None if no kill can be read."""
    read = Reader(document)
    kill = _read_kill(read)
    return None if read.faults else kill


def load_long(document: Json) -> LongList | None:
    """Return the long list of an unreadable stored flag; `LOST_LIST` if that part is unreadable, too."""
    read = Reader(document)
    long = read_long(read)
    return LOST_LIST if read.faults else long


def salt_for(document: Json, held: Flag | None, new_salt: Callable[[], str]) -> str:
    """Return the salt of a flag that names none: the one it has, else an empty one for PostHog, else a new one."""
    if held is not None and not held.quarantined:
        return held.salt
    is_posthog = isinstance(document, dict) and document.get("algorithm") == Algorithm.POSTHOG_V1
    return "" if is_posthog else new_salt()


def _read_own(read: Reader, salt: str | None) -> Flag:
    key = read.text("key", limit=64)
    if not is_key(key):
        read.fault("key", "must match ^[a-z0-9][a-z0-9._-]{0,63}$")
    requires = read.strings("requires", limit=limits.MAX_REQUIRES, accept=is_key, what="flag keys")
    if key in requires:
        read.fault("requires", "must not name the flag itself")
    on, off = _read_values(read)
    return Flag(
        key=key,
        salt=read.text("salt", default=salt, limit=128),
        description=read.text("description", default="", limit=limits.MAX_TEXT_BYTES),
        owner=read.text("owner", default="", limit=limits.MAX_TEXT_BYTES),
        stage=read.choice("stage", Stage, Stage.ADMIN_ONLY),
        steps=read_percent(read),
        unit=read.choice("unit", Unit, Unit.USER),
        algorithm=read.choice("algorithm", Algorithm, Algorithm.SHA256_V1),
        hash_key=_read_hash_key(read),
        requires=requires,
        allow=read_allow(read),
        on=on,
        off=off,
        claim=_read_claim(read),
    )


def _read_hash_key(read: Reader) -> str | None:
    if read.members.get("hash_key") is None:
        return None
    if read.members.get("algorithm") != Algorithm.POSTHOG_V1:
        read.fault("hash_key", "is allowed only with algorithm posthog-v1: it is the flag's key in PostHog")
    return read.text("hash_key", limit=MAX_HASH_KEY_BYTES, blank=False)


def read_percent(read: Reader) -> int:
    """Read `percent` in steps of 0.001 (0 to 100,000)."""
    value = read.members.get("percent", 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:  # NaN fails too
        read.fault("percent", "must be a number from 0 to 100")
        return 0
    exact = Decimal(repr(value)) * 1_000
    if exact != exact.to_integral_value():
        read.fault("percent", "must have at most 3 decimal places")
    return int(exact)


def _read_values(read: Reader) -> tuple[Json, Json]:
    values = read.members.get("values", {"on": True, "off": False})
    if not isinstance(values, dict) or values.keys() != {"on", "off"}:
        read.fault("values", "must have exactly the members on and off")
        return True, False
    on, off = values["on"], values["off"]
    if {type(on), type(off)} == {int, float}:
        on, off = _as_floats(on, off)
    if type(on) is not type(off) or type(on) not in (bool, str, int, float, dict):
        read.fault("values", "on and off must have the same type: boolean, string, number, or object")
    if type(on) is bool and (on, off) != (True, False):
        read.fault("values", "booleans must be true for on and false for off")
    if not _is_storable({"on": on, "off": off}):
        read.fault("values", "must be valid JSON in UTF-8, with numbers that fit a 64-bit float")
    return on, off


def _as_floats(*numbers: float) -> tuple[float, ...]:
    """Of 1 and 0.5, a typed client would read only one. Too large a number becomes infinity, which is not storable."""
    try:
        return tuple(map(float, numbers))
    except OverflowError:
        return (inf,) * len(numbers)


def _is_storable(value: Json) -> bool:
    try:
        return bool(canonical(value).encode())
    except (ValueError, RecursionError):  # a lone surrogate, NaN, or nested too deep
        return False


def _read_claim(read: Reader) -> str | None:
    claim = read.members.get("claim")
    if claim is None:
        return None
    if not isinstance(claim, str) or not is_claim_name(claim):
        read.fault("claim", "must be 1 to 64 letters, digits, or _, and not the name of a standard claim")
        return None
    return claim


RESERVED_CLAIMS = frozenset(
    "iss sub aud client_id exp nbf iat jti rev entitlements orgs orgs_cut admin attributes scope sid gen".split()
    + "typ act cnf azp auth_time".split()
)
STANDARD_CLAIMS = frozenset("may_act nonce acr amr events".split())
"""Claims with a meaning of their own, which a write refuses. Stored ones are still read: earlier versions took them."""


def is_claim_name(name: str) -> bool:
    """Whether the token profile may add a claim with this name."""
    return 0 < len(name) <= 64 and name.isascii() and name.replace("_", "a").isalnum() and name not in RESERVED_CLAIMS


def _read_kill(read: Reader) -> Kill | None:
    document = read.members.get("killed")
    if document is None:
        return None
    inner = Reader(document, "killed", known=("reach", "reason", "at", "by", "drain_until"))
    kill = Kill(
        reach=inner.choice("reach", Reach),
        reason=inner.text("reason"),
        at=inner.text("at"),
        by=inner.text("by", limit=4_096),
        drain_until=None if inner.members.get("drain_until") is None else _read_moment(inner, "drain_until"),
    )
    if (kill.reach is Reach.DRAIN) != (kill.drain_until is not None):
        inner.fault("drain_until", "is required for reach drain, and allowed only there")
    read.absorb(inner)
    return kill


def _read_moment(read: Reader, name: str) -> str:
    text = read.text(name)
    try:
        unix(text)
    except (ValueError, OverflowError):
        read.fault(name, "must be an RFC 3339 time with an offset")
    return text


def flag_document(flag: Flag) -> dict[str, Any]:
    """Return the flag as the admin API shows it and the table stores it."""
    return {
        "key": flag.key,
        "description": flag.description,
        "owner": flag.owner,
        "stage": flag.stage.value,
        "percent": percent_number(flag.steps),
        "unit": flag.unit.value,
        "algorithm": flag.algorithm.value,
        **({} if flag.hash_key is None else {"hash_key": flag.hash_key}),
        "salt": flag.salt,
        "requires": list(flag.requires),
        "allow": allow_document(flag.allow),
        "values": {"on": flag.on, "off": flag.off},
        "claim": flag.claim,
        "killed": _kill_document(flag.killed),
        "version": flag.version,
        "revision": flag.revision,
        "updated_at": flag.updated_at,
        "updated_by": flag.updated_by,
        **({} if flag.members is None else {"members": long_document(flag.members)}),
    }


def percent_number(steps: int) -> int | float:
    """Convert steps to the number that an operator writes."""
    return steps // 1_000 if steps % 1_000 == 0 else steps / 1_000


def _kill_document(kill: Kill | None) -> dict[str, Any] | None:
    if kill is None:
        return None
    document = {"reach": kill.reach.value, "reason": kill.reason, "at": kill.at, "by": kill.by}
    return document | ({"drain_until": kill.drain_until} if kill.drain_until else {})


def stored_bytes(flag: Flag) -> int:
    """The size of a flag as stored, without what the server records about its long list."""
    return len(canonical(flag_document(replace(flag, members=None))).encode())
