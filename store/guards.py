"""What a guard holds of an account's settings, what it asked of Stripe, and its history.

It may not decide what is to be written.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlmodel import col, select

from refunds.attempt import AttemptState
from refunds.guard import Change, GuardAct, Guarded, GuardState
from refunds.ids import AccountId, IdempotencyKey
from refunds.payout_settings import Setting, SettingsWrite, SettingValue
from store.database import Unit
from store.tables.guards import (
    PREPARED_ONLY,
    GuardAttempt,
    GuardedSetting,
    GuardEntry,
    PayoutGuard,
)


def load_guard(unit: Unit, account: AccountId | str) -> PayoutGuard | None:
    """Return how an account's guard stands; `None`: it never had one."""
    return unit.get(PayoutGuard, account)


def guarded_of(unit: Unit, account: AccountId | str) -> list[Guarded]:
    """Return the settings we hold of an account, with the operator's own values."""
    statement = (
        select(GuardedSetting)
        .where(col(GuardedSetting.account) == account)
        .order_by(col(GuardedSetting.setting))
        .execution_options(populate_existing=True)
    )
    return [
        Guarded(
            setting=Setting(row.setting),
            own=row.own,
            written=row.written,
            drifted=row.drifted,
            found=row.found,
        )
        for row in unit.exec(statement)
    ]


def keep_own(unit: Unit, account: AccountId, change: Change, at: datetime) -> bool:
    """Note the operator's own value before a setting is written first; return whether it was new.

    A value that stands there already is never read again: what Stripe shows by now may be ours.
    """
    if unit.get(GuardedSetting, (account, change.setting)) is not None:
        return False
    unit.add(
        GuardedSetting(
            account=account, setting=change.setting, own=change.own, written=change.own, since=at
        )
    )
    unit.flush()
    return True


def note_written(unit: Unit, account: AccountId, change: Change) -> None:
    """Note that a setting is as we wrote it, or that the operator has their own value back."""
    row = _setting(unit, account, change.setting)
    if change.ends:
        unit.delete(row)
    else:
        row.written = change.after
        row.drifted, row.found = False, None
        unit.add(row)
    unit.flush()


def note_drift(
    unit: Unit, account: AccountId, setting: Setting, found: SettingValue, *, drifted: bool
) -> None:
    """Note what another hand made of a setting, or that ours stands again."""
    row = _setting(unit, account, setting)
    row.drifted = drifted
    row.found = found if drifted else None
    unit.add(row)
    unit.flush()


def drop_guarded(unit: Unit, account: AccountId, setting: Setting) -> None:
    """Owe a setting back no longer."""
    unit.delete(_setting(unit, account, setting))
    unit.flush()


def open_attempt(unit: Unit, account: AccountId | str) -> GuardAttempt | None:
    """Return the account's attempt that has no outcome yet."""
    statement = (
        select(GuardAttempt)
        .where(text(PREPARED_ONLY), col(GuardAttempt.account) == account)
        .execution_options(populate_existing=True)
    )
    return unit.exec(statement).one_or_none()


def add_attempt(unit: Unit, attempt: GuardAttempt) -> None:
    """Store the intent: the key and the exact parameters."""
    unit.add(attempt)
    unit.flush()


def settle_attempt(unit: Unit, attempt: GuardAttempt, state: AttemptState, at: datetime) -> None:
    """Write what became of an attempt, once."""
    assert attempt.state is AttemptState.PREPARED, "an attempt is settled once"
    attempt.state = state
    attempt.settled_at = at
    unit.add(attempt)
    unit.flush()


def write_of(attempt: GuardAttempt) -> SettingsWrite:
    """Return a stored attempt as the call it is, parameter for parameter."""
    return SettingsWrite(
        account=AccountId(attempt.account),
        params=attempt.params,
        idempotency_key=IdempotencyKey(attempt.idempotency_key),
    )


def changes_of(attempt: GuardAttempt) -> tuple[Change, ...]:
    """Return what an attempt changes."""
    return tuple(
        Change(
            setting=Setting(each["setting"]),
            own=each["own"],
            before=each["before"],
            after=each["after"],
            ends=each["ends"],
        )
        for each in attempt.changes
    )


def plain_changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return changes as JSON can hold them."""
    return [
        {
            "setting": str(each.setting),
            "own": each.own,
            "before": each.before,
            "after": each.after,
            "ends": each.ends,
        }
        for each in changes
    ]


def add_entry(
    unit: Unit,
    account: AccountId,
    setting: Setting,
    act: GuardAct,
    *,
    at: datetime,
    before: SettingValue,
    after: SettingValue,
    cause: str,
    why: str,
    attempt: str | None = None,
) -> None:
    """Append one line to the account's history."""
    unit.add(
        GuardEntry(
            at=at,
            account=account,
            setting=setting,
            act=act,
            before=before,
            after=after,
            attempt_id=attempt,
            cause=cause,
            why=why,
        )
    )


def guard_entries(unit: Unit, account: AccountId | str, limit: int = 500) -> list[GuardEntry]:
    """Return what happened to an account's settings, oldest first."""
    statement = select(GuardEntry).where(col(GuardEntry.account) == account)
    return list(unit.exec(statement.order_by(col(GuardEntry.id)).limit(limit)))


def guard_attempts(unit: Unit, account: AccountId | str, limit: int = 500) -> list[GuardAttempt]:
    """Return an account's attempts, oldest first."""
    statement = select(GuardAttempt).where(col(GuardAttempt.account) == account)
    return list(unit.exec(statement.order_by(col(GuardAttempt.id)).limit(limit)))


def guards_by_state(unit: Unit) -> dict[GuardState, int]:
    """Return how many guards stand how; every state is there."""
    statement = select(PayoutGuard.state, func.count()).group_by(col(PayoutGuard.state))
    found = {GuardState(state): int(count) for state, count in unit.exec(statement)}
    return {state: found.get(state, 0) for state in GuardState}


def guards_in_state(unit: Unit, state: GuardState, limit: int = 100) -> list[PayoutGuard]:
    """Return guards that stand so, by account."""
    statement = select(PayoutGuard).where(col(PayoutGuard.state) == state)
    return list(unit.exec(statement.order_by(col(PayoutGuard.account)).limit(limit)))


def _setting(unit: Unit, account: AccountId, setting: Setting) -> GuardedSetting:
    row = unit.get(GuardedSetting, (account, setting))
    assert row is not None, "what is written was kept before"
    return row
