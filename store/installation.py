"""Whose database this is, and who did what.

It may not hold settings; those come from the environment.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from refunds.errors import WrongPlatformError
from refunds.facts import PlatformFacts
from refunds.ids import AccountId
from store.database import Unit
from store.tables.installation import Installation, OperatorAction
from store.upsert import insert_or_ignore


def pin_platform(unit: Unit, platform: PlatformFacts, now: datetime) -> None:
    """Tie the database to one platform account and livemode; raise `WrongPlatformError` on another.

    Refunds of one platform must never be released with the key of another, nor test ones live.
    """
    insert_or_ignore(
        unit,
        Installation,
        id=1,
        platform_account=platform.account,
        livemode=platform.livemode,
        pinned_at=now,
    )
    pinned = pinned_platform(unit)
    assert pinned is not None, "just written, or there before"
    if pinned != platform:
        raise WrongPlatformError(_describe(pinned), _describe(platform))


def pinned_platform(unit: Unit) -> PlatformFacts | None:
    """Return the platform this database belongs to; `None` before first use."""
    row = unit.get(Installation, 1, populate_existing=True)
    if row is None:
        return None
    return PlatformFacts(account=AccountId(row.platform_account), livemode=row.livemode)


def record_action(
    unit: Unit,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    note: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Append what a person did."""
    unit.add(
        OperatorAction(
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            note=note,
            before=dict(before),
            after=dict(after),
        )
    )


def actions_on(unit: Unit, subject: str, limit: int = 200) -> list[OperatorAction]:
    """Return what people did to a subject, in order."""
    statement = select(OperatorAction).where(col(OperatorAction.subject) == subject)
    return list(unit.exec(statement.order_by(col(OperatorAction.id)).limit(limit)))


def _describe(platform: PlatformFacts) -> str:
    return f"{platform.account} ({'live' if platform.livemode else 'test'} mode)"
