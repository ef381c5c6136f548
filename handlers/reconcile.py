"""Compares our books with Stripe and appends corrections: lost events, late failures, other hands.

It may not correct by overwriting; what a listing shows is taken in exactly as an event's news is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog

from gateway.port import NotFoundError, ReadError, UnavailableError
from handlers import circuit
from handlers.due import promise_ended
from handlers.services import Services
from handlers.settle import Applied, apply_refund
from refunds.ids import ChargeId
from store.charges import ChargePlace, unfinished_charges

_log = structlog.get_logger(__name__)

PAGE: Final = 2_000
LATE_FAILURE_DAYS: Final = 35
"""Stripe may fail a refund about 30 days after it succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a pass over the charges found."""

    charges: int = 0
    refunds: int = 0
    corrected: int = 0
    unreadable: int = 0
    """Charges whose refunds could not be listed."""
    interrupted: bool = False
    """Ended early: Stripe went away, or the process was asked to end."""

    @property
    def complete(self) -> bool:
        """Whether every charge was compared."""
        return not self.interrupted and self.unreadable == 0


def reconcile(
    services: Services, *, on_progress: Callable[[int], None] | None = None
) -> Reconciled:
    """List the refunds of every charge with unfinished business, and take in what is new.

    That is: waiting, releasing or pending money, and successes young enough to fail late.
    """
    since = services.clock() - timedelta(days=LATE_FAILURE_DAYS)
    found = Reconciled()
    after: ChargeId | None = None
    while not found.interrupted:
        with services.database.reading() as unit:
            page = unfinished_charges(unit, since=since, after=after, limit=PAGE)
        for charge in page:
            if services.stopping() or circuit.closed_until(services, None) is not None:
                found = replace(found, interrupted=True)
                break
            found = _compared(services, charge, found)
            if on_progress is not None:
                on_progress(found.charges)
        if len(page) < PAGE:
            break
        after = page[-1].charge
    if found.unreadable and circuit.closed_until(services, None) is not None:
        found = replace(found, interrupted=True)
    _log.info(
        "reconcile.done",
        charges=found.charges,
        refunds=found.refunds,
        corrected=found.corrected,
        complete=found.complete,
    )
    return found


def _compared(services: Services, place: ChargePlace, found: Reconciled) -> Reconciled:
    """Compare one charge and return the tally with it in."""
    found = replace(found, charges=found.charges + 1)
    try:
        seen, changed = reconcile_charge(services, place)
    except UnavailableError as error:
        circuit.note_trouble(services, error.account, error.trouble)
    except ReadError as error:
        _log.warning("reconcile.unreadable", charge=place.charge, reason=str(error))
    else:
        return replace(found, refunds=found.refunds + seen, corrected=found.corrected + changed)
    return replace(found, unreadable=found.unreadable + 1)


def reconcile_charge(services: Services, place: ChargePlace) -> tuple[int, int]:
    """Take in every refund of a charge; return how many there are and how many were news.

    Raise the gateway's `ReadError` where they can't be listed.
    """
    charge = place.charge
    try:
        listed = services.gateway.list_refunds(charge, place.lives_in)
    except NotFoundError:
        _log.exception("reconcile.charge_gone", charge=charge)
        raise
    circuit.note_success(services, place.lives_in)
    changed = 0
    for facts in listed:
        now = services.clock()
        with services.database.unit_of_work() as unit:
            applied = apply_refund(unit, facts, now=now, cause="reconcile")
            corrected = applied not in (Applied.UNCHANGED, Applied.IGNORED)
            if corrected:
                promise_ended(unit, charge, now=now, cause="reconcile")
        if corrected:
            changed += 1
            _log.warning("reconcile.corrected", refund=facts.refund, applied=applied)
    return len(listed), changed
