"""Work that comes round by the clock: marked due once a round, taken by one worker at a time.

It may not know what a chore does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import col, select

from refunds.errors import LeaseLostError
from store.database import Unit
from store.tables.installation import Chore
from store.upsert import insert_or_ignore

CHORE_LEASE: Final = timedelta(seconds=60)
"""A worker that died holds a chore up no longer than this."""

# Built once: building a statement takes longer than running it.
_LOCKED: Final = (
    select(Chore)
    .where(col(Chore.name) == bindparam("name"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoreClaim:
    """A worker's time-limited, fenced right to one round of a chore."""

    name: str
    fence: int


def mark_chore(unit: Unit, name: str, slot: int, now: datetime) -> bool:
    """Mark a round due; return whether nobody had. However many workers tick, it is due once."""
    if insert_or_ignore(unit, Chore, name=name, slot=slot, due_at=now, fence=0):
        return True
    row = _locked(unit, name)
    if row.slot >= slot:
        return False
    row.slot = slot
    if row.due_at is None:
        row.due_at = now
    unit.add(row)
    return True


def claim_chore(unit: Unit, worker: str, now: datetime) -> ChoreClaim | None:
    """Take the chore that has been due longest, for `CHORE_LEASE`."""
    statement = (
        select(Chore)
        .where(col(Chore.due_at).is_not(None), col(Chore.due_at) <= now)
        .order_by(col(Chore.due_at))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = unit.exec(statement).first()
    if row is None:
        return None
    row.claimed_by = worker
    row.fence += 1
    row.started_at = now
    row.due_at = now + CHORE_LEASE
    unit.add(row)
    return ChoreClaim(name=row.name, fence=row.fence)


def keep_chore(unit: Unit, claim: ChoreClaim, now: datetime) -> None:
    """Lengthen the lease under long work; raise `LeaseLostError` where another worker has it."""
    row = _held(unit, claim)
    row.due_at = now + CHORE_LEASE
    unit.add(row)


def finish_chore(unit: Unit, claim: ChoreClaim, now: datetime, note: str) -> None:
    """End a round that was done."""
    row = _held(unit, claim)
    row.due_at = None
    row.claimed_by = None
    row.finished_at = now
    row.note = note
    unit.add(row)


def postpone_chore(unit: Unit, claim: ChoreClaim, until: datetime, note: str) -> None:
    """End a round that could not be done; it is due again at `until`."""
    row = _held(unit, claim)
    row.due_at = until
    row.claimed_by = None
    row.note = note
    unit.add(row)


def list_chores(unit: Unit) -> list[Chore]:
    """Return every chore with its last round."""
    return list(unit.exec(select(Chore).order_by(col(Chore.name)).limit(100)))


def _locked(unit: Unit, name: str) -> Chore:
    return unit.exec(_LOCKED, params={"name": name}).one()


def _held(unit: Unit, claim: ChoreClaim) -> Chore:
    row = _locked(unit, claim.name)
    if row.fence != claim.fence:
        raise LeaseLostError(claim.name)
    return row
