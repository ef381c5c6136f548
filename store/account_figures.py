"""How a connected account stands in our books: what waits for it, what is promised, what it owes.

It may not read Stripe; its balance is the one that was read last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, text, union
from sqlmodel import col, select

from refunds.exposure import ExposureBucket
from refunds.ids import AccountId, lane_of
from refunds.money import Currency, Money
from store.database import Unit
from store.tables.attempts import Reservation
from store.tables.ledger import ExposureEntry
from store.tables.observations import BalanceSnapshot, ConnectedAccount
from store.tables.requests import WAITING_ONLY, EvaluationRow, RefundRequest, RequestBucket
from store.tables.rules import AccountRisk


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSum:
    """What waits in one currency of the payments."""

    requests: int
    amount: Money


def accounts_after(unit: Unit, after: AccountId | None, limit: int) -> list[AccountId]:
    """Return up to `limit` accounts that Sluice knows, by id and after `after`."""
    floor = after or ""
    known = union(
        select(col(RefundRequest.account).label("id")).where(col(RefundRequest.account) > floor),
        select(col(ConnectedAccount.id).label("id")).where(col(ConnectedAccount.id) > floor),
        select(col(AccountRisk.account).label("id")).where(col(AccountRisk.account) > floor),
    ).subquery()
    statement = select(known.c.id).order_by(known.c.id).limit(limit)
    return [AccountId(account) for account in unit.exec(statement)]


def knows_account(unit: Unit, account: AccountId) -> bool:
    """Whether anything was ever recorded of an account."""
    requested = select(RefundRequest.id).where(col(RefundRequest.account) == account).limit(1)
    return (
        unit.get(ConnectedAccount, account) is not None
        or unit.get(AccountRisk, account) is not None
        or unit.exec(requested).first() is not None
    )


def open_sums(unit: Unit, account: AccountId) -> list[OpenSum]:
    """Return what waits or lies in review, per currency of the payments."""
    statement = (
        select(
            RefundRequest.currency,
            func.count(func.distinct(RefundRequest.id)),
            func.sum(RequestBucket.amount_minor),
        )
        .join(RequestBucket, col(RefundRequest.id) == col(RequestBucket.request_id))
        .where(text(WAITING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.lane) == lane_of(account))
        .group_by(col(RefundRequest.currency))
        .order_by(col(RefundRequest.currency))
    )
    return [
        OpenSum(requests=int(count), amount=Money(int(minor), Currency(str(currency))))
        for currency, count, minor in unit.exec(statement)
    ]


def latest_of_waiting(unit: Unit, account: AccountId) -> list[EvaluationRow]:
    """Return the latest decision on each request that waits or lies in review."""
    waiting = (
        select(RequestBucket.request_id)
        .where(text(WAITING_ONLY))
        .where(col(RequestBucket.lane) == lane_of(account))
    )
    statement = (
        select(EvaluationRow)
        .join(RefundRequest, col(EvaluationRow.id) == col(RefundRequest.evaluation_id))
        .where(col(RefundRequest.id).in_(waiting))
        .order_by(col(EvaluationRow.request_id))
    )
    return list(unit.exec(statement))


def reserved_sums(unit: Unit, account: AccountId) -> list[Money]:
    """Return what is promised of the account's balance, per currency."""
    statement = (
        select(Reservation.currency, func.sum(Reservation.amount_minor))
        .where(col(Reservation.holder) == lane_of(account), col(Reservation.closed_at).is_(None))
        .group_by(col(Reservation.currency))
        .order_by(col(Reservation.currency))
    )
    return _sums(unit.exec(statement).all())


def exposure_sums(unit: Unit, account: AccountId) -> list[Money]:
    """Return what the platform stands in for, per currency."""
    exposed = case(
        (col(ExposureEntry.to_bucket) == ExposureBucket.EXPOSED, col(ExposureEntry.amount_minor)),
        else_=-col(ExposureEntry.amount_minor),
    )
    statement = (
        select(ExposureEntry.currency, func.sum(exposed))
        .where(col(ExposureEntry.account) == account)
        .group_by(col(ExposureEntry.currency))
        .order_by(col(ExposureEntry.currency))
    )
    return [each for each in _sums(unit.exec(statement).all()) if each.amount_minor]


def last_balance(unit: Unit, account: AccountId) -> BalanceSnapshot | None:
    """Return the account's balance as it was read last, for a decision."""
    statement = (
        select(BalanceSnapshot)
        .where(col(BalanceSnapshot.holder) == lane_of(account))
        .order_by(col(BalanceSnapshot.id).desc())
        .limit(1)
    )
    return unit.exec(statement).first()


def _sums(rows: Sequence[tuple[str, int]]) -> list[Money]:
    return [Money(int(minor), Currency(currency)) for currency, minor in rows]
