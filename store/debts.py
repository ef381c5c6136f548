"""What an account owes for the refunds of one payment, whichever attempts left it uncovered.

It may not decide what is taken back, or that a debt has ended.
"""

from sqlalchemy import func
from sqlmodel import col, select

from refunds.attempt import AttemptState, Purpose, StepState
from refunds.facts import NOT_LIVE
from refunds.ids import AccountId, AttemptId, TransferId
from refunds.money import Currency
from refunds.steps import StepKind
from store.database import Unit
from store.recovery import EXPOSED
from store.tables.attempts import AttemptStep, ReleaseAttempt
from store.tables.ledger import ExposureEntry
from store.tables.legs import AttemptLeg
from store.tables.observations import Refund
from store.tables.recovery import RecoveryAttempt


def exposed_by_attempt(
    unit: Unit, charge: str, account: AccountId, currency: Currency
) -> dict[AttemptId, int]:
    """Return what each uncovered release of a payment left exposed of an account, oldest first."""
    statement = (
        select(ExposureEntry.attempt_id, EXPOSED)
        .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(ExposureEntry.attempt_id))
        .where(col(ReleaseAttempt.charge_id) == charge, col(ExposureEntry.account) == account)
        .where(col(ExposureEntry.currency) == currency)
        .group_by(col(ExposureEntry.attempt_id))
        .having(EXPOSED > 0)
        .order_by(col(ExposureEntry.attempt_id))
    )
    return {AttemptId(attempt): int(minor) for attempt, minor in unit.exec(statement)}


def recovery_of_payment_under_way(unit: Unit, charge: str) -> bool:
    """Whether a try to take back what is owed for a payment has no outcome yet."""
    trying = select(RecoveryAttempt.id).where(
        col(RecoveryAttempt.charge_id) == charge,
        col(RecoveryAttempt.state) == AttemptState.PREPARED,
    )
    return unit.exec(trying.limit(1)).first() is not None


def idle_of(unit: Unit, charge: str, transfer: TransferId) -> int:
    """Return how much of what we reversed of a transfer serves no refund that counts, given back or
    not; its currency. Call it with the charge locked and no attempt of it under way.
    """
    statement = (
        select(ReleaseAttempt.id, Refund)
        .join(Refund, col(Refund.attempt_id) == col(ReleaseAttempt.id), isouter=True)
        .where(col(ReleaseAttempt.charge_id) == charge)
        .where(col(ReleaseAttempt.purpose) == Purpose.RELEASE)
    )
    rows: list[tuple[str, Refund | None]] = list(unit.exec(statement))
    idle_minor = 0
    for attempt, refund in rows:
        if refund is not None and refund.status not in NOT_LIVE:
            idle_minor -= _of_legs(unit, attempt, transfer)[1]
            continue
        idle_minor += _by_steps(unit, attempt, transfer) + _recovered(unit, attempt, transfer)
        if refund is not None and refund.reversal is not None:
            idle_minor += _of_legs(unit, attempt, transfer)[0]
    return max(0, idle_minor)


def _of_legs(unit: Unit, attempt: str, transfer: TransferId) -> tuple[int, int]:
    """Return what was to be reversed with an attempt's refund, and what it used again."""
    statement = (
        select(
            func.coalesce(func.sum(AttemptLeg.reversal_minor), 0),
            func.coalesce(func.sum(AttemptLeg.at_hand_minor), 0),
        )
        .where(col(AttemptLeg.attempt_id) == attempt)
        .where(col(AttemptLeg.transfer_id) == transfer)
    )
    reversal_minor, at_hand_minor = unit.exec(statement).one()
    return int(reversal_minor), int(at_hand_minor)


def _by_steps(unit: Unit, attempt: str, transfer: TransferId) -> int:
    statement = (
        select(func.coalesce(func.sum(AttemptStep.object_minor), 0))
        .where(col(AttemptStep.attempt_id) == attempt, col(AttemptStep.target) == transfer)
        .where(col(AttemptStep.kind) == StepKind.REVERSAL)
        .where(col(AttemptStep.state) == StepState.DONE)
    )
    return int(unit.exec(statement).one() or 0)


def _recovered(unit: Unit, attempt: str, transfer: TransferId) -> int:
    statement = (
        select(func.coalesce(func.sum(RecoveryAttempt.reversed_minor), 0))
        .where(col(RecoveryAttempt.attempt_id) == attempt)
        .where(col(RecoveryAttempt.transfer) == transfer)
        .where(col(RecoveryAttempt.state) == AttemptState.DONE)
    )
    return int(unit.exec(statement).one() or 0)
