"""Keeps calls to Stripe below a rate that the platform's own checkout can spare.

It may not drop a call or know what one is for; a call waits for its turn, and not for ever.
"""

import threading
import time
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from typing import Final

import structlog

from refunds.clock import monotonic_seconds

LONGEST_WAIT_SECONDS: Final = 4.0
"""A lease lasts 10 seconds: work that waited it out at every call would never be done."""
FULL_AGAIN_SECONDS: Final = 100.0
"""How long it takes from standstill to the full rate; half of it from half of the rate."""
SLOWEST: Final = 1 / 16
_ONE_LIMIT_SECONDS: Final = 1.0
"""Several calls under way meet the same limit: they halve the rate once."""
_KEEPS_ONE_FROM: Final = 2
"""From so many calls a second on, one of them is kept for calls that move money. They count for
reads as well, so that whatever comes free goes to those that move money first. With fewer there is
none to keep: reads would have to stop.
"""
_WAITING_MAX: Final = 32
"""More than the threads of a process: each waits for one call at most."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Window:
    """The last calls of one kind, in order of their time; some may be still to come."""

    at: list[float] = field(default_factory=list)

    def free_at(self, earliest: float, count: int, span: float) -> float:
        """Return when, from `earliest` on, one more call makes no more than `count` in any `span`.

        It may come before calls that wait already, so long as they keep their time.
        """
        if len(self.at) < count or self.at[-count] + span <= earliest:
            return earliest
        ends = (begun + span for begun in self.at if begun + span > earliest)
        return next(at for at in chain((earliest,), ends) if self._has_room(at, count, span))

    def _has_room(self, at: float, count: int, span: float) -> bool:
        place = bisect_right(self.at, at)
        calls = [*self.at[max(0, place - count) : place], at, *self.at[place : place + count]]
        return all(first + span <= last for first, last in zip(calls, calls[count:], strict=False))

    def add(self, at: float, keep: int) -> None:
        insort(self.at, at)
        del self.at[:-keep]


class Pace:
    """One process's part of the allowed rate. Threads share it.

    In any second no more calls begin than allowed, in all and per endpoint. Processes don't ask
    each other: each is told how many share the rate (`share`).
    """

    def __init__(
        self,
        total: int,
        per_endpoint: int,
        *,
        clock: Callable[[], float] = monotonic_seconds,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`total` and `per_endpoint` are calls per second."""
        self._rates = (total, per_endpoint)
        self._keep = total + _WAITING_MAX
        self._clock = clock
        self._sleep = sleep
        self._workers = 1
        self._lock = threading.Lock()
        self._all = _Window()
        self._by_endpoint: dict[str, _Window] = defaultdict(_Window)
        self._slowed_at: float | None = None
        self._slowed_to = 1.0

    def share(self, workers: int) -> None:
        """Take one part of so many of the rate."""
        with self._lock:
            self._workers = max(1, workers)

    def slow_down(self) -> None:
        """Halve the rate: Stripe said that it is too much. It comes back by and by."""
        with self._lock:
            now = self._clock()
            if self._slowed_at is not None and now - self._slowed_at < _ONE_LIMIT_SECONDS:
                return
            self._slowed_to = max(SLOWEST, self._factor(now) / 2)
            self._slowed_at = now
        _log.warning("stripe.slowed_down", part=round(self._slowed_to, 3))

    def wait(self, endpoint: str, *, moves_money: bool) -> None:
        """Return when a call to this endpoint may begin.

        From two calls a second on, one that moves money never waits for reads: its intent is
        committed, and the sooner it has an outcome, the sooner that is settled.
        """
        with self._lock:
            now = self._clock()
            at = self._free_at(now, endpoint, moves_money=moves_money)
            late = at - now > LONGEST_WAIT_SECONDS
            at = min(at, now + LONGEST_WAIT_SECONDS)
            self._all.add(at, self._keep)
            self._by_endpoint[endpoint].add(at, self._keep)
        if late:
            _log.warning("stripe.pace_exceeded", endpoint=endpoint)
        if at > now:
            self._sleep(at - now)

    def _free_at(self, now: float, endpoint: str, *, moves_money: bool) -> float:
        part = self._factor(now) / self._workers
        in_all, there = (self._calls_in(rate * part) for rate in self._rates)
        count, span = in_all
        if not moves_money and count >= _KEEPS_ONE_FROM:
            count -= 1
        at, before = now, -inf
        while at > before:
            before = at
            at = self._all.free_at(at, count, span)
            at = self._by_endpoint[endpoint].free_at(at, *there)
        return at

    @staticmethod
    def _calls_in(rate: float) -> tuple[int, float]:
        """Return the rate as whole calls in a span of seconds: one second, or longer for less than
        one call in it.
        """
        return (int(rate), 1.0) if rate >= 1 else (1, 1 / rate)

    def _factor(self, now: float) -> float:
        if self._slowed_at is None:
            return 1.0
        return min(1.0, self._slowed_to + (now - self._slowed_at) / FULL_AGAIN_SECONDS)
