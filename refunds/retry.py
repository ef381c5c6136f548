"""When to try again: a backoff that grows, is capped and jittered, and a circuit that opens.

This module computes times from `now` and a random fraction passed in; it may not sleep or draw one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from refunds.steps import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAt:
    """Try again, not before this time."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The attempts are used up: a person has to look."""

    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays that double from `base_seconds` to `cap_seconds`, at most `attempts` times."""

    base_seconds: float
    cap_seconds: float
    attempts: int | None = None

    def after(self, failures: int, now: datetime, jitter: float) -> RetryAt | GiveUp:
        """Return what follows the `failures`-th failure (from 1); `jitter` is in [0, 1).

        Full delays are never shortened below half, so that a burst spreads without hammering.
        """
        if self.attempts is not None and failures >= self.attempts:
            return GiveUp(attempts=failures)
        return RetryAt(at=now + self.delay(failures, jitter))

    def capped(self, seconds: float) -> timedelta:
        """Return a wait somebody else asked for, such as `Retry-After`, never beyond the cap."""
        return timedelta(seconds=min(max(seconds, 0.0), self.cap_seconds))

    def delay(self, failures: int, jitter: float) -> timedelta:
        """Return the wait after the `failures`-th failure."""
        doublings = min(max(failures, 1) - 1, 40)
        full_seconds = min(self.cap_seconds, self.base_seconds * 2**doublings)
        return timedelta(seconds=full_seconds * (0.5 + 0.5 * jitter))


EVENT_BACKOFF: Final = Backoff(base_seconds=2, cap_seconds=900, attempts=12)
"""An event is dead after 12 attempts, 24 to 47 minutes after the first."""
LANE_BACKOFF: Final = Backoff(base_seconds=2, cap_seconds=120)
"""A release run that could not read Stripe."""
UNSETTLED_BACKOFF: Final = Backoff(base_seconds=2, cap_seconds=300)
"""An attempt whose outcome is unknown; its first retry comes within 2 seconds."""
REFUSED_BACKOFF: Final = Backoff(base_seconds=30, cap_seconds=3600)
"""A request Stripe refused for want of money although our figures covered it."""
NOT_GIVEN_BACK_BACKOFF: Final = Backoff(base_seconds=3600, cap_seconds=12 * 3600)
"""A transfer to an account that is owed it, which Stripe refused for another reason than money."""
UNREADABLE_BACKOFF: Final = Backoff(base_seconds=10, cap_seconds=10)
"""A request whose payment could not be read, though the balances could: the others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """Consecutive failures of one scope, and until when it stays open."""

    failures: int = 0
    open_until: datetime | None = None

    def allows(self, now: datetime) -> bool:
        """Whether a call may be tried; after `open_until` the next call is the probe."""
        return self.open_until is None or now >= self.open_until


CLOSED_CIRCUIT: Final = Circuit()
_CIRCUIT_BACKOFF: Final = Backoff(base_seconds=2, cap_seconds=300)
_FAILURES_TO_OPEN: Final = 3
_ABOUT_ONE_OBJECT: Final = frozenset(
    {Trouble.CONFLICT, Trouble.KEY_MISMATCH, Trouble.NOT_READY, Trouble.UNREADABLE}
)


def after_trouble(circuit: Circuit, trouble: Trouble, now: datetime, jitter: float) -> Circuit:
    """Return the circuit after a call brought no verdict.

    A revoked key or connection opens it at once, everything else from the third failure in a row;
    what is about one object says nothing about Stripe's health and leaves it as it is. Once open,
    only a verdict closes it: a failed probe, or a call that was under way, opens it anew.
    """
    if trouble in _ABOUT_ONE_OBJECT:
        return circuit
    failures = circuit.failures + 1
    opens = trouble is Trouble.DENIED or failures >= _FAILURES_TO_OPEN
    if circuit.open_until is None and not opens:
        return Circuit(failures=failures)
    return Circuit(failures=failures, open_until=now + _CIRCUIT_BACKOFF.delay(failures, jitter))
