"""How recovery stands account by account: who is concerned, what came back, what holds it up.

It may not prepare or settle a try.
"""

from datetime import datetime

from sqlalchemy import case, func, union
from sqlmodel import col, select

from refunds.attempt import AttemptState
from refunds.exposure import ExposureBucket
from refunds.ids import AccountId, AttemptId
from refunds.money import Currency, Money
from store.database import Unit
from store.recovery_switch import ALL_ACCOUNTS
from store.tables.ledger import ExposureEntry
from store.tables.recovery import RecoveryAttempt, RecoverySwitch

_EXPOSED = func.sum(
    case(
        (col(ExposureEntry.to_bucket) == ExposureBucket.EXPOSED, col(ExposureEntry.amount_minor)),
        else_=-col(ExposureEntry.amount_minor),
    )
)


def accounts_concerned(unit: Unit, after: AccountId | None, limit: int) -> list[AccountId]:
    """Return up to `limit` accounts that owe something or that a person paused recovery from, by id
    and after `after`.
    """
    floor = after or ""
    known = union(
        select(col(ExposureEntry.account).label("id"))
        .where(col(ExposureEntry.account) > floor)
        .group_by(col(ExposureEntry.account), col(ExposureEntry.currency))
        .having(_EXPOSED > 0),
        select(col(RecoverySwitch.scope).label("id")).where(
            col(RecoverySwitch.scope) > floor,
            col(RecoverySwitch.scope) != ALL_ACCOUNTS,
            col(RecoverySwitch.paused).is_(True),
        ),
    ).subquery()
    statement = select(known.c.id).order_by(known.c.id).limit(limit)
    return [AccountId(account) for account in unit.exec(statement)]


def under_way_until(unit: Unit, account: AccountId) -> datetime | None:
    """Return when a try without an outcome is looked after next; `None`: there is none."""
    statement = select(func.min(RecoveryAttempt.next_try_at)).where(
        col(RecoveryAttempt.account) == account,
        col(RecoveryAttempt.state) == AttemptState.PREPARED,
    )
    return unit.exec(statement).one()


def refusals_of(unit: Unit, account: AccountId) -> dict[AttemptId, datetime]:
    """Return when Stripe last refused a try to take something back, per uncovered release."""
    statement = (
        select(RecoveryAttempt.attempt_id, func.max(RecoveryAttempt.settled_at))
        .where(col(RecoveryAttempt.account) == account)
        .where(col(RecoveryAttempt.state) == AttemptState.REFUSED)
        .group_by(col(RecoveryAttempt.attempt_id))
    )
    return {AttemptId(attempt): at for attempt, at in unit.exec(statement) if at is not None}


def recovered_sums(unit: Unit, account: AccountId) -> list[Money]:
    """Return what was taken back from an account so far, per currency."""
    bucket = ExposureBucket.RECOVERED
    recovered = func.sum(
        case(
            (col(ExposureEntry.to_bucket) == bucket, col(ExposureEntry.amount_minor)),
            (col(ExposureEntry.from_bucket) == bucket, -col(ExposureEntry.amount_minor)),
            else_=0,
        )
    )
    statement = (
        select(ExposureEntry.currency, recovered)
        .where(col(ExposureEntry.account) == account)
        .group_by(col(ExposureEntry.currency))
        .order_by(col(ExposureEntry.currency))
    )
    sums = [Money(int(minor), Currency(currency)) for currency, minor in unit.exec(statement)]
    return [each for each in sums if each.amount_minor]
