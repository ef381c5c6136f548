"""What shadow mode says: what would have been released, held and covered, and for how long held.

This module counts recorded requests; it may not load them or decide anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median_high

from refunds.money import Currency, Money


class Course(StrEnum):
    """What would have become of a request; each request is counted in exactly one."""

    RELEASED = "released"
    """At once: it was never held."""
    RELEASED_LATER = "released_later"
    """After it was held."""
    STILL_HELD = "still_held"
    REVIEW = "review"
    """Before a person, or it was before one when the platform refunded in its own way."""
    REJECTED = "rejected"
    ENDED = "ended"
    """Canceled or closed by a person."""
    UNDECIDED = "undecided"
    """Not decided yet, or covered and waiting for its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRequest:
    """One request made in shadow mode, as it stands."""

    amount: Money | None
    """`None` until Stripe could be asked."""
    course: Course
    created: datetime
    held_since: datetime | None
    """When it was first held; `None`: never."""
    ended_at: datetime | None
    covered: Money | None
    """What the platform would have stood in for, in the account's currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many requests of one currency, and what they come to."""

    currency: Currency
    requests: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFor:
    """How long what was released later would have been held."""

    requests: int
    median: timedelta
    """Of an even number the longer one of the two in the middle."""
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """What all requests of shadow mode come to. Sums are per currency, in order of its code."""

    requests: int
    since: datetime | None
    """When the first one was made."""
    held: Sequence[Count]
    """Every request that was ever held, whatever became of it."""
    covered: Sequence[Count]
    """What the platform would have stood in for."""
    by_course: Mapping[Course, Sequence[Count]]
    held_for: HeldFor | None


@dataclass(slots=True)
class _Tally:
    """Requests and minor units by currency, still growing."""

    requests: dict[Currency, int] = field(default_factory=lambda: defaultdict(int))
    minor: dict[Currency, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, amount: Money) -> None:
        self.requests[amount.currency] += 1
        self.minor[amount.currency] += amount.amount_minor

    def counts(self) -> tuple[Count, ...]:
        return tuple(
            Count(currency=currency, requests=number, amount_minor=self.minor[currency])
            for currency, number in sorted(self.requests.items())
        )


def summarise(requests: Iterable[ShadowRequest]) -> ShadowReport:
    """Return the report on these requests; one that has no amount yet counts as a request only."""
    total, since = 0, None
    held, covered = _Tally(), _Tally()
    courses: dict[Course, _Tally] = {course: _Tally() for course in Course}
    spans: list[timedelta] = []
    for request in requests:
        total += 1
        since = request.created if since is None else min(since, request.created)
        if request.amount is None:
            continue
        courses[request.course].add(request.amount)
        if request.covered is not None:
            covered.add(request.covered)
        if request.held_since is None:
            continue
        held.add(request.amount)
        if request.course is Course.RELEASED_LATER and request.ended_at is not None:
            spans.append(request.ended_at - request.held_since)
    return ShadowReport(
        requests=total,
        since=since,
        held=held.counts(),
        covered=covered.counts(),
        by_course={course: tally.counts() for course, tally in courses.items()},
        held_for=_held_for(spans),
    )


def _held_for(spans: Sequence[timedelta]) -> HeldFor | None:
    if not spans:
        return None
    return HeldFor(requests=len(spans), median=median_high(spans), longest=max(spans))
