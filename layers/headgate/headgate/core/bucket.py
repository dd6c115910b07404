"""Where an id falls on the percentage scale. Pure; the same answer in every process and every version of Python.

`sha256-v1`: the first 8 bytes of SHA-256 over salt, flag key and id, joined by NUL. Salt and key hold no NUL, so the
join is unambiguous whatever the id holds. The integer is compared with a threshold on the fixed space of 2**64: a
higher percent only ever adds ids.

`posthog-v1`: PostHog's published rule, so that a team which moves keeps its users where they are: SHA-1 over
`key.id` and the salt, the first 15 hex digits as a fraction of 0xFFFFFFFFFFFFFFF, in when at most the percentage.
"""

from hashlib import sha1, sha256

from headgate.core.limits import PERCENT_STEPS
from headgate.core.model import Algorithm, Flag

POSTHOG_SCALE = 0xFFFFFFFFFFFFFFF


def position(flag: Flag, unit_id: str) -> int:
    """The id's place on the flag's scale: 0 to 2**64 - 1 (`sha256-v1`) or to `POSTHOG_SCALE` (`posthog-v1`)."""
    if flag.algorithm is Algorithm.POSTHOG_V1:
        text = f"{flag.key}.{unit_id}{flag.salt}".encode("utf-8", "surrogatepass")
        return int(sha1(text, usedforsecurity=False).hexdigest()[:15], 16)
    text = f"{flag.salt}\0{flag.key}\0{unit_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(text).digest()[:8])


def is_in(flag: Flag, unit_id: str) -> bool:
    """Whether the id is within the flag's percentage; 0 % holds nobody, 100 % everybody."""
    if flag.steps == 0:
        return False
    if flag.algorithm is Algorithm.POSTHOG_V1:
        return position(flag, unit_id) * PERCENT_STEPS <= flag.steps * POSTHOG_SCALE
    return position(flag, unit_id) < (flag.steps << 64) // PERCENT_STEPS
