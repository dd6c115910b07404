"""A clock that moves when it is told to."""


class FakeClock:
    """Unix seconds. Called, it tells the time; `pause` is a sleep that takes none."""

    def __init__(self, now: float = 1_780_000_000.0) -> None:
        self.now = now
        self.paused = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move, backwards too."""
        self.now += seconds

    def pause(self, seconds: float) -> None:
        """Stands in for `time.sleep`."""
        assert seconds >= 0
        self.paused += seconds
        self.now += seconds
