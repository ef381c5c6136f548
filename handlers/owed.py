"""States what accounts owe after an uncovered release, and takes it back where the refund failed.

It may not release or recover anything: it books what an attempt left, in the caller's unit of work.
"""

from dataclasses import replace
from datetime import datetime

from refunds.attempt import StepState
from refunds.exposure import ExposureBucket
from refunds.ids import AccountId, AttemptId
from refunds.money import Currency, Money
from refunds.need import taken_minor
from refunds.recovery import owed_for
from refunds.steps import StepKind
from store.caps import settle_uncovered
from store.charges import load_charge
from store.database import Unit
from store.debts import exposed_by_attempt, idle_of, recovery_of_payment_under_way
from store.ledger import Because, exposures_of, move_exposure
from store.legs import attempt_legs
from store.requests import lock_request
from store.tables.attempts import AttemptStep, ReleaseAttempt


def state_exposure(
    unit: Unit, attempt: ReleaseAttempt, steps: list[AttemptStep], now: datetime, cause: str
) -> None:
    """Book what the platform stands in for after an uncovered attempt whose refund was made."""
    request = lock_request(unit, attempt.request_id)
    exposures = _exposures(unit, attempt, steps)
    actual = {(account, owes.currency): owes.amount_minor for account, owes in exposures.items()}
    settle_uncovered(unit, attempt.id, actual, now)
    for account, exposed in exposures.items():
        if exposed.amount_minor <= 0:
            continue
        move_exposure(
            unit,
            request,
            ExposureBucket.PLATFORM,
            ExposureBucket.EXPOSED,
            exposed,
            Because(
                at=now,
                cause=cause,
                why=f"Released uncovered: {account} still owes {exposed}.",
                attempt=AttemptId(attempt.id),
            ),
            account=account,
        )


def _exposures(
    unit: Unit, attempt: ReleaseAttempt, steps: list[AttemptStep]
) -> dict[AccountId, Money]:
    """Return what each account owes after an uncovered attempt: need less what was taken there."""
    taken = {
        step.target: step.object_minor or 0
        for step in steps
        if step.kind is StepKind.REVERSAL and step.state is StepState.DONE
    }
    exposures: dict[AccountId, Money] = {}
    for leg, transfer in attempt_legs(unit, attempt.id):
        # The reversal is in the transfer's currency, the need in the account's.
        took_minor = taken_minor(transfer, taken.get(leg.transfer_id, 0))
        owes = Money(leg.need_minor - took_minor, Currency(leg.need_currency))
        known = exposures.get(transfer.account)
        exposures[transfer.account] = owes if known is None else known + owes
    if exposures or attempt.need_minor is None or attempt.need_currency is None:
        return exposures
    charge = load_charge(unit, attempt.charge_id)
    assert charge is not None, "an attempt has its charge"
    assert charge.transfer is not None, "only what a transfer carried on is released uncovered"
    took_minor = taken_minor(charge.transfer, taken.get(charge.transfer.transfer, 0))
    account, currency = charge.transfer.account, Currency(attempt.need_currency)
    owes_minor = attempt.need_minor - took_minor
    # The refund that completes its charge needs all that is left of the transfer, what other
    # refunds have left uncovered included: that is owed once. A recovery without an outcome may be
    # among what is reversed and among what is owed: it is sorted out by the next one.
    if recovery_of_payment_under_way(unit, charge.charge):
        return {account: Money(owes_minor, currency)}
    idle_minor = idle_of(unit, charge.charge, charge.transfer.transfer)
    refunded_in_full = replace(charge, refunded_minor=charge.amount.amount_minor)
    most = owed_for(refunded_in_full, charge.transfer, idle_minor)
    if most.currency == currency:
        others = exposed_by_attempt(unit, charge.charge, account, currency)
        owes_minor = min(owes_minor, max(0, most.amount_minor - sum(others.values())))
    return {account: Money(owes_minor, currency)}


def undo_exposure(unit: Unit, attempt: ReleaseAttempt, why: str, now: datetime, cause: str) -> None:
    """The buyer was not paid after all: the platform no longer stands in for this attempt."""
    for account, exposed in exposures_of(unit, AttemptId(attempt.id)).items():
        if exposed.amount_minor <= 0:
            continue
        move_exposure(
            unit,
            lock_request(unit, attempt.request_id),
            ExposureBucket.EXPOSED,
            ExposureBucket.PLATFORM,
            exposed,
            Because(at=now, cause=cause, why=why, attempt=AttemptId(attempt.id)),
            account=account,
        )
