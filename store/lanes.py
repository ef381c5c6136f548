"""Lanes: who may run one, when it is due, and which circuits are open.

It may not look at requests or money.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, or_, text, update
from sqlmodel import col, select

from refunds.errors import LeaseLostError
from refunds.ids import LaneId
from refunds.retry import CLOSED_CIRCUIT, Circuit
from store.database import Unit
from store.tables.lanes import CircuitRow, Lane
from store.tables.requests import WAITING_ONLY, Mode, RequestBucket
from store.upsert import insert_or_ignore

LANE_LEASE: Final = timedelta(seconds=10)
STRIPE_SCOPE: Final = "stripe"
"""The circuit of the platform's key as a whole; an account's own circuit is named by its id."""

# Built once: building a statement takes longer than running it.
_CIRCUIT: Final = select(CircuitRow.failures, CircuitRow.open_until).where(
    col(CircuitRow.scope) == bindparam("scope")
)
_DUE: Final = (
    select(Lane)
    .where(col(Lane.mode) == bindparam("mode"))
    .where(col(Lane.release_due_at).is_not(None), col(Lane.release_due_at) <= bindparam("now"))
    .where(or_(col(Lane.lease_expires_at).is_(None), col(Lane.lease_expires_at) < bindparam("now")))
    .order_by(col(Lane.release_due_at), col(Lane.id))
    .limit(1)
)
# Without waiting where another lane is free. Then with: a lane that events keep marking is locked
# nearly all the time, and would never get its run.
_DUE_AND_FREE: Final = _DUE.with_for_update(skip_locked=True)
_DUE_IN_TURN: Final = _DUE.with_for_update()
_HELD: Final = (
    select(Lane)
    .where(col(Lane.id) == bindparam("lane"), col(Lane.mode) == bindparam("mode"))
    .where(col(Lane.fence) == bindparam("fence"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneClaim:
    """A worker's time-limited, fenced right to one lane."""

    lane: LaneId
    mode: Mode
    worker: str
    fence: int
    due_count: int
    failures: int
    cause: str


def mark_due(unit: Unit, lane: LaneId, at: datetime, cause: str, mode: Mode = Mode.LIVE) -> None:
    """Let a run start at `at`, or earlier where it was due earlier; a burst becomes one run.

    News is for requests of both modes; `mode` is the one whose lane is made if it isn't there.
    """
    insert_or_ignore(unit, Lane, id=lane, mode=mode, due_count=0, fence=0, failures=0)
    earlier = func.coalesce(col(Lane.release_due_at), at)
    statement = (
        update(Lane)
        .where(col(Lane.id) == lane)
        .values(
            # Written so that both databases choose the smaller one; NULL counts as `at`.
            release_due_at=func.min(earlier, at)
            if unit.get_bind().dialect.name == "sqlite"
            else func.least(earlier, at),
            due_count=col(Lane.due_count) + 1,
            due_cause=cause,
        )
    )
    unit.exec(statement)


def claim_due_lane(
    unit: Unit, worker: str, now: datetime, mode: Mode = Mode.LIVE
) -> LaneClaim | None:
    """Take the lane that has been due longest and that nobody works on, for `LANE_LEASE`."""
    at_now = {"mode": mode, "now": now}
    lane = unit.exec(_DUE_AND_FREE, params=at_now).first()
    if lane is None:
        lane = unit.exec(_DUE_IN_TURN, params=at_now).first()
    if lane is None:
        return None
    lane.claimed_by = worker
    lane.lease_expires_at = now + LANE_LEASE
    lane.fence += 1
    unit.add(lane)
    return LaneClaim(
        lane=LaneId(lane.id),
        mode=lane.mode,
        worker=worker,
        fence=lane.fence,
        due_count=lane.due_count,
        failures=lane.failures,
        cause=lane.due_cause or "due",
    )


def renew_lane(unit: Unit, claim: LaneClaim, now: datetime) -> None:
    """Prove that the lane is still ours and lengthen the lease, its row locked.

    Raise `LeaseLostError` where another worker took over.
    """
    lane = _held(unit, claim)
    lane.lease_expires_at = now + LANE_LEASE
    unit.add(lane)


def finish_lane(unit: Unit, claim: LaneClaim) -> None:
    """End a run that read Stripe; marks made since it began stay due."""
    lane = _held(unit, claim)
    lane.claimed_by = None
    lane.lease_expires_at = None
    lane.failures = 0
    if lane.due_count == claim.due_count:
        lane.release_due_at = None
        lane.due_cause = None
    unit.add(lane)


def postpone_lane(unit: Unit, claim: LaneClaim, until: datetime, *, failed: bool) -> None:
    """End a run early; it is due again at `until`, whatever was marked meanwhile."""
    lane = _held(unit, claim)
    lane.claimed_by = None
    lane.lease_expires_at = None
    lane.release_due_at = until
    lane.failures = lane.failures + 1 if failed else 0
    unit.add(lane)


def lanes_with_waiting(unit: Unit, after: LaneId | None, limit: int) -> list[LaneId]:
    """Return up to `limit` lanes, in order and after `after`, in which requests wait."""
    statement = (
        select(RequestBucket.lane)
        .where(text(WAITING_ONLY))
        .distinct()
        .order_by(col(RequestBucket.lane))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(RequestBucket.lane) > after)
    return [LaneId(lane) for lane in unit.exec(statement)]


def load_circuit(unit: Unit, scope: str) -> Circuit:
    """Return the circuit of `STRIPE_SCOPE` or of an account."""
    row = unit.exec(_CIRCUIT, params={"scope": scope}).one_or_none()
    if row is None:
        return CLOSED_CIRCUIT
    failures, open_until = row
    return Circuit(failures=failures, open_until=open_until)


def save_circuit(unit: Unit, scope: str, circuit: Circuit, trouble: str, now: datetime) -> None:
    """Store the circuit of a scope."""
    values = {
        "failures": circuit.failures,
        "open_until": circuit.open_until,
        "last_trouble": trouble,
        "changed_at": now,
    }
    if insert_or_ignore(unit, CircuitRow, scope=scope, **values):
        return
    unit.exec(update(CircuitRow).where(col(CircuitRow.scope) == scope).values(**values))


def open_circuits(unit: Unit, now: datetime) -> list[CircuitRow]:
    """Return the circuits that let nothing through now."""
    statement = select(CircuitRow).where(col(CircuitRow.open_until) > now)
    return list(unit.exec(statement.order_by(col(CircuitRow.scope)).limit(100)))


def _held(unit: Unit, claim: LaneClaim) -> Lane:
    held = {"lane": claim.lane, "mode": claim.mode, "fence": claim.fence}
    lane = unit.exec(_HELD, params=held).one_or_none()
    if lane is None:
        raise LeaseLostError(claim.lane)
    return lane
