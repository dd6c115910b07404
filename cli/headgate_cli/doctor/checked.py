"""What a check of `headgate doctor` says. It must not know how that is shown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checked:
    """One result of a check. `failed` means that something is not as it must be; otherwise it is for information."""

    check: str
    told: str
    failed: bool = False
