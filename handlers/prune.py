"""Deletes inbox rows that are done and older than Stripe's own memory of them, and what was told
long ago.

It may not touch a row about money: those are kept for ever.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from handlers.notifications.dispatch import GIVE_UP_AFTER
from handlers.services import Services
from store.database import Unit
from store.inbox import prune as prune_inbox
from store.told import give_up_forgotten, prune_told

BATCH: Final = 1_000


def prune(services: Services, keep: Callable[[], None]) -> str:
    """Delete in bounded batches, each its own unit of work; return what was done in words."""
    given_up = _in_batches(services, keep, _give_up)
    told = _in_batches(services, keep, prune_told)
    events = _in_batches(services, keep, prune_inbox)
    note = f"{events} events and {told} notifications pruned"
    return f"{note}, {given_up} notifications given up" if given_up else note


class _Batch(Protocol):
    """Does up to `limit` rows and says how many."""

    def __call__(self, unit: Unit, now: datetime, *, limit: int) -> int: ...


def _give_up(unit: Unit, now: datetime, *, limit: int) -> int:
    # Later than where it is tried: nothing is given up under the hands of a worker.
    return give_up_forgotten(unit, now - 2 * GIVE_UP_AFTER, now, limit=limit)


def _in_batches(services: Services, keep: Callable[[], None], batch: _Batch) -> int:
    count = 0
    while True:
        with services.database.unit_of_work() as unit:
            done = batch(unit, services.clock(), limit=BATCH)
        count += done
        if done < BATCH:
            return count
        keep()
