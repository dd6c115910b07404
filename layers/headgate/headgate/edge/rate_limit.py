"""How fast one subject may obtain tokens. Each token costs a KMS signature, and the account's quota is everyone's.

It is asked only after the subject was verified, so nobody can use up another's share. It counts in this execution
environment's memory and writes nothing, so it does not stop a subject that reaches many environments at once: each
environment counts by itself, and a new one starts from nothing. The number of environments, and so the sum, is bounded
by the route's throttle and the function's concurrency.
"""

RATE, BURST = 20, 500
"""Tokens per second, and at once, for one subject: more than its sessions need, far below the quota of KMS (1,000)."""
MAX_SUBJECTS = 10_000
"""Subjects remembered: about 2 MB. Beyond them, the one that asked longest ago is forgotten."""


class RateLimit:
    """The generic cell rate algorithm (ITU-T I.371): for each subject, when all that it has used is available again."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def allows(self, subject: str, now: float) -> bool:
        """Return whether the subject may have one more token, and count it if so. `now` is in Unix seconds."""
        due = min(max(self._due.pop(subject, now), now), now + BURST / RATE)
        allowed = due + 1 / RATE <= now + BURST / RATE + 0.001  # for the rounding errors of sums near 2e9
        self._due[subject] = due + 1 / RATE if allowed else due
        if len(self._due) > MAX_SUBJECTS:
            del self._due[next(iter(self._due))]
        return allowed
