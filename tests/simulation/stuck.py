"""What still moves, or is still held by somebody, once all is at rest: there must be nothing.

It looks at rows and may not judge amounts.
"""

from collections.abc import Iterator, Sequence

from sqlmodel import col, select

from refunds.lifecycle import Status
from sandbox.world.shelves import Record
from store.database import Unit
from store.tables.attempts import ReleaseAttempt, Reservation
from store.tables.inbox import InboxEvent, InboxState
from store.tables.installation import Chore
from store.tables.lanes import Lane
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import RefundRequest
from tests.simulation.verdict import attempt_named_by, queued


def stuck(unit: Unit, refunds: Sequence[Record]) -> list[str]:
    """Return everything that waits for something that will not happen; `refunds` are Stripe's."""
    return [*_attempts(unit, refunds), *_requests(unit), *_events(unit), *_claims(unit)]


def _attempts(unit: Unit, refunds: Sequence[Record]) -> Iterator[str]:
    for attempt in unit.exec(select(ReleaseAttempt)):
        if attempt.settled_at is None:
            yield f"{attempt.id}: without an outcome at rest, {attempt.last_trouble}"
    for recovery in unit.exec(select(RecoveryAttempt)):
        if recovery.settled_at is None:
            yield f"{recovery.id}: without an outcome at rest, {recovery.last_trouble}"
    waiting = {attempt_named_by(each) for each in refunds if queued(each)}
    for kept in unit.exec(select(Reservation).where(col(Reservation.closed_at).is_(None))):
        if kept.attempt_id not in waiting:
            yield f"{kept.attempt_id}: money of {kept.holder} still reserved at rest"


def _requests(unit: Unit) -> Iterator[str]:
    for request in unit.exec(select(RefundRequest)):
        moving = request.status in (Status.REQUESTED, Status.RELEASING)
        if moving or request.decide_after is not None:
            yield f"{request.id}: {request.status} at rest"


def _events(unit: Unit) -> Iterator[str]:
    for event in unit.exec(select(InboxEvent)):
        if event.state is InboxState.PENDING or event.claimed_by is not None:
            yield f"{event.id} {event.type}: {event.state} at rest, {event.last_error}"


def _claims(unit: Unit) -> Iterator[str]:
    for lane in unit.exec(select(Lane)):
        if lane.claimed_by is not None:
            yield f"lane {lane.id}: claimed by {lane.claimed_by} at rest"
    for chore in unit.exec(select(Chore)):
        if chore.due_at is not None or chore.claimed_by is not None:
            yield f"chore {chore.name}: unfinished at rest, {chore.note}"
