"""Marks every lane with waiting requests due: the timer behind the webhooks.

It may not read Stripe or judge a request; the runs it causes do.
"""

from collections.abc import Callable
from typing import Final

from handlers.services import Services
from handlers.signals import announce_work
from refunds.ids import LaneId
from store.lanes import lanes_with_waiting, mark_due

PAGE: Final = 500


def sweep(services: Services, keep: Callable[[], None]) -> str:
    """Mark the lanes, in pages; return what was done in words."""
    after: LaneId | None = None
    count = 0
    while True:
        with services.database.unit_of_work() as unit:
            lanes = lanes_with_waiting(unit, after, PAGE)
            for lane in lanes:
                mark_due(unit, lane, services.clock(), "sweep", services.mode)
            if lanes:
                announce_work(unit)
        count += len(lanes)
        if len(lanes) < PAGE:
            return f"{count} {'lane' if count == 1 else 'lanes'} marked due"
        after = lanes[-1]
        keep()
