"""Notifications on their way: who gets each, fenced claims on what is due, and how a try ended.

It may not decide who gets what or when it is tried again: that comes as an argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import exists, or_, select, text
from sqlmodel import col
from sqlmodel import select as select_rows

from refunds.errors import LeaseLostError
from refunds.notifications import Kind
from store.database import Unit
from store.receivers import rests
from store.tables.outbox import (
    PENDING_ONLY,
    UNADDRESSED_ONLY,
    Dispatch,
    DispatchState,
    Notification,
)
from store.tables.requests import Mode
from store.upsert import insert_or_ignore

NOTE_CHARACTERS_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notification as it was written."""

    id: str
    kind: Kind
    at: datetime
    subject: str
    account: str | None
    mode: Mode
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchClaim:
    """A worker's right to try one dispatch until its lease ends; `fence` proves it."""

    dispatch: int
    told: Told
    receiver: str
    address: str
    attempts: int
    """Tries since it was addressed or requeued, this one included."""
    since: datetime
    fence: int


def something_to_tell(unit: Unit, receivers: Sequence[str], now: datetime) -> bool:
    """Return whether a notification is to be addressed, or a dispatch to these receivers is due."""
    unaddressed = exists().where(text(UNADDRESSED_ONLY)).select_from(Notification)
    due = exists().where(
        text(PENDING_ONLY),
        col(Dispatch.receiver).in_(receivers),
        col(Dispatch.next_attempt_at) <= now,
        ~rests(col(Dispatch.receiver), now),
    )
    return bool(unit.connection().execute(select(or_(unaddressed, due))).scalar_one())


def take_unaddressed(unit: Unit, limit: int) -> list[Notification]:
    """Return the oldest notifications nobody has addressed yet, locked until the unit ends."""
    statement = (
        select_rows(Notification)
        .where(text(UNADDRESSED_ONLY))
        .order_by(col(Notification.number))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(unit.exec(statement))


def address(
    unit: Unit, notification: Notification, to: Sequence[tuple[str, str]], now: datetime
) -> None:
    """Put a notification on its way to each (receiver, address)."""
    for receiver, whom in to:
        insert_or_ignore(
            unit,
            Dispatch,
            notification_id=notification.id,
            receiver=receiver,
            address=whom,
            state=DispatchState.PENDING,
            since=now,
            attempts=0,
            next_attempt_at=now,
            fence=0,
        )
    notification.addressed_at = now
    unit.add(notification)


def claim_dispatches(
    unit: Unit, receiver: str, worker: str, now: datetime, *, lease: timedelta, limit: int
) -> list[DispatchClaim]:
    """Claim up to `limit` due dispatches to a receiver, the longest due first.

    None while the receiver rests. A try whose worker died is due again when its lease ends.
    """
    statement = (
        select_rows(Dispatch, Notification)
        .join(Notification, col(Notification.id) == col(Dispatch.notification_id))
        .where(text(PENDING_ONLY), col(Dispatch.receiver) == receiver)
        .where(col(Dispatch.next_attempt_at) <= now, ~rests(col(Dispatch.receiver), now))
        .order_by(col(Dispatch.next_attempt_at), col(Dispatch.id))
        .limit(limit)
        .with_for_update(skip_locked=True, of=Dispatch)
    )
    claims = []
    for row, notification in unit.exec(statement).all():
        row.attempts += 1
        row.fence += 1
        row.claimed_by = worker
        row.next_attempt_at = now + lease
        unit.add(row)
        claims.append(_claim(row, notification))
    return claims


def end_dispatch(
    unit: Unit, claim: DispatchClaim, state: DispatchState, now: datetime, note: str
) -> None:
    """Record that a dispatch is done, dropped or dead. Raise `LeaseLostError`."""
    row = _held(unit, claim)
    row.state = state
    row.finished_at = now
    row.next_attempt_at = now
    row.claimed_by = None
    row.note = note[:NOTE_CHARACTERS_MAX]
    unit.add(row)


def postpone_dispatch(unit: Unit, claim: DispatchClaim, until: datetime, note: str) -> None:
    """Record a try that came to nothing; the dispatch is due again at `until`.

    Raise `LeaseLostError`.
    """
    row = _held(unit, claim)
    row.next_attempt_at = until
    row.claimed_by = None
    row.note = note[:NOTE_CHARACTERS_MAX]
    unit.add(row)


def _claim(row: Dispatch, notification: Notification) -> DispatchClaim:
    assert row.id is not None, "a stored row has its number"
    return DispatchClaim(
        dispatch=row.id,
        told=told_by(notification),
        receiver=row.receiver,
        address=row.address,
        attempts=row.attempts,
        since=row.since,
        fence=row.fence,
    )


def told_by(row: Notification) -> Told:
    """Return a notification's row as a value."""
    return Told(
        id=row.id,
        kind=row.kind,
        at=row.at,
        subject=row.subject,
        account=row.account,
        mode=row.mode,
        payload=row.payload,
    )


def _held(unit: Unit, claim: DispatchClaim) -> Dispatch:
    statement = select_rows(Dispatch).where(col(Dispatch.id) == claim.dispatch).with_for_update()
    row = unit.exec(statement.execution_options(populate_existing=True)).one()
    if row.fence != claim.fence or row.state is not DispatchState.PENDING:
        raise LeaseLostError(f"{claim.told.id} to {claim.receiver}")
    return row
