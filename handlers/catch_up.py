"""Fetches events whose delivery was missed from Stripe's own list and puts them into the inbox.

It may not react to them: the inbox is worked through as ever, and a known event is a duplicate.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.registry import EVENT_TYPES
from handlers.services import Services
from refunds.facts import EventFacts
from refunds.ids import AccountId, EventId, LaneId, account_of
from store.inbox import Delivery, known_among, record_deliveries
from store.lanes import lanes_with_waiting
from store.tables.inbox import InboxDoor

_log = structlog.get_logger(__name__)

TYPES_PER_CALL: Final = 20
"""Stripe's limit. Source: Stripe docs, "List all events"."""
OVERLAP: Final = timedelta(hours=1)
"""Events appear in the list in the order of creation, not of visibility; we look back further."""
FIRST_LOOK: Final = timedelta(days=3)
"""How far back a first pass looks: as long as Stripe retries a live delivery."""
STRIPE_FORGETS: Final = timedelta(days=30)
PAGE: Final = 500
_BATCH: Final = 100


def catch_up(services: Services, last: datetime | None, keep: Callable[[], None]) -> str:
    """Look through the platform's events, and those of accounts with waiting requests.

    `last` is when the pass before this one ended. Return what was done in words.
    Raise `UnavailableError` where Stripe goes away in between: the pass is then not done.
    """
    now = services.clock()
    since = now - FIRST_LOOK if last is None else max(last - OVERLAP, now - STRIPE_FORGETS)
    found = _catch_up_one(services, None, since)
    accounts = 0
    after: LaneId | None = None
    while True:
        with services.database.reading() as unit:
            lanes = lanes_with_waiting(unit, after, PAGE)
        for lane in lanes:
            account = account_of(lane)
            if account is None:
                continue
            accounts += 1
            found += _catch_up_one(services, account, since)
            keep()
        if len(lanes) < PAGE:
            return f"{found} missed events found, {accounts} accounts looked through"
        after = lanes[-1]


def _catch_up_one(services: Services, account: AccountId | None, since: datetime) -> int:
    types = sorted(EVENT_TYPES)
    new = 0
    for start in range(0, len(types), TYPES_PER_CALL):
        try:
            events = services.gateway.list_events(
                types[start : start + TYPES_PER_CALL], account, since=since
            )
        except UnavailableError as error:
            circuit.note_trouble(services, account, error.trouble)
            if account is None:
                raise
            _log.warning("catch_up.unavailable", account=account, trouble=error.trouble)
            continue
        except ReadError as error:
            _log.warning("catch_up.unreadable", account=account, reason=str(error))
            continue
        new += _record(services, events)
    return new


def _record(services: Services, events: Sequence[EventFacts]) -> int:
    new = 0
    for start in range(0, len(events), _BATCH):
        batch = events[start : start + _BATCH]
        now = services.clock()
        with services.database.unit_of_work() as unit:
            # Left out, not counted: seeing an event in a list again is no further delivery of it.
            known = known_among(unit, [EventId(event.event) for event in batch])
            missed = [
                Delivery(event=event, received_at=now, door=InboxDoor.CATCH_UP)
                for event in batch
                if event.event not in known
            ]
            new += sum(record_deliveries(unit, missed))
    return new
