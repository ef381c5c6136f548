"""How the receivers of notifications are: which one rests after failures, which one is disabled.

It may not decide how long a rest is.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, or_
from sqlmodel import col, select

from store.database import Unit
from store.tables.outbox import Receiver
from store.upsert import insert_or_ignore


def rests(receiver: Any, now: datetime) -> ColumnElement[bool]:
    """Return the condition that the receiver in this column takes nothing now."""
    return exists().where(
        col(Receiver.receiver) == receiver,
        or_(col(Receiver.disabled_at).is_not(None), col(Receiver.paused_until) > now),
    )


def failures_of(unit: Unit, receiver: str) -> int:
    """Return how often the receiver failed in a row; locks its row."""
    row = _locked(unit, receiver)
    return 0 if row is None else row.failures


def pause(unit: Unit, receiver: str, until: datetime, note: str) -> None:
    """Note a failure of the receiver itself: nothing is tried there before `until`."""
    insert_or_ignore(unit, Receiver, receiver=receiver, failures=0)
    row = _locked(unit, receiver)
    assert row is not None, "just inserted, and never deleted"
    row.failures += 1
    row.paused_until = until
    row.note = note
    unit.add(row)


def note_well(unit: Unit, receiver: str) -> None:
    """Note that the receiver took something."""
    row = unit.get(Receiver, receiver)
    if row is not None and row.failures:
        row.failures = 0
        row.paused_until = None
        unit.add(row)


def disable(unit: Unit, receiver: str, now: datetime, note: str) -> None:
    """Send nothing there any more until a person enables it."""
    insert_or_ignore(unit, Receiver, receiver=receiver, failures=0)
    row = _locked(unit, receiver)
    assert row is not None, "just inserted, and never deleted"
    row.disabled_at = now
    row.note = note
    unit.add(row)


def enable(unit: Unit, receiver: str) -> bool:
    """Let a receiver take part again at once; return whether it was disabled or rested."""
    row = _locked(unit, receiver)
    if row is None or (row.disabled_at is None and row.paused_until is None):
        return False
    row.disabled_at = None
    row.paused_until = None
    row.failures = 0
    unit.add(row)
    return True


def list_receivers(unit: Unit, limit: int = 100) -> list[Receiver]:
    """Return every receiver that ever failed."""
    return list(unit.exec(select(Receiver).order_by(col(Receiver.receiver)).limit(limit)))


def _locked(unit: Unit, receiver: str) -> Receiver | None:
    statement = select(Receiver).where(col(Receiver.receiver) == receiver).with_for_update()
    return unit.exec(statement.execution_options(populate_existing=True)).one_or_none()
