"""What will happen by itself when the clock gets there.

It keeps appointments and may not carry them out.
"""

import heapq
from dataclasses import dataclass
from enum import StrEnum


class Plan(StrEnum):
    """The kinds of things that happen by themselves."""

    REFUND_SUCCEEDS = "refund_succeeds"
    REFUND_FAILS = "refund_fails"
    REFUND_EXPIRES = "refund_expires"
    PAYOUT_ARRIVES = "payout_arrives"
    PAYOUT_RUN = "payout_run"
    TOPUP_ARRIVES = "topup_arrives"


@dataclass(frozen=True, slots=True, order=True)
class Appointment:
    """One thing to do to one object at one moment."""

    at: int
    number: int
    plan: Plan
    subject: str


class Agenda:
    """Appointments in order of time, then of making."""

    def __init__(self) -> None:
        self._heap: list[Appointment] = []
        self._count = 0

    def add(self, at: int, plan: Plan, subject: str) -> None:
        """Make an appointment."""
        self._count += 1
        heapq.heappush(self._heap, Appointment(at, self._count, plan, subject))

    def next_at(self) -> int | None:
        """The moment of the next appointment."""
        return self._heap[0].at if self._heap else None

    def take(self, now: int) -> Appointment | None:
        """The next appointment that is due by `now`."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].at <= now else None

    def all(self) -> list[Appointment]:
        """Every appointment, next one first."""
        return sorted(self._heap)
