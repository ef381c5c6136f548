"""The switches that stop recovery: one for all accounts, one for each.

It may not record who turned one for the audit, nor say what a stopped recovery leads to.
"""

from datetime import datetime
from typing import Final

from sqlmodel import col, select

from refunds.ids import AccountId
from store.database import Unit
from store.tables.recovery import RecoverySwitch
from store.upsert import insert_or_ignore

ALL_ACCOUNTS: Final = "all"
"""The scope of the switch over all accounts; no account's id looks like it."""


def lock_pause(unit: Unit, account: AccountId, now: datetime) -> RecoverySwitch | None:
    """Return the switch that stops recovery from an account, if one does, and keep both from being
    turned until the unit ends.

    The last locks of whoever prepares a recovery, in the order all accounts, then the one.
    """
    switches = [lock_switch(unit, scope, now) for scope in (ALL_ACCOUNTS, account)]
    return next((switch for switch in switches if switch.paused), None)


def lock_switch(unit: Unit, scope: str, now: datetime) -> RecoverySwitch:
    """Return a switch, made on first use, its row locked until the unit ends."""
    # A row that isn't there can't be locked.
    insert_or_ignore(
        unit, RecoverySwitch, scope=scope, paused=False, changed_at=now, changed_by="", note=""
    )
    statement = select(RecoverySwitch).where(col(RecoverySwitch.scope) == scope)
    locked = statement.with_for_update().execution_options(populate_existing=True)
    return unit.exec(locked).one()


def pause_of(unit: Unit, account: AccountId) -> RecoverySwitch | None:
    """Return the switch that stops recovery from an account now; `None`: nobody has."""
    statement = (
        select(RecoverySwitch)
        .where(col(RecoverySwitch.scope).in_([ALL_ACCOUNTS, account]))
        .where(col(RecoverySwitch.paused).is_(True))
    )
    stopped = {switch.scope: switch for switch in unit.exec(statement)}
    return stopped.get(ALL_ACCOUNTS) or stopped.get(account)


def pause_of_all(unit: Unit) -> RecoverySwitch | None:
    """Return the switch over all accounts where it stops recovery; `None`: it doesn't."""
    switch = unit.get(RecoverySwitch, ALL_ACCOUNTS)
    return switch if switch is not None and switch.paused else None
