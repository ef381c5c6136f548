"""The one place where Sluice learns what time it is.

This module reads the system clock; it may not decide anything, and nothing else may read the clock.
"""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, aware, in UTC.

    `datetime` is looked up at each call, so that frozen time reaches every caller; a bound method
    kept as a default factory would escape it.
    """
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Return seconds of a clock that never runs backwards, for measuring how long something
    took.
    """
    return time.monotonic()
