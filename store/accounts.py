"""Risk tiers of connected accounts.

It may not know what a tier means; the policy does.
"""

from datetime import datetime

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from refunds.ids import AccountId
from store.database import Unit
from store.tables.rules import AccountRisk
from store.upsert import insert_or_ignore


def tier_of(unit: Unit, account: AccountId | str | None) -> str | None:
    """Return the risk tier an account was put into; `None`: none."""
    if account is None:
        return None
    statement = select(AccountRisk.tier).where(col(AccountRisk.account) == account)
    return unit.exec(statement).one_or_none()


def set_tier(unit: Unit, account: AccountId, tier: str | None, now: datetime) -> None:
    """Put an account into a risk tier, or into none."""
    if tier is None:
        unit.exec(delete(AccountRisk).where(col(AccountRisk.account) == account))
        return
    values = {"tier": tier, "changed_at": now}
    if not insert_or_ignore(unit, AccountRisk, account=account, **values):
        unit.exec(update(AccountRisk).where(col(AccountRisk.account) == account).values(**values))


def tiers_in_use(unit: Unit) -> dict[str, int]:
    """Return how many accounts are in which tier."""
    statement = select(AccountRisk.tier, func.count()).group_by(col(AccountRisk.tier))
    return {tier: int(count) for tier, count in unit.exec(statement)}
