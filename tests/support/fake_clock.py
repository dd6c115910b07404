"""A clock that the test moves."""


class FakeClock:
    """Unix seconds. Call it for the time; `pause` is a sleep that takes no real time."""

    def __init__(self, now: float = 1_780_000_000.0) -> None:
        self.now = now
        self.paused = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move by this many seconds, which may be negative."""
        self.now += seconds

    def pause(self, seconds: float) -> None:
        """Stands in for `time.sleep`."""
        assert seconds >= 0
        self.paused += seconds
        self.now += seconds
