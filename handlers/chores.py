"""The work that comes round by the clock, one row each, and the taking of a round that is due.

It may not keep time: `runtime/schedule.py` marks the rounds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from gateway.port import ReadError
from handlers.catch_up import catch_up
from handlers.escalate import escalate
from handlers.guard_sweep import sweep_guards
from handlers.notifications.deadlines import tell_deadlines
from handlers.notifications.digest import digest
from handlers.prune import prune
from handlers.reconcile import reconcile
from handlers.recovery import COLLECT, collect
from handlers.services import Services
from handlers.stripe_pending import watch_stripe_pending
from handlers.sweep import sweep
from refunds.errors import LeaseLostError
from store.chores import (
    ChoreClaim,
    claim_chore,
    finish_chore,
    keep_chore,
    mark_chore,
    postpone_chore,
)

_log = structlog.get_logger(__name__)

Keep = Callable[[], None]
"""Lengthens the lease under long work."""

_AGAIN_AFTER: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a round came to; an incomplete one is due again soon."""

    note: str
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A chore: how often it comes round, and what it does."""

    every: timedelta
    work: Callable[[Services, Keep], Result]


def _reconcile(services: Services, keep: Keep) -> Result:
    def on_progress(_charges: int) -> None:
        keep()

    found = reconcile(services, on_progress=on_progress)
    note = f"{found.charges} charges compared, {found.corrected} corrections"
    if found.unreadable:
        note += f", {found.unreadable} could not be read"
    return Result(note=note, complete=not found.interrupted)


def _catch_up(services: Services, keep: Keep) -> Result:
    found = catch_up(services, keep)
    note = f"{found.events} missed events found, {found.scopes} accounts looked through"
    if found.unread:
        note += f", {found.unread} could not be read"
    return Result(note=note, complete=not found.interrupted)


CHORES: Final[Mapping[str, Round]] = {
    "sweep": Round(
        every=timedelta(minutes=5),
        work=lambda services, keep: Result(note=sweep(services, keep)),
    ),
    "guard": Round(
        every=timedelta(minutes=5),
        work=lambda services, keep: Result(note=sweep_guards(services, keep)),
    ),
    "catch_up": Round(every=timedelta(minutes=15), work=_catch_up),
    "reconcile": Round(every=timedelta(hours=1), work=_reconcile),
    "escalate": Round(
        every=timedelta(hours=1),
        work=lambda services, keep: Result(note=escalate(services, keep)),
    ),
    "stripe_pending": Round(
        every=timedelta(hours=1),
        work=lambda services, keep: Result(note=watch_stripe_pending(services, keep)),
    ),
    "deadlines": Round(
        every=timedelta(minutes=10),
        work=lambda services, keep: Result(note=tell_deadlines(services, keep)),
    ),
    "digest": Round(
        every=timedelta(days=1), work=lambda services, keep: Result(note=digest(services, keep))
    ),
    COLLECT: Round(
        every=timedelta(minutes=5),
        work=lambda services, keep: Result(note=collect(services, keep)),
    ),
    "prune": Round(
        every=timedelta(days=1), work=lambda services, keep: Result(note=prune(services, keep))
    ),
}


def next_round(name: str, now: datetime) -> datetime:
    """Return when a chore comes round next."""
    seconds = CHORES[name].every.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)


def mark_round(services: Services, name: str) -> bool:
    """Mark the present round of a chore due; return whether this worker was the first to."""
    now = services.clock()
    slot = int(now.timestamp() // CHORES[name].every.total_seconds())
    with services.database.unit_of_work() as unit:
        return mark_chore(unit, name, slot, now)


def run_due_chore(services: Services) -> bool:
    """Do the chore that has been due longest; return whether there was one."""
    with services.database.unit_of_work() as unit:
        claim = claim_chore(unit, services.worker, services.clock())
    if claim is None:
        return False

    def keep() -> None:
        with services.database.unit_of_work() as unit:
            keep_chore(unit, claim, services.clock())

    chore = CHORES.get(claim.name)
    try:
        if chore is None:
            # Marked by a newer version that shares this database; it knows what to do.
            _end(services, claim, again=True, note="unknown to this version")
            return True
        result = chore.work(services, keep)
        _end(services, claim, again=not result.complete, note=result.note)
        _log.info("chore.done", chore=claim.name, note=result.note, complete=result.complete)
    except ReadError as error:
        _log.warning("chore.postponed", chore=claim.name, reason=str(error))
        _end(services, claim, again=True, note=str(error))
    except LeaseLostError:
        _log.warning("chore.lease_lost", chore=claim.name)
    return True


def _end(services: Services, claim: ChoreClaim, *, again: bool, note: str) -> None:
    now: datetime = services.clock()
    with services.database.unit_of_work() as unit:
        if again:
            postpone_chore(unit, claim, now + _AGAIN_AFTER, note)
        else:
            finish_chore(unit, claim, now, note)
