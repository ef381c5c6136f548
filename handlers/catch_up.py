"""Fetches events whose delivery was missed from Stripe's own list and puts them into the inbox.

It may not react to them: the inbox is worked through as ever, and a known event is left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.port import ListingTooLongError, ReadError, UnavailableError
from handlers import circuit
from handlers.registry import EVENT_TYPES
from handlers.services import Services
from refunds.facts import EventFacts
from refunds.ids import AccountId, EventId, LaneId, account_of, lane_of
from store.inbox import (
    Delivery,
    caught_up_to,
    event_before,
    known_among,
    note_caught_up,
    record_deliveries,
)
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
LISTINGS_MAX: Final = 20
"""Listings one pass grows from known events where a single one would be too long."""
_BATCH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What a pass found."""

    events: int = 0
    scopes: int = 0
    """Accounts looked through, the platform's own among them."""
    unread: int = 0
    """Accounts whose list could not be read to its end; the next pass looks as far back again."""
    interrupted: bool = False


def catch_up(services: Services, keep: Callable[[], None]) -> CaughtUp:
    """Look through the platform's events, and those of accounts with waiting requests.

    Each account has a mark of its own for how far it was read: one that can't be read now is read
    from the same place later, as far as Stripe remembers.
    """
    found = CaughtUp()
    for account in _scopes(services):
        if services.stopping() or circuit.closed_until(services, None) is not None:
            return replace(found, interrupted=True)
        found = _looked_through(services, account, found)
        keep()
    if found.unread and circuit.closed_until(services, None) is not None:
        found = replace(found, interrupted=True)
    return found


def _scopes(services: Services) -> Iterator[AccountId | None]:
    yield None
    after: LaneId | None = None
    while True:
        with services.database.reading() as unit:
            lanes = lanes_with_waiting(unit, after, PAGE)
        yield from (account for lane in lanes if (account := account_of(lane)) is not None)
        if len(lanes) < PAGE:
            return
        after = lanes[-1]


def _looked_through(services: Services, account: AccountId | None, found: CaughtUp) -> CaughtUp:
    # Taken before the first read: what happens during a long pass belongs to the next one.
    began = services.clock()
    with services.database.reading() as unit:
        mark = caught_up_to(unit, lane_of(account))
    since = began - FIRST_LOOK if mark is None else max(mark - OVERLAP, began - STRIPE_FORGETS)
    found = replace(found, scopes=found.scopes + 1)
    types = sorted(EVENT_TYPES)
    try:
        for start in range(0, len(types), TYPES_PER_CALL):
            chunk = types[start : start + TYPES_PER_CALL]
            for events in _listed(services, account, chunk, since):
                found = replace(found, events=found.events + _record(services, events))
    except UnavailableError as error:
        circuit.note_trouble(services, error.account, error.trouble)
        _log.warning("catch_up.unavailable", account=account, trouble=error.trouble)
    except ReadError as error:
        _log.warning("catch_up.unreadable", account=account, reason=str(error))
    else:
        with services.database.unit_of_work() as unit:
            note_caught_up(unit, lane_of(account), began)
        return found
    return replace(found, unread=found.unread + 1)


def _listed(
    services: Services, account: AccountId | None, types: Sequence[str], since: datetime
) -> Iterator[Sequence[EventFacts]]:
    """Yield the events since then; where they are too many for one listing, piece by piece."""
    try:
        yield services.gateway.list_events(types, account, since=since)
        return
    except ListingTooLongError:
        with services.database.reading() as unit:
            anchor = event_before(unit, account, since)
        if anchor is None:
            raise
    for _ in range(LISTINGS_MAX):
        events = services.gateway.list_events(types, account, since=since, ending_before=anchor)
        if not events:
            return
        yield events
        anchor = EventId(events[-1].event)
    raise ListingTooLongError(f"more than {LISTINGS_MAX} listings of events since {since}")


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
