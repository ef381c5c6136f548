"""Counts what was released uncovered: of the platform's day, and of an account's exposure.

It may not know a limit; the policy does. What it returns holds for as long as the caps' purses are
locked.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import case, func, text
from sqlmodel import col, select

from refunds.exposure import ExposureBucket
from refunds.ids import AccountId, AttemptId
from refunds.money import Currency
from refunds.need import PurseKey
from store.database import Unit
from store.tables.caps import UNSETTLED_ONLY, UncoveredRelease
from store.tables.ledger import ExposureEntry

DAY_PURSE = "covered"
"""The holder whose rows serialise the platform's daily cap, one a currency."""


def exposure_purse(account: AccountId) -> str:
    """Return the holder whose rows serialise an account's exposure limit."""
    return f"exposure:{account}"


def covered_since(unit: Unit, since: datetime) -> dict[Currency, int]:
    """Return what rules released uncovered at or after `since`, over all accounts, per currency.

    What is prepared and not settled yet counts as planned.
    """
    statement = (
        select(UncoveredRelease.currency, func.sum(UncoveredRelease.amount_minor))
        .where(col(UncoveredRelease.by_rule).is_(True))
        .where(col(UncoveredRelease.prepared_at) >= since)
        .group_by(col(UncoveredRelease.currency))
    )
    return {Currency(currency): int(minor) for currency, minor in unit.exec(statement)}


def exposure_of(unit: Unit, purse: PurseKey) -> int:
    """Return what the platform stands in for, and what attempts under way may add to it."""
    account, currency = purse
    # First what is unsettled, then the entries: an attempt that is settled between the two readings
    # is counted twice rather than never.
    planned = (
        select(func.coalesce(func.sum(UncoveredRelease.amount_minor), 0))
        .where(text(UNSETTLED_ONLY))
        .where(col(UncoveredRelease.account) == account)
        .where(col(UncoveredRelease.currency) == currency)
    )
    planned_minor = int(unit.exec(planned).one())
    exposed = case(
        (col(ExposureEntry.to_bucket) == ExposureBucket.EXPOSED, col(ExposureEntry.amount_minor)),
        else_=-col(ExposureEntry.amount_minor),
    )
    entries = (
        select(func.coalesce(func.sum(exposed), 0))
        .where(col(ExposureEntry.account) == account)
        .where(col(ExposureEntry.currency) == currency)
    )
    return planned_minor + int(unit.exec(entries).one())


def add_uncovered(
    unit: Unit,
    attempt: AttemptId,
    uncovered: Mapping[PurseKey, int],
    *,
    by_rule: bool,
    now: datetime,
) -> None:
    """Note what an attempt is going to leave uncovered."""
    for (account, currency), minor in uncovered.items():
        unit.add(
            UncoveredRelease(
                attempt_id=attempt,
                account=account,
                currency=currency,
                amount_minor=minor,
                by_rule=by_rule,
                prepared_at=now,
            )
        )


def settle_uncovered(
    unit: Unit, attempt: AttemptId | str, actual: Mapping[PurseKey, int], now: datetime
) -> None:
    """Note what an attempt really left uncovered; nothing where `actual` doesn't name a purse."""
    statement = select(UncoveredRelease).where(col(UncoveredRelease.attempt_id) == attempt)
    for row in unit.exec(statement):
        purse = (AccountId(row.account), Currency(row.currency))
        row.amount_minor = max(0, actual.get(purse, 0))
        row.settled_at = now
        unit.add(row)
