"""When an account's guard is due, and who works on it.

It may not know what the guard wants or holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, func, or_, text, update
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from refunds.errors import LeaseLostError
from refunds.guard import GuardState
from refunds.ids import AccountId, LaneId, RequestId, account_of
from store.database import Unit
from store.tables.guards import DUE_ONLY, GuardedSetting, PayoutGuard
from store.tables.legs import RequestLeg
from store.tables.requests import WAITING_ONLY, RequestBucket
from store.upsert import insert_or_ignore

GUARD_LEASE: Final = timedelta(seconds=15)
"""Longer than a call's time limits: who works on it is not overtaken in the middle of one."""
SETTLES_WITHIN: Final = timedelta(seconds=2)
"""A covered refund comes and goes faster: an account's settings are not changed for it."""

_MOVED: Final = "guards of moved money"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardClaim:
    """A worker's time-limited, fenced right to one account's guard."""

    account: AccountId
    worker: str
    fence: int
    due_count: int
    failures: int
    cause: str
    look: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """News of one request in one unit."""

    account: AccountId
    at: datetime
    cause: str
    opens: bool


def money_moved(
    unit: Unit,
    request: RequestId | str,
    account: AccountId,
    at: datetime,
    cause: str,
    *,
    opens: bool = False,
) -> None:
    """Mark the guards of a request's accounts due in a moment, those that have one, last of all in
    this unit; with `opens` they get one. `account` is its home.

    Guards come after everything else in the order of locks, and a unit that moves money of a
    request goes on to lock its lane.
    """
    moved: dict[str, _Moved] = unit.info.setdefault(_MOVED, {})
    if not moved:
        unit.before_commit(lambda: _mark_moved(unit))
    before = moved.get(request)
    opens = opens or (before is not None and before.opens)
    moved[request] = _Moved(account=account, at=at, cause=cause, opens=opens)


def _mark_moved(unit: Unit) -> None:
    moved: dict[str, _Moved] = unit.info.pop(_MOVED)
    news = next(iter(moved.values()))
    opening = {request: each.account for request, each in moved.items() if each.opens}
    if opening:
        legs = unit.exec(_accounts_of_legs(opening)).all()
        for account in sorted({*opening.values(), *(AccountId(str(leg)) for leg in legs)}):
            open_guard(unit, account, news.at)
    # Where no guard was ever wanted this one question is all that a unit pays for it.
    homes = {each.account for each in moved.values()}
    theirs = col(PayoutGuard.account)
    known = select(PayoutGuard.account).where(
        or_(theirs.in_(homes), theirs.in_(_accounts_of_legs(moved)))
    )
    for guarded in sorted(unit.exec(known).all()):
        mark_guard(unit, AccountId(guarded), news.at + SETTLES_WITHIN, news.cause)


def _accounts_of_legs(requests: Iterable[str]) -> SelectOfScalar[str | None]:
    return (
        select(col(RequestLeg.account))
        .where(col(RequestLeg.request_id).in_([*requests]))
        .where(col(RequestLeg.account).is_not(None))
    )


def accounts_waited_for(unit: Unit, lanes: Sequence[LaneId]) -> list[AccountId]:
    """Return the connected accounts on which what waits in these lanes draws, their own among
    them, in order.
    """
    legs = (
        select(RequestLeg.account)
        .join(RequestBucket, col(RequestBucket.request_id) == col(RequestLeg.request_id))
        .where(text(WAITING_ONLY), col(RequestBucket.lane).in_(lanes))
        .where(col(RequestLeg.account).is_not(None))
        .distinct()
    )
    homes = {account for account in map(account_of, lanes) if account is not None}
    return sorted(homes | {AccountId(str(account)) for account in unit.exec(legs)})


def open_guard(unit: Unit, account: AccountId, now: datetime) -> None:
    """Let an account have a guard: from now on it hears of the account's requests."""
    insert_or_ignore(
        unit,
        PayoutGuard,
        account=account,
        state=GuardState.OFF,
        why="",
        since=now,
        due_count=0,
        look=False,
        fence=0,
        failures=0,
    )


def mark_guard(
    unit: Unit, account: AccountId, at: datetime, cause: str, *, look: bool = False
) -> bool:
    """Let the account's guard be looked after at `at`, or earlier where it was due earlier; return
    whether it has one. With `look` its settings are read, whatever our books say.
    """
    not_before = func.coalesce(col(PayoutGuard.not_before), at)
    allowed = case((not_before > at, not_before), else_=at)
    earlier = func.coalesce(col(PayoutGuard.due_at), allowed)
    result = unit.exec(
        update(PayoutGuard)
        .where(col(PayoutGuard.account) == account)
        .values(
            due_at=case((earlier < allowed, earlier), else_=allowed),
            due_count=col(PayoutGuard.due_count) + 1,
            due_cause=cause,
            look=True if look else col(PayoutGuard.look),
        ),
        execution_options={"preserve_rowcount": True},
    )
    return bool(result.rowcount)


def claim_due_guard(unit: Unit, worker: str, now: datetime) -> GuardClaim | None:
    """Take the guard that has been due longest and that nobody works on, for `GUARD_LEASE`."""
    statement = (
        select(PayoutGuard)
        .where(text(DUE_ONLY), col(PayoutGuard.due_at) <= now)
        .where(
            or_(
                col(PayoutGuard.lease_expires_at).is_(None),
                col(PayoutGuard.lease_expires_at) < now,
            )
        )
        .order_by(col(PayoutGuard.due_at), col(PayoutGuard.account))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = unit.exec(statement).first()
    if row is None:
        return None
    row.claimed_by = worker
    row.lease_expires_at = now + GUARD_LEASE
    row.fence += 1
    unit.add(row)
    return GuardClaim(
        account=AccountId(row.account),
        worker=worker,
        fence=row.fence,
        due_count=row.due_count,
        failures=row.failures,
        cause=row.due_cause or "due",
        look=row.look,
    )


def renew_guard(unit: Unit, claim: GuardClaim, now: datetime) -> PayoutGuard:
    """Prove that the guard is still ours and lengthen the lease; return its row, locked.

    Raise `LeaseLostError` where another worker took over.
    """
    row = _held(unit, claim)
    row.lease_expires_at = now + GUARD_LEASE
    unit.add(row)
    return row


def finish_guard(unit: Unit, claim: GuardClaim) -> None:
    """End the work on a guard that is as it should be; marks made since it began stay due."""
    row = _held(unit, claim)
    row.claimed_by = None
    row.lease_expires_at = None
    row.failures = 0
    row.not_before = None
    if row.due_count == claim.due_count:
        row.due_at = None
        row.due_cause = None
        row.look = False
    unit.add(row)


def postpone_guard(unit: Unit, claim: GuardClaim, until: datetime, *, failed: bool) -> None:
    """End the work early; it is due again at `until`, whatever is marked meanwhile."""
    row = _held(unit, claim)
    row.claimed_by = None
    row.lease_expires_at = None
    row.due_at = until
    row.not_before = until
    row.look = True
    row.failures = row.failures + 1 if failed else row.failures
    unit.add(row)


def guards_in_force(unit: Unit, after: AccountId | None, limit: int) -> list[AccountId]:
    """Return up to `limit` accounts, in order and after `after`, of which we hold a setting."""
    statement = select(GuardedSetting.account).distinct().order_by(col(GuardedSetting.account))
    if after is not None:
        statement = statement.where(col(GuardedSetting.account) > after)
    return [AccountId(account) for account in unit.exec(statement.limit(limit))]


def mark_guards(unit: Unit, accounts: Iterable[AccountId], now: datetime, cause: str) -> None:
    """Let these accounts' guards be looked after now, their settings read."""
    for account in sorted(accounts):
        mark_guard(unit, account, now, cause, look=True)


def _held(unit: Unit, claim: GuardClaim) -> PayoutGuard:
    statement = (
        select(PayoutGuard)
        .where(col(PayoutGuard.account) == claim.account, col(PayoutGuard.fence) == claim.fence)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = unit.exec(statement).one_or_none()
    if row is None:
        raise LeaseLostError(claim.account)
    return row
