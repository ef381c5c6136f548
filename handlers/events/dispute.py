"""`charge.dispute.*`: a chargeback stops refunds of its charge, an inquiry makes them urgent.

It may not answer a dispute; what is being released is left to its own outcome.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog

from handlers.circuit import note_success
from handlers.disputed import (
    close_waiting,
    hurry_waiting,
    let_go_on,
    send_waiting_to_review,
    stands_in_the_way,
)
from handlers.events.payload import object_id
from handlers.events.reaction import Event, Handler, StaleLookError, Verdict, done, ignored
from handlers.services import Services
from refunds.facts import DisputeFacts
from refunds.ids import DisputeId
from store.affected import lanes_of
from store.charges import lock_charge
from store.database import Unit
from store.lanes import mark_due
from store.observations import dispute_read_at, disputes_of, save_dispute

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A dispute as read, and when the reading stored before that was made."""

    dispute: DisputeFacts
    stored_at: datetime | None


def _look(event: Event, services: Services) -> _Seen:
    dispute = DisputeId(object_id(event, ("dp", "du")))
    with services.database.reading() as unit:
        stored_at = dispute_read_at(unit, dispute)
    facts = services.gateway.read_dispute(dispute, event.account)
    note_success(services, event.account)
    return _Seen(dispute=facts, stored_at=stored_at)


def _apply(unit: Unit, event: Event, seen: _Seen, now: datetime) -> Verdict:
    dispute = seen.dispute
    charge = lock_charge(unit, dispute.charge)
    if charge is None:
        return ignored("No refund request touches the disputed payment.")
    # Two workers may have read at once, and "needs_response" must not be applied after "won".
    if dispute_read_at(unit, dispute.dispute) != seen.stored_at:
        raise StaleLookError(f"{dispute.dispute} was taken in by another worker meanwhile")
    save_dispute(unit, dispute, now)
    in_the_way = [d for d in disputes_of(unit, dispute.charge) if stands_in_the_way(d)]
    charge.disputed = bool(in_the_way)
    unit.add(charge)
    _log.info("dispute.read", dispute=dispute.dispute, charge=charge.id, status=dispute.status)
    if dispute.status == "lost":
        closed = close_waiting(unit, dispute, now=now, cause=event.type)
        return done(f"The dispute is lost. Requests closed: {closed}.")
    if in_the_way:
        sent = send_waiting_to_review(unit, charge, in_the_way[0], now=now, cause=event.type)
        return done(f"The dispute is {dispute.status}. Requests sent to review: {sent}.")
    held = let_go_on(unit, charge, dispute, now=now, cause=event.type)
    urgent = 0 if dispute.closed else hurry_waiting(unit, dispute.charge)
    # Lanes come after requests in everybody's order of locks.
    for lane in lanes_of(unit, charge.id):
        mark_due(unit, lane, now, event.type)
    if dispute.closed:
        return done(f"The dispute is {dispute.status}. Requests on hold again: {held}.")
    return done(f"The inquiry is {dispute.status}. Requests now urgent: {urgent}.")


HANDLER = Handler(
    types=("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"),
    look=_look,
    apply=_apply,
)
