"""What accounts owe attempt by attempt, and the tries to take it back.

It may not decide what is taken back or when.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import case, func, update
from sqlmodel import col, select

from refunds.attempt import AttemptState
from refunds.errors import LeaseLostError
from refunds.exposure import ExposureBucket
from refunds.facts import ReversalFacts
from refunds.ids import AccountId, AttemptId, ChargeId, IdempotencyKey, RecoveryId, lane_of
from refunds.money import Currency, Money
from refunds.steps import StepKind, StripeCall
from store.attempts import ATTEMPT_LEASE
from store.database import Unit
from store.tables.attempts import ReleaseAttempt, Reservation, ReservationEnd
from store.tables.ledger import ExposureEntry
from store.tables.recovery import RecoveryAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What an account owes for one uncovered release."""

    attempt: AttemptId
    charge: ChargeId
    exposed: Money


EXPOSED: Final = func.sum(
    case(
        (col(ExposureEntry.to_bucket) == ExposureBucket.EXPOSED, col(ExposureEntry.amount_minor)),
        else_=-col(ExposureEntry.amount_minor),
    )
)
"""What is left of a group of entries."""


def accounts_that_owe(unit: Unit, after: AccountId | None, limit: int) -> list[AccountId]:
    """Return up to `limit` accounts with exposure, by id and after `after`."""
    statement = (
        select(ExposureEntry.account)
        .where(col(ExposureEntry.account) > (after or ""))
        .group_by(col(ExposureEntry.account), col(ExposureEntry.currency))
        .having(EXPOSED > 0)
        .distinct()
        .order_by(col(ExposureEntry.account))
        .limit(limit)
    )
    return [AccountId(account) for account in unit.exec(statement)]


def owed_by(unit: Unit, account: AccountId, limit: int) -> list[Owed]:
    """Return up to `limit` uncovered releases for which an account still owes, the oldest first;
    none with a try to take it back under way.
    """
    trying = (
        select(RecoveryAttempt.id)
        .where(col(RecoveryAttempt.attempt_id) == col(ExposureEntry.attempt_id))
        .where(col(RecoveryAttempt.state) == AttemptState.PREPARED)
        .exists()
    )
    statement = (
        select(ExposureEntry.attempt_id, ReleaseAttempt.charge_id, ExposureEntry.currency, EXPOSED)
        .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(ExposureEntry.attempt_id))
        .where(col(ExposureEntry.account) == account, ~trying)
        .group_by(
            col(ExposureEntry.attempt_id),
            col(ReleaseAttempt.charge_id),
            col(ExposureEntry.currency),
        )
        .having(EXPOSED > 0)
        .order_by(col(ExposureEntry.attempt_id))
        .limit(limit)
    )
    return [
        Owed(
            attempt=AttemptId(attempt),
            charge=ChargeId(charge),
            exposed=Money(int(minor), Currency(currency)),
        )
        for attempt, charge, currency, minor in unit.exec(statement)
    ]


def under_way(unit: Unit, attempt: AttemptId) -> bool:
    """Whether a try to take back what is owed for a release has no outcome yet."""
    trying = select(RecoveryAttempt.id).where(
        col(RecoveryAttempt.attempt_id) == attempt,
        col(RecoveryAttempt.state) == AttemptState.PREPARED,
    )
    return unit.exec(trying.limit(1)).first() is not None


def exposed_minor(
    unit: Unit, attempt: AttemptId, account: AccountId | str, currency: Currency
) -> int:
    """Return what an account still owes for one release; call it with its charge locked."""
    statement = (
        select(func.coalesce(EXPOSED, 0))
        .where(col(ExposureEntry.attempt_id) == attempt, col(ExposureEntry.account) == account)
        .where(col(ExposureEntry.currency) == currency)
    )
    return int(unit.exec(statement).one())


def add_recovery(unit: Unit, row: RecoveryAttempt) -> None:
    """Store the intent, and keep the money for it."""
    unit.add(row)
    unit.flush()
    unit.add(
        Reservation(
            recovery_id=row.id,
            holder=lane_of(AccountId(row.account)),
            currency=row.currency,
            amount_minor=row.takes_minor,
            opened_at=row.prepared_at,
        )
    )
    unit.flush()


def get_recovery(unit: Unit, recovery: RecoveryId | str) -> RecoveryAttempt:
    """Return a try that is known to exist."""
    row = unit.get(RecoveryAttempt, recovery)
    assert row is not None, "a recovery row is never deleted"
    return row


def lock_recovery(unit: Unit, recovery: RecoveryId | str) -> RecoveryAttempt:
    """Return a try, its row locked until the unit ends."""
    statement = select(RecoveryAttempt).where(col(RecoveryAttempt.id) == recovery)
    locked = statement.with_for_update().execution_options(populate_existing=True)
    return unit.exec(locked).one()


def claim_recovery(unit: Unit, now: datetime) -> tuple[RecoveryId, int] | None:
    """Take the try without an outcome that is due longest; return it with its fence."""
    statement = (
        select(RecoveryAttempt)
        .where(col(RecoveryAttempt.state) == AttemptState.PREPARED)
        .where(col(RecoveryAttempt.next_try_at) <= now)
        .order_by(col(RecoveryAttempt.next_try_at), col(RecoveryAttempt.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = unit.exec(statement).first()
    if row is None:
        return None
    row.fence += 1
    row.next_try_at = now + ATTEMPT_LEASE
    unit.add(row)
    return RecoveryId(row.id), row.fence


def check_fence(row: RecoveryAttempt, fence: int) -> None:
    """Raise `LeaseLostError` where another worker took the try over, or settled it."""
    if row.fence != fence or row.state is not AttemptState.PREPARED:
        raise LeaseLostError(row.id)


def postpone_recovery(unit: Unit, row: RecoveryAttempt, until: datetime, trouble: str) -> None:
    """Note that the outcome is still unknown and when to look again."""
    row.tries += 1
    row.next_try_at = until
    row.last_trouble = trouble
    unit.add(row)


def settle_recovery(
    unit: Unit,
    row: RecoveryAttempt,
    state: AttemptState,
    now: datetime,
    *,
    made: ReversalFacts | None = None,
) -> None:
    """Write what became of a try, once, and stop keeping money for it."""
    assert row.state is AttemptState.PREPARED, "a recovery is settled once"
    row.state = state
    row.settled_at = now
    if made is not None:
        row.reversal, row.reversed_minor = made.reversal, made.amount.amount_minor
        row.balance_transaction = made.balance_transaction
    unit.add(row)
    end = ReservationEnd.SPENT if state is AttemptState.DONE else ReservationEnd.FREED
    unit.exec(
        update(Reservation)
        .where(col(Reservation.recovery_id) == row.id, col(Reservation.closed_at).is_(None))
        .values(closed_at=now, end=end)
    )


def call_of_recovery(row: RecoveryAttempt) -> StripeCall:
    """Return a stored try as the call it is, parameter for parameter."""
    return StripeCall(
        kind=StepKind.REVERSAL,
        params=row.params,
        target=row.transfer,
        account=None,
        idempotency_key=IdempotencyKey(row.idempotency_key),
    )


def refused_since(unit: Unit, attempt: AttemptId, since: datetime) -> bool:
    """Whether Stripe refused a try for this release at or after `since`."""
    statement = (
        select(RecoveryAttempt.id)
        .where(col(RecoveryAttempt.attempt_id) == attempt)
        .where(col(RecoveryAttempt.state) == AttemptState.REFUSED)
        .where(col(RecoveryAttempt.settled_at) >= since)
        .limit(1)
    )
    return unit.exec(statement).first() is not None
