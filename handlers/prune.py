"""Deletes inbox rows that are done and older than Stripe's own memory of them.

It may not touch a row about money: those are kept for ever.
"""

from collections.abc import Callable
from typing import Final

from handlers.services import Services
from store.inbox import prune as prune_inbox

BATCH: Final = 1_000


def prune(services: Services, keep: Callable[[], None]) -> str:
    """Delete in bounded batches, each its own unit of work; return what was done in words."""
    count = 0
    while True:
        with services.database.unit_of_work() as unit:
            deleted = prune_inbox(unit, services.clock(), limit=BATCH)
        count += deleted
        if deleted < BATCH:
            return f"{count} events pruned"
        keep()
