"""Brings a dead letter back to the inbox for a person, and keeps who did it.

It may not process the event; a worker takes it as it takes any other.
"""

import structlog

from handlers.services import Services
from refunds.ids import EventId
from store.event_claims import requeue_event
from store.inbox import get_event
from store.installation import record_action

_log = structlog.get_logger(__name__)


def requeue(services: Services, event: EventId, *, note: str, actor: str) -> None:
    """Make a dead or ignored event due again.

    Raise `EventNotFoundError`, or `WrongStateError` for an event that is pending or done.
    """
    now = services.clock()
    with services.database.unit_of_work() as unit:
        before = get_event(unit, event).state
        requeue_event(unit, event, now=now)
        record_action(
            unit,
            at=now,
            actor=actor,
            action="requeue",
            subject=event,
            note=note,
            before={"state": before},
            after={"state": "pending"},
        )
    _log.info("event.requeued", event_id=event, actor=actor)
