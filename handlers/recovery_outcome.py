"""Makes the call of a prepared recovery and settles what it brought, now or after a crash.

It may not prepare one, nor conclude from silence: the same key while Stripe knows it, the
transfer's full list of reversals once it can't.
"""

from datetime import datetime
from typing import assert_never

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.services import Services
from refunds.attempt import KEY_FORGOTTEN_AFTER, AttemptState, Recovery, how_to_recover
from refunds.errors import LeaseLostError
from refunds.exposure import ExposureBucket
from refunds.facts import ReversalFacts, TransferFacts
from refunds.ids import AttemptId, RecoveryId, TransferId
from refunds.money import Currency, Money
from refunds.need import taken_minor
from refunds.notifications import Kind
from refunds.recovery import METADATA_RECOVERY
from refunds.retry import UNSETTLED_BACKOFF, RetryAt
from refunds.steps import Done, Refused, StepOutcome, Unknown, outcome_word
from store.charges import load_charge, lock_charge
from store.database import Unit
from store.ledger import Because, move_exposure
from store.legs import attempt_legs
from store.outbox import tell
from store.recovery import (
    call_of_recovery,
    check_fence,
    claim_recovery,
    exposed_minor,
    get_recovery,
    lock_recovery,
    postpone_recovery,
    settle_recovery,
)
from store.requests import lock_request
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Mode

_log = structlog.get_logger(__name__)


def carry_out_recovery(services: Services, recovery: RecoveryId, fence: int) -> None:
    """Ask Stripe for the reversal, and commit what is known afterwards.

    Raise `LeaseLostError` where another worker has taken it over; nothing is sent then.
    """
    with services.database.unit_of_work() as unit:
        row = lock_recovery(unit, recovery)
        check_fence(row, fence)
        call = call_of_recovery(row)
    outcome = services.gateway.execute(call)
    if isinstance(outcome, Unknown):
        if not outcome.replayed:
            circuit.note_trouble(services, None, outcome.trouble)
    else:
        circuit.note_success(services, None)
    _settle(services, recovery, outcome)


def settle_due_recovery(services: Services) -> bool:
    """Look after the recovery that has been without an outcome longest; return whether one was
    due.
    """
    if services.mode is not Mode.LIVE:
        return False
    now = services.clock()
    with services.database.unit_of_work() as unit:
        claimed = claim_recovery(unit, now)
        row = None if claimed is None else get_recovery(unit, claimed[0])
    if claimed is None or row is None:
        return False
    recovery, fence = claimed
    how = how_to_recover(row.prepared_at, now)
    wait_until = circuit.closed_until(services, None)
    if how is Recovery.WAIT:
        wait_until = row.prepared_at + KEY_FORGOTTEN_AFTER
    if wait_until is not None:
        with services.database.unit_of_work() as unit:
            postpone_recovery(unit, lock_recovery(unit, recovery), wait_until, "waiting")
        return True
    try:
        if how is Recovery.SEND_AGAIN:
            carry_out_recovery(services, recovery, fence)
        else:
            _look(services, row)
    except LeaseLostError:
        _log.info("recovery.lease_lost", recovery=recovery)
    except ReadError as error:
        if isinstance(error, UnavailableError):
            circuit.note_trouble(services, error.account, error.trouble)
        _log.warning("recovery.unreadable", recovery=recovery, reason=str(error))
        with services.database.unit_of_work() as unit:
            _try_later(services, unit, lock_recovery(unit, recovery), "unreadable")
    return True


def _settle(services: Services, recovery: RecoveryId, outcome: StepOutcome) -> None:
    now = services.clock()
    with services.database.unit_of_work() as unit:
        row = _lock_in_order(unit, recovery)
        if row.state is not AttemptState.PREPARED:
            return
        match outcome:
            case Done(object=ReversalFacts() as made):
                _made(unit, row, made, now)
            case Done():
                _try_later(services, unit, row, "unexplained")
                _log.error("recovery.unexplained", recovery=recovery)
            case Refused():
                settle_recovery(unit, row, AttemptState.REFUSED, now)
                row.last_trouble = outcome.code or str(outcome.http_status)
                unit.add(row)
                _log.warning("recovery.refused", recovery=recovery, reason=outcome.message)
            case Unknown():
                _try_later(services, unit, row, outcome.trouble)
            case _:
                assert_never(outcome)
    _log.info("recovery.step", recovery=recovery, outcome=outcome_word(outcome))


def _look(services: Services, row: RecoveryAttempt) -> None:
    """Stripe forgot the key: only what the transfer's list shows has happened."""
    reversals = services.gateway.list_reversals(TransferId(row.transfer))
    found = next((r for r in reversals if r.metadata.get(METADATA_RECOVERY) == row.id), None)
    now = services.clock()
    with services.database.unit_of_work() as unit:
        locked = _lock_in_order(unit, RecoveryId(row.id))
        if locked.state is not AttemptState.PREPARED:
            return
        if found is None:
            settle_recovery(unit, locked, AttemptState.NEVER_EXECUTED, now)
        else:
            _made(unit, locked, found, now)


def _made(unit: Unit, row: RecoveryAttempt, made: ReversalFacts, now: datetime) -> None:
    """Book what was taken back: the platform stands in for so much less."""
    reversed_minor = made.amount.amount_minor
    settle_recovery(unit, row, AttemptState.DONE, now, made=made)
    currency = Currency(row.currency)
    took_minor = taken_minor(_transfer_of(unit, row), reversed_minor)
    owed_minor = exposed_minor(unit, AttemptId(row.attempt_id), row.account, currency)
    # A refund that failed meanwhile has ended the exposure: nothing is owed for it any more.
    recovered = Money(min(took_minor, owed_minor), currency)
    if recovered.amount_minor <= 0:
        _log.error("recovery.nothing_owed", recovery=row.id, took_minor=took_minor)
        tell(
            unit,
            Kind.MONEY_UNEXPECTED,
            at=now,
            subject=made.reversal,
            account=row.account,
            why=f"{made.reversal} took {made.amount} back from {row.account}, which owed nothing.",
            data={
                "id": made.reversal,
                "object": "transfer_reversal",
                "charge": row.charge_id,
                "amount": reversed_minor,
                "currency": made.amount.currency,
                "recovery": row.id,
                "refund_request": row.request_id,
            },
        )
        return
    move_exposure(
        unit,
        lock_request(unit, row.request_id),
        ExposureBucket.EXPOSED,
        ExposureBucket.RECOVERED,
        recovered,
        Because(
            at=now,
            cause="recovery",
            why=f"{recovered} of what the account owed was taken back ({made.reversal}).",
            attempt=AttemptId(row.attempt_id),
        ),
        account=row.account,
    )


def _transfer_of(unit: Unit, row: RecoveryAttempt) -> TransferFacts:
    charge = load_charge(unit, row.charge_id)
    assert charge is not None, "a recovery has its charge"
    if charge.transfer is not None:
        return charge.transfer
    legs = attempt_legs(unit, row.attempt_id)
    return next(transfer for _, transfer in legs if transfer.transfer == row.transfer)


def _try_later(services: Services, unit: Unit, row: RecoveryAttempt, trouble: str) -> None:
    again = UNSETTLED_BACKOFF.after(row.tries + 1, services.clock(), services.jitter())
    assert isinstance(again, RetryAt), "an unknown outcome is never given up"
    postpone_recovery(unit, row, again.at, trouble)


def _lock_in_order(unit: Unit, recovery: RecoveryId) -> RecoveryAttempt:
    lock_charge(unit, get_recovery(unit, recovery).charge_id)
    return lock_recovery(unit, recovery)
