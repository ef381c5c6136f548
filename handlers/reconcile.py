"""Compares our books with Stripe and appends corrections: lost events, late failures, other hands.

It may not correct by overwriting; what a listing shows is taken in exactly as an event's news is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.port import NotFoundError, ReadError, UnavailableError
from handlers import circuit
from handlers.due import promise_ended
from handlers.services import Services
from handlers.settle import Applied, apply_refund
from refunds.ids import ChargeId
from store.charges import unfinished_charges

_log = structlog.get_logger(__name__)

PAGE: Final = 200
LATE_FAILURE_DAYS: Final = 35
"""Stripe may fail a refund about 30 days after it succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What a pass over the charges found."""

    charges: int
    refunds: int
    corrected: int
    unreadable: int
    complete: bool
    """Whether every charge was asked about; not so where Stripe went away in between."""


def reconcile(
    services: Services, *, on_progress: Callable[[int], None] | None = None
) -> Reconciled:
    """List the refunds of every charge with unfinished business, and take in what is new.

    That is: waiting, releasing or pending money, and successes young enough to fail late.
    """
    since: datetime = services.clock() - timedelta(days=LATE_FAILURE_DAYS)
    charges = refunds = corrected = unreadable = 0
    after: ChargeId | None = None
    while True:
        with services.database.reading() as unit:
            page = unfinished_charges(unit, since=since, after=after, limit=PAGE)
        for charge in page:
            if circuit.closed_until(services, None) is not None:
                return Reconciled(
                    charges=charges,
                    refunds=refunds,
                    corrected=corrected,
                    unreadable=unreadable,
                    complete=False,
                )
            try:
                seen, changed = _reconcile_charge(services, charge)
            except UnavailableError as error:
                circuit.note_trouble(services, None, error.trouble)
                unreadable += 1
            except ReadError as error:
                _log.warning("reconcile.unreadable", charge=charge, reason=str(error))
                unreadable += 1
            else:
                refunds += seen
                corrected += changed
            charges += 1
            if on_progress is not None:
                on_progress(charges)
        if len(page) < PAGE:
            break
        after = page[-1]
    result = Reconciled(
        charges=charges,
        refunds=refunds,
        corrected=corrected,
        unreadable=unreadable,
        complete=unreadable == 0,
    )
    _log.info("reconcile.done", charges=charges, refunds=refunds, corrected=corrected)
    return result


def _reconcile_charge(services: Services, charge: ChargeId) -> tuple[int, int]:
    try:
        listed = services.gateway.list_refunds(charge)
    except NotFoundError:
        _log.exception("reconcile.charge_gone", charge=charge)
        raise
    circuit.note_success(services, None)
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
