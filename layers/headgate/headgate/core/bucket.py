"""Place an id on the percentage scale. Pure: the same result in every process and every version of Python.

`sha256-v1`: the first 8 bytes of the SHA-256 of salt, flag key, and id, joined by NUL. Salt and key contain no NUL, so
the join is unambiguous for every id. The integer is compared with a threshold on the fixed space of 2**64, so a higher
percent only adds ids.

`posthog-v1`: PostHog's published rule, so that a team that migrates keeps its users where they are: the first 15 hex
digits of the SHA-1 of `key.id` and the salt, as a fraction of 0xFFFFFFFFFFFFFFF. An id is in if the fraction is at most
the percentage. The key is the one in PostHog, `hash_key`, since that may hold capitals; without it, the flag's own.
"""

from hashlib import sha1, sha256

from headgate.core.limits import PERCENT_STEPS
from headgate.core.model import Algorithm, Flag, Subject, Test, Unit

POSTHOG_SCALE = 0xFFFFFFFFFFFFFFF


def position(flag: Flag, unit_id: str) -> int:
    """The id's position on the flag's scale: 0 to 2**64 - 1 (`sha256-v1`) or to `POSTHOG_SCALE` (`posthog-v1`)."""
    if flag.algorithm is Algorithm.POSTHOG_V1:
        text = f"{flag.hash_key or flag.key}.{unit_id}{flag.salt}".encode("utf-8", "surrogatepass")
        return int(sha1(text, usedforsecurity=False).hexdigest()[:15], 16)
    return int.from_bytes(sha256((prefix(flag) + unit_id).encode("utf-8", "surrogatepass")).digest()[:8])


def scale(flag: Flag) -> tuple[str, ...]:
    """What the place of every id depends on. A change of it redraws all buckets."""
    return flag.unit, flag.salt, flag.algorithm, flag.hash_key or flag.key


def prefix(flag: Flag) -> str:
    """What precedes the id in the text that `sha256-v1` hashes."""
    return f"{flag.salt}\0{flag.key}\0"


def threshold(flag: Flag) -> int:
    """The first position on the scale of `sha256-v1` that is out."""
    return (flag.steps << 64) // PERCENT_STEPS


def is_in(flag: Flag, unit_id: str) -> bool:
    """Whether the id is within the flag's percentage. 0 % lets nobody in, 100 % everybody."""
    if flag.steps == 0:
        return False
    if flag.algorithm is Algorithm.POSTHOG_V1:
        return position(flag, unit_id) * PERCENT_STEPS <= flag.steps * POSTHOG_SCALE
    return position(flag, unit_id) < threshold(flag)


def bucket(flag: Flag, unit_id: str) -> float:
    """The id's position in percent, rounded down to a step of 0.001: the least percent above it lets the id in."""
    space = POSTHOG_SCALE if flag.algorithm is Algorithm.POSTHOG_V1 else 1 << 64
    return (position(flag, unit_id) * PERCENT_STEPS // space) * 100 / PERCENT_STEPS


def unit_ids(unit: Unit, subject: Subject) -> tuple[str, ...]:
    """The ids that can let the subject in. Without any, the subject is out: a missing id is never bucket 0."""
    user = (subject.user,) if subject.user else ()
    if unit is Unit.USER:
        return user
    orgs = (subject.acting_org,) if subject.acting_org else tuple(filter(None, subject.orgs))
    return orgs or (user if unit is Unit.ORG_OR_USER and not subject.orgs_cut else ())


def compile_share(flag: Flag) -> Test:
    """Return a test of whether a subject is within the flag's percentage.

    By user with SHA-256, the test costs one hash and one comparison of bytes.
    """
    unit = flag.unit
    if unit is not Unit.USER or flag.algorithm is not Algorithm.SHA256_V1 or not 0 < flag.steps < PERCENT_STEPS:
        return lambda subject: any(is_in(flag, unit_id) for unit_id in unit_ids(unit, subject))
    # copying a started hash takes 360 ns, starting one 440, whatever the salt's length
    begin = sha256(prefix(flag).encode("utf-8", "surrogatepass")).copy
    limit = threshold(flag).to_bytes(8)  # 32 bytes sort below 8 bytes exactly when their first 8 do

    def is_inside(subject: Subject) -> bool:
        user = subject.user
        if not user:
            return False
        digest = begin()
        try:
            digest.update(user.encode())
        except UnicodeEncodeError:  # a lone surrogate, which JSON can express
            digest.update(user.encode("utf-8", "surrogatepass"))
        return digest.digest() < limit

    return is_inside
