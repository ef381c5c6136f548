"""The inbox as a record: verified deliveries go in once, can be looked up, and leave when old.

It may not interpret an event or process one; claims live in `store.event_claims`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from refunds.errors import EventNotFoundError
from refunds.facts import EventFacts
from refunds.ids import AccountId, EventId, LaneId
from store.database import Unit
from store.tables.base import table_of
from store.tables.inbox import (
    FINISHED_ONLY,
    CatchUpMark,
    EventAttempt,
    EventDelivery,
    InboxDoor,
    InboxEvent,
    InboxState,
)
from store.upsert import insert_or_ignore

KEEP: Final = timedelta(days=90)
"""How long a processed event stays. Stripe resends for 30 days: forgetting earlier would process a
resent event twice.
"""
PRUNE_BATCH: Final = 500
MAX_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One verified event as it came in through one of the inbox's doors."""

    event: EventFacts
    received_at: datetime
    door: InboxDoor = InboxDoor.WEBHOOK
    secret_index: int | None = None
    """Which configured secret matched, from 0; `None` where nothing was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """One line of the inbox: everything but the body."""

    event: EventId
    type: str
    account: AccountId | None
    livemode: bool
    created: datetime
    received_at: datetime
    door: InboxDoor
    deliveries: int
    state: InboxState
    attempts: int
    next_attempt_at: datetime
    finished_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxCounts:
    """How many events stand where, and since when the oldest one waits."""

    by_state: Mapping[InboxState, int]
    oldest_pending: datetime | None


_EVENTS: Final = table_of(InboxEvent)
_DELIVERIES: Final = table_of(EventDelivery)
_ATTEMPTS: Final = table_of(EventAttempt)

# Built once: building a statement for each request costs half of the throughput.
_RECORD: Final[Mapping[str, Any]] = {
    "sqlite": sqlite.insert(_EVENTS).on_conflict_do_nothing().returning(_EVENTS.c.id),
    "postgresql": postgresql.insert(_EVENTS).on_conflict_do_nothing().returning(_EVENTS.c.id),
}
_COUNT_DELIVERIES: Final = (
    update(_EVENTS)
    .where(_EVENTS.c.id == bindparam("event"))
    .values(deliveries=_EVENTS.c.deliveries + bindparam("more"))
)
_ADD_DELIVERY: Final = insert(_DELIVERIES)
_SUMMARY_COLUMNS: Final = (
    _EVENTS.c.id.label("event"),
    *(_EVENTS.c[name] for name in EventSummary.__dataclass_fields__ if name != "event"),
)


def record_delivery(unit: Unit, delivery: Delivery) -> bool:
    """Return whether this was the event's first delivery; see `record_deliveries`."""
    return record_deliveries(unit, [delivery])[0]


def record_deliveries(unit: Unit, deliveries: Sequence[Delivery]) -> list[bool]:
    """Store events that are new and count the others; return for each whether it was the first.

    Of several deliveries of one event in the same call, one is the first. Durable once the unit is
    committed, and not before.
    """
    if not deliveries:
        return []
    firsts: dict[str, Delivery] = {}
    for delivery in deliveries:
        firsts.setdefault(delivery.event.event, delivery)
    # In one order everywhere: two processes that insert the same events crosswise would deadlock.
    rows = [_row(firsts[event]) for event in sorted(firsts)]
    connection = unit.connection()
    new = {row.id for row in connection.execute(_RECORD[connection.dialect.name], rows)}
    verdicts = [
        delivery.event.event in new and firsts[delivery.event.event] is delivery
        for delivery in deliveries
    ]
    again = [one for one, first in zip(deliveries, verdicts, strict=True) if not first]
    if again:
        _count_again(unit, again)
    return verdicts


def known_among(unit: Unit, events: Sequence[EventId]) -> frozenset[str]:
    """Return those of the events (a page of them) that the inbox holds."""
    statement = select(_EVENTS.c.id).where(_EVENTS.c.id.in_(events))
    return frozenset(unit.connection().execute(statement).scalars())


def get_event(unit: Unit, event: EventId) -> InboxEvent:
    """Return the event's row, body included. Raise `EventNotFoundError`."""
    row = unit.get(InboxEvent, event)
    if row is None:
        raise EventNotFoundError(event)
    return row


def event_attempts(unit: Unit, event: EventId) -> Sequence[EventAttempt]:
    """Return the finished attempts to process the event, oldest first."""
    query = select(EventAttempt).where(EventAttempt.event_id == event)
    return unit.exec(query.order_by(col(EventAttempt.number))).all()


def event_deliveries(
    unit: Unit, event: EventId, *, limit: int = MAX_PAGE
) -> Sequence[EventDelivery]:
    """Return the deliveries after the first, newest first."""
    query = select(EventDelivery).where(EventDelivery.event_id == event)
    return unit.exec(query.order_by(col(EventDelivery.id).desc()).limit(_page(limit))).all()


def list_events(
    unit: Unit,
    *,
    state: InboxState | None = None,
    type: str | None = None,  # noqa: A002 - Stripe's word for it
    limit: int = 20,
    before: EventId | None = None,
) -> list[EventSummary]:
    """Return up to `limit` events (at most `MAX_PAGE`), the last received first.

    `before` is the last event of the previous page; raise `EventNotFoundError` if it is gone.
    """
    query = select(*_SUMMARY_COLUMNS)
    if state is not None:
        query = query.where(_EVENTS.c.state == state)
    if type is not None:
        query = query.where(_EVENTS.c.type == type)
    if before is not None:
        edge = get_event(unit, before)
        position = tuple_(_EVENTS.c.received_at, _EVENTS.c.id)
        query = query.where(position < tuple_(edge.received_at, edge.id))
    query = query.order_by(_EVENTS.c.received_at.desc(), _EVENTS.c.id.desc()).limit(_page(limit))
    return [EventSummary(**row) for row in unit.connection().execute(query).mappings()]


def counts(unit: Unit) -> InboxCounts:
    """Return how many events are in each state, every state included."""
    query = select(_EVENTS.c.state, func.count()).group_by(_EVENTS.c.state)
    found = {row[0]: row[1] for row in unit.connection().execute(query)}
    pending = select(func.min(_EVENTS.c.received_at)).where(_EVENTS.c.state == InboxState.PENDING)
    return InboxCounts(
        by_state={state: found.get(state, 0) for state in InboxState},
        oldest_pending=unit.connection().execute(pending).scalar(),
    )


def event_before(unit: Unit, account: AccountId | None, at: datetime) -> EventId | None:
    """Return the last event of this account (`None`: the platform) created at or before `at`."""
    mine = _EVENTS.c.account.is_(None) if account is None else _EVENTS.c.account == account
    query = (
        select(_EVENTS.c.id)
        .where(mine, _EVENTS.c.created <= at)
        .order_by(_EVENTS.c.created.desc(), _EVENTS.c.id.desc())
        .limit(1)
    )
    found = unit.connection().execute(query).scalar_one_or_none()
    return None if found is None else EventId(found)


def caught_up_to(unit: Unit, scope: LaneId) -> datetime | None:
    """Return up to when Stripe's list of events was read for an account or the platform."""
    row = unit.get(CatchUpMark, scope)
    return None if row is None else row.read_to


def note_caught_up(unit: Unit, scope: LaneId, at: datetime) -> None:
    """Note that the list was read to its end, as it was at `at`; never backwards."""
    if insert_or_ignore(unit, CatchUpMark, scope=scope, read_to=at):
        return
    row = unit.get(CatchUpMark, scope, with_for_update=True)
    assert row is not None, "just found to exist, and never deleted"
    row.read_to = max(row.read_to, at)
    unit.add(row)


def prune(unit: Unit, now: datetime, *, limit: int = PRUNE_BATCH) -> int:
    """Delete up to `limit` events that were done or ignored more than `KEEP` ago; return how many.

    Call it in one unit of work after another until it returns less than `limit`: a transaction that
    deletes everything at once would keep the web waiting. Dead letters stay until a person acts.
    """
    old = (
        select(_EVENTS.c.id)
        # In the index's own words: with parameters in them, no database would use it.
        .where(text(FINISHED_ONLY))
        .where(_EVENTS.c.finished_at < now - KEEP)
        .order_by(_EVENTS.c.finished_at)
        .limit(limit)
    )
    events = list(unit.connection().execute(old).scalars())
    for table, key in (
        (_DELIVERIES, _DELIVERIES.c.event_id),
        (_ATTEMPTS, _ATTEMPTS.c.event_id),
        (_EVENTS, _EVENTS.c.id),
    ):
        unit.connection().execute(delete(table).where(key.in_(events)))
    return len(events)


def _row(delivery: Delivery) -> dict[str, object]:
    event = delivery.event
    return {
        "id": event.event,
        "type": event.type,
        "account": event.account,
        "livemode": event.livemode,
        "api_version": event.api_version,
        "created": event.created,
        "received_at": delivery.received_at,
        "body": event.body,
        "secret_index": delivery.secret_index,
        "door": delivery.door,
        "deliveries": 1,
        "state": InboxState.PENDING,
        "attempts": 0,
        "next_attempt_at": delivery.received_at,
        "fence": 0,
    }


def _count_again(unit: Unit, again: Sequence[Delivery]) -> None:
    more: dict[str, int] = {}
    for delivery in again:
        more[delivery.event.event] = more.get(delivery.event.event, 0) + 1
    connection = unit.connection()
    connection.execute(
        _COUNT_DELIVERIES, [{"event": event, "more": more[event]} for event in sorted(more)]
    )
    connection.execute(
        _ADD_DELIVERY,
        [
            {
                "event_id": delivery.event.event,
                "received_at": delivery.received_at,
                "secret_index": delivery.secret_index,
            }
            for delivery in again
        ],
    )


def _page(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))
