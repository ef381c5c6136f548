"""The outbox for people: what is on its way, bringing back what was given up, forgetting the old.

It may not send anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, exists, func, text, update
from sqlmodel import col, select

from refunds.errors import DispatchNotFoundError, WrongStateError
from refunds.notifications import Kind
from store.database import Unit
from store.tables.base import table_of
from store.tables.outbox import (
    FINISHED_ONLY,
    PENDING_ONLY,
    Dispatch,
    DispatchState,
    Notification,
)

KEEP: Final = timedelta(days=90)
"""How long what was told stays."""
PAGE_MAX: Final = 100

_DISPATCHES: Final = table_of(Dispatch)
_NOTIFICATIONS: Final = table_of(Notification)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSummary:
    """One line of the outbox: a notification and one of its receivers."""

    dispatch: int
    notification: str
    kind: Kind
    subject: str
    at: datetime
    receiver: str
    address: str
    state: DispatchState
    attempts: int
    next_attempt_at: datetime
    finished_at: datetime | None
    note: str | None


def list_dispatches(
    unit: Unit,
    *,
    state: DispatchState | None = None,
    limit: int = 20,
    before: int | None = None,
) -> list[DispatchSummary]:
    """Return up to `limit` dispatches (at most `PAGE_MAX` + 1), the newest first."""
    statement = (
        select(Dispatch, Notification)
        .join(Notification, col(Notification.id) == col(Dispatch.notification_id))
        .order_by(col(Dispatch.id).desc())
        .limit(min(limit, PAGE_MAX + 1))
    )
    if state is not None:
        statement = statement.where(col(Dispatch.state) == state)
    if before is not None:
        statement = statement.where(col(Dispatch.id) < before)
    return [_summary(row, notification) for row, notification in unit.exec(statement).all()]


def get_dispatch(unit: Unit, dispatch: int) -> DispatchSummary:
    """Return one dispatch; raise `DispatchNotFoundError`."""
    row = unit.get(Dispatch, dispatch)
    if row is None:
        raise DispatchNotFoundError(dispatch)
    statement = select(Notification).where(col(Notification.id) == row.notification_id)
    return _summary(row, unit.exec(statement).one())


def requeue_dispatch(unit: Unit, dispatch: int, now: datetime) -> None:
    """Make a dead or dropped dispatch due again, tried for as long as a new one.

    Raise `DispatchNotFoundError`, or `WrongStateError` for one that is pending or done.
    """
    requeued = (
        update(_DISPATCHES)
        .where(_DISPATCHES.c.id == dispatch)
        .where(_DISPATCHES.c.state.in_([DispatchState.DEAD, DispatchState.DROPPED]))
        .values(
            state=DispatchState.PENDING,
            attempts=0,
            since=now,
            next_attempt_at=now,
            finished_at=None,
        )
    )
    if unit.connection().execute(requeued).rowcount == 0:
        state = get_dispatch(unit, dispatch).state
        raise WrongStateError(str(dispatch), "requeue", state, "a dead or dropped dispatch")


def dispatch_counts(unit: Unit) -> Mapping[DispatchState, int]:
    """Return how many dispatches are pending, and how many dead."""
    found = {}
    for state in (DispatchState.PENDING, DispatchState.DEAD):
        query = select(func.count()).select_from(Dispatch).where(col(Dispatch.state) == state)
        found[state] = unit.exec(query).one()
    return found


def give_up_forgotten(unit: Unit, before: datetime, now: datetime, *, limit: int) -> int:
    """Make dead what has waited since `before` without anybody trying it; return how many.

    A receiver that was taken out of the settings, or that rests all the time, has no tries.
    """
    old = (
        select(Dispatch.id)
        .where(text(PENDING_ONLY), col(Dispatch.since) < before)
        .order_by(col(Dispatch.id))
        .limit(limit)
    )
    numbers = list(unit.exec(old))
    dead = (
        update(_DISPATCHES)
        .where(_DISPATCHES.c.id.in_(numbers), _DISPATCHES.c.state == DispatchState.PENDING)
        .values(
            state=DispatchState.DEAD,
            finished_at=now,
            fence=_DISPATCHES.c.fence + 1,
            note="Given up: nothing could be sent to this receiver for days.",
        )
    )
    return unit.connection().execute(dead).rowcount


def prune_told(unit: Unit, now: datetime, *, limit: int) -> int:
    """Delete up to `limit` notifications older than `KEEP` with their dispatches; return how many.

    One that is still on its way, or that was given up and waits for a person, stays.
    """
    unfinished = exists().where(
        _DISPATCHES.c.notification_id == _NOTIFICATIONS.c.id,
        _DISPATCHES.c.state.in_([DispatchState.PENDING, DispatchState.DEAD]),
    )
    old = (
        select(Notification.id)
        .where(col(Notification.at) < now - KEEP, col(Notification.addressed_at).is_not(None))
        .where(~unfinished)
        .order_by(col(Notification.at))
        .limit(limit)
    )
    names = list(unit.exec(old))
    gone = _DISPATCHES.c.notification_id.in_(names)
    unit.connection().execute(delete(_DISPATCHES).where(gone, text(FINISHED_ONLY)))
    unit.connection().execute(delete(_NOTIFICATIONS).where(_NOTIFICATIONS.c.id.in_(names)))
    return len(names)


def _summary(row: Dispatch, notification: Notification) -> DispatchSummary:
    assert row.id is not None, "a stored row has its number"
    return DispatchSummary(
        dispatch=row.id,
        notification=notification.id,
        kind=notification.kind,
        subject=notification.subject,
        at=notification.at,
        receiver=row.receiver,
        address=row.address,
        state=row.state,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        finished_at=row.finished_at,
        note=row.note,
    )
