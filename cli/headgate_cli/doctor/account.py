"""What the account gives the stack: concurrency for kills, and a clock that agrees with this machine's.

Source: Lambda Developer Guide, "Configuring reserved concurrency" (100 of an account's concurrency cannot be reserved).
"""

from email.utils import parsedate_to_datetime

from headgate.tokens.limits import CLOCK_LEEWAY
from headgate_cli.doctor.checked import Checked

KEPT_UNRESERVED, ENOUGH_FOR_KILLS = 100, 5


def concurrency(unreserved: int, reserved_for_kills: int) -> Checked:
    """Return whether the kill has concurrency of its own, or what could be reserved."""
    if reserved_for_kills:
        return Checked("concurrency", f"{reserved_for_kills} is reserved for kills")
    if unreserved - KEPT_UNRESERVED >= ENOUGH_FOR_KILLS:
        told = f"none is reserved for kills: deploy with KillReservedConcurrency={ENOUGH_FOR_KILLS}"
    else:
        told = (
            f"none can be reserved for kills: the account has {unreserved} unreserved, and {KEPT_UNRESERVED} must "
            "stay so; ask AWS for more"
        )
    return Checked("concurrency", told)


def clock(date: str, now: float) -> Checked:
    """Compare this machine's clock, `now` (Unix seconds), with the `Date` header of AWS's answer.

    AWS refuses signatures that are five minutes off; a stack's verifier allows `CLOCK_LEEWAY`.
    """
    ahead = now - parsedate_to_datetime(date).timestamp()
    if abs(ahead) <= CLOCK_LEEWAY:
        return Checked("clock", "this machine's clock agrees with AWS's")
    way = "ahead of" if ahead > 0 else "behind"
    return Checked("clock", f"this machine's clock is {abs(ahead):.0f} s {way} AWS's: synchronize it", failed=True)
