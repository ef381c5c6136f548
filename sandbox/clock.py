"""The sandbox's own time, which can stand still, run beside the wall clock, or be advanced.

Nothing else in the sandbox may ask the machine what time it is.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

Wall = Callable[[], float]


def wall_seconds() -> float:
    """Seconds since the epoch on this machine, for signatures that a real receiver checks."""
    # The receiver compares a signature with its own clock, which an advanced sandbox clock is not.
    return time.time()


def monotonic_seconds() -> float:
    """Seconds on a clock that never jumps, for waiting and for retries."""
    return time.monotonic()


class Clock:
    """Seconds since the epoch, frozen unless `wall` is given."""

    def __init__(self, *, start: int, wall: Wall | None = None) -> None:
        self._wall = wall
        self._base = float(start) if wall is None else start - wall()
        self._pinned: int | None = None

    @classmethod
    def running(cls, *, start: int | None = None, wall: Wall = wall_seconds) -> "Clock":
        """A clock that ticks, from `start` or from the machine's present time."""
        return cls(start=int(wall()) if start is None else start, wall=wall)

    def now(self) -> int:
        """Whole seconds since the epoch."""
        if self._pinned is not None:
            return self._pinned
        return int(self.now_exact())

    def now_exact(self) -> float:
        """Seconds since the epoch with their fraction, for rates only."""
        return self._base if self._wall is None else self._base + self._wall()

    def advance(self, seconds: int) -> None:
        """Move forward; time in the sandbox never goes back."""
        if seconds < 0:
            raise ValueError("the clock only moves forward: give seconds >= 0")
        self._base += seconds

    @contextmanager
    def standing_at(self, moment: int) -> Iterator[None]:
        """Hold the clock at `moment` while something due at that moment happens."""
        before, self._pinned = self._pinned, moment
        try:
            yield
        finally:
            self._pinned = before


def moment_from_iso(text: str) -> int:
    """Seconds since the epoch of an ISO 8601 moment; without an offset it is UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
