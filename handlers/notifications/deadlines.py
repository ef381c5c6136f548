"""Tells of deadlines: of those that come near, and of those that pass while a request waits.

It may not act on a deadline; the policy's rule does, when the lane is run.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from handlers.services import Services
from refunds.ids import RequestId
from refunds.notifications import Kind
from store.database import Unit
from store.deadlines import due_soon
from store.outbox import tell_of_deadline
from store.tables.requests import RefundRequest

NEAR: Final = timedelta(days=1)
NEAR_PART: Final = 4
"""Where a request may be held for a few days only, a quarter of that time is near."""
_PAGE: Final = 200


def tell_deadlines(services: Services, keep: Callable[[], None]) -> str:
    """Write what is to be told of deadlines, each once, in pages; return what was done in words."""
    after: RequestId | None = None
    count = 0
    while True:
        now = services.clock()
        with services.database.unit_of_work() as unit:
            page = due_soon(unit, now + NEAR, after, _PAGE)
            for request in page:
                _tell(unit, request, now)
        count += len(page)
        if len(page) < _PAGE:
            waiting = "request waits" if count == 1 else "requests wait"
            return f"{count} {waiting} with a deadline that is near or has passed"
        after = RequestId(page[-1].id)
        keep()


def _tell(unit: Unit, request: RefundRequest, now: datetime) -> None:
    left = request.deadline - now
    if left <= timedelta(0):
        why = "It still waits, and its deadline has passed."
        tell_of_deadline(unit, Kind.DEADLINE_PASSED, request, at=now, why=why)
    elif left <= min(NEAR, (request.deadline - request.created) / NEAR_PART):
        hours = max(1, round(left / timedelta(hours=1)))
        span = "an hour" if hours == 1 else f"{hours} hours"
        why = f"It still waits, and its deadline comes in {span}."
        tell_of_deadline(unit, Kind.DEADLINE_NEAR, request, at=now, why=why)
