"""Waits for what other processes do: polls with a deadline, and says what never came about.

It may not sleep for a fixed time in place of a condition.
"""

import time
from collections.abc import Callable
from typing import Final

LOOK_EVERY_SECONDS: Final = 0.03


def eventually(condition: Callable[[], bool], what: str, *, within_seconds: float = 60) -> float:
    """Wait until `condition` holds; return how many seconds that took.

    Raise `AssertionError` with `what` at the deadline.
    """
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < within_seconds, f"not within {within_seconds} s: {what}"
        time.sleep(LOOK_EVERY_SECONDS)
    return time.monotonic() - started
