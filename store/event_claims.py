"""The workers' side of the inbox: fenced, time-limited claims on due events, and how they end.

It may not decide when an event is tried again or given up: that comes as an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import bindparam, insert, text, update
from sqlmodel.sql.sqltypes import UTCDateTime

from refunds.errors import LeaseLostError, WrongStateError
from refunds.ids import AccountId, EventId
from refunds.notifications import Kind
from store.database import Unit
from store.inbox import get_event
from store.outbox import tell
from store.tables.base import table_of
from store.tables.inbox import (
    PENDING_ONLY,
    AttemptOutcome,
    EventAttempt,
    InboxEvent,
    InboxState,
)

MAX_CLAIM: Final = 200
"""Events one claim may take: more would outlive their lease before their turn comes."""
MAX_NOTE_CHARACTERS: Final = 500

FinishedState: TypeAlias = Literal[InboxState.DONE, InboxState.IGNORED]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventClaim:
    """A worker's right to process one event until `lease_expires_at`; `fence` proves it."""

    event: EventId
    type: str
    account: AccountId | None
    livemode: bool
    api_version: str | None
    created: datetime
    received_at: datetime
    body: bytes = field(repr=False)
    attempts: int
    """Claims since the event came in or was requeued, this one included."""
    fence: int
    worker: str
    claimed_at: datetime
    lease_expires_at: datetime


_EVENTS: Final = table_of(InboxEvent)
_ADD_ATTEMPT: Final = insert(table_of(EventAttempt))

_RETURNED: Final = (
    "id",
    "type",
    "account",
    "livemode",
    "api_version",
    "created",
    "received_at",
    "body",
    "attempts",
    "fence",
)
_TAKE: Final = """
    UPDATE inbox_event
       SET attempts = attempts + 1, fence = fence + 1, claimed_by = :worker,
           lease_expires_at = :lease_end, next_attempt_at = :lease_end
"""
# Put together from constants alone (hence S608). INDEXED BY: with statistics taken while everything
# was pending, SQLite would walk the whole table for every claim.
_CLAIM_SQLITE: Final = f"""{_TAKE}
     WHERE id IN (SELECT id FROM inbox_event INDEXED BY ix_inbox_event_due
                   WHERE {PENDING_ONLY} AND next_attempt_at <= :now
                   ORDER BY next_attempt_at, id LIMIT :limit)
    RETURNING {", ".join(_RETURNED)}
"""  # noqa: S608
# MATERIALIZED: the planner may otherwise run a locking subquery more than once, past its limit.
_CLAIM_POSTGRESQL: Final = f"""
    WITH due AS MATERIALIZED (
        SELECT id AS due_id FROM inbox_event
         WHERE {PENDING_ONLY} AND next_attempt_at <= :now
         ORDER BY next_attempt_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
    {_TAKE}
      FROM due WHERE id = due_id
    RETURNING {", ".join(_RETURNED)}
"""  # noqa: S608


def _claim_statement(sql: str) -> Any:
    times = (bindparam(name, type_=UTCDateTime()) for name in ("now", "lease_end"))
    return text(sql).bindparams(*times).columns(*(_EVENTS.c[name] for name in _RETURNED))


_CLAIM: Final[Mapping[str, Any]] = {
    "sqlite": _claim_statement(_CLAIM_SQLITE),
    "postgresql": _claim_statement(_CLAIM_POSTGRESQL),
}

_END_CLAIM: Final = (
    update(_EVENTS)
    .where(_EVENTS.c.id == bindparam("event"))
    .where(_EVENTS.c.fence == bindparam("held_fence"))
    .where(_EVENTS.c.state == InboxState.PENDING)
    .values(
        state=bindparam("state"),
        next_attempt_at=bindparam("next_attempt_at"),
        finished_at=bindparam("finished_at"),
        last_error=bindparam("last_error"),
        claimed_by=None,
        lease_expires_at=None,
    )
)


def claim_due_events(
    unit: Unit, *, worker: str, now: datetime, limit: int, lease: timedelta
) -> list[EventClaim]:
    """Claim up to `limit` due events (at most `MAX_CLAIM`) for `worker` until `now + lease`.

    The longest due come first. An event whose lease ran out is due again, so a worker that died
    blocks nothing for longer than that. Commit before processing.
    """
    if lease <= timedelta(0):
        raise ValueError("a lease must last a while, or two workers would process the same event")
    connection = unit.connection()
    lease_end = now + lease
    rows = connection.execute(
        _CLAIM[connection.dialect.name],
        {
            "worker": worker,
            "now": now,
            "lease_end": lease_end,
            "limit": max(1, min(limit, MAX_CLAIM)),
        },
    ).mappings()
    claims = [
        EventClaim(
            event=row["id"],
            worker=worker,
            claimed_at=now,
            lease_expires_at=lease_end,
            **{name: row[name] for name in _RETURNED if name != "id"},
        )
        for row in rows.all()
    ]
    return sorted(claims, key=lambda claim: (claim.received_at, claim.event))


def finish_event(
    unit: Unit, claim: EventClaim, *, now: datetime, state: FinishedState, note: str | None = None
) -> None:
    """Record that the event is processed, or of no interest.

    In the same unit of work as its effects. Raise `LeaseLostError`, with nothing changed, when
    another worker has claimed it since.
    """
    _end_claim(unit, claim, state=state, finished_at=now, next_attempt_at=now, error=None)
    _append_attempt(unit, claim, now, AttemptOutcome(state.value), note)


def fail_event(
    unit: Unit, claim: EventClaim, *, now: datetime, error: str, next_attempt_at: datetime | None
) -> None:
    """Record a failed attempt: due again at `next_attempt_at`, or a dead letter where it is `None`.

    `error` is the error's class and a sentence that is safe to show. Raise `LeaseLostError` as
    `finish_event` does.
    """
    note = error[:MAX_NOTE_CHARACTERS]
    dead = next_attempt_at is None
    _end_claim(
        unit,
        claim,
        state=InboxState.DEAD if dead else InboxState.PENDING,
        finished_at=now if dead else None,
        next_attempt_at=next_attempt_at or now,
        error=note,
    )
    _append_attempt(unit, claim, now, AttemptOutcome.DEAD if dead else AttemptOutcome.RETRY, note)
    if dead:
        tell(
            unit,
            Kind.EVENT_DEAD_LETTERED,
            at=now,
            subject=claim.event,
            account=claim.account,
            why=f"{claim.event} ({claim.type}) could not be processed: {note}",
            data=_shown(claim, note),
        )


def _shown(claim: EventClaim, note: str) -> dict[str, object]:
    """Return a dead letter as the outside sees it: without its body, times in seconds."""
    return {
        "id": claim.event,
        "object": "inbox_event",
        "type": claim.type,
        "account": claim.account,
        "livemode": claim.livemode,
        "created": int(claim.created.timestamp()),
        "received": int(claim.received_at.timestamp()),
        "attempts": claim.attempts,
        "last_error": note,
    }


def postpone_event(unit: Unit, claim: EventClaim, *, until: datetime, note: str | None) -> None:
    """Give a claim back before its attempt came to anything; the event is due again at `until`.

    The attempt doesn't count: what kept the event waiting was not the event. Raise
    `LeaseLostError` as `finish_event` does.
    """
    _end_claim(
        unit,
        claim,
        state=InboxState.PENDING,
        finished_at=None,
        next_attempt_at=until,
        error=None if note is None else note[:MAX_NOTE_CHARACTERS],
    )
    uncounted = update(_EVENTS).where(_EVENTS.c.id == claim.event)
    unit.connection().execute(uncounted.values(attempts=claim.attempts - 1))


def requeue_event(unit: Unit, event: EventId, *, now: datetime) -> None:
    """Make a dead or ignored event due again, with its attempts counted anew.

    Raise `EventNotFoundError`, or `WrongStateError` for an event that is pending or done.
    """
    requeued = (
        update(_EVENTS)
        .where(_EVENTS.c.id == event)
        .where(_EVENTS.c.state.in_([InboxState.DEAD, InboxState.IGNORED]))
        .values(state=InboxState.PENDING, attempts=0, next_attempt_at=now, finished_at=None)
    )
    if unit.connection().execute(requeued).rowcount == 0:
        state = get_event(unit, event).state
        raise WrongStateError(event, "requeue", state, "a dead or ignored event")


def _end_claim(
    unit: Unit,
    claim: EventClaim,
    *,
    state: InboxState,
    finished_at: datetime | None,
    next_attempt_at: datetime,
    error: str | None,
) -> None:
    ended = unit.connection().execute(
        _END_CLAIM,
        {
            "event": claim.event,
            "held_fence": claim.fence,
            "state": state,
            "finished_at": finished_at,
            "next_attempt_at": next_attempt_at,
            "last_error": error,
        },
    )
    if ended.rowcount == 0:
        raise LeaseLostError(claim.event)


def _append_attempt(
    unit: Unit, claim: EventClaim, now: datetime, outcome: AttemptOutcome, note: str | None
) -> None:
    unit.connection().execute(
        _ADD_ATTEMPT,
        {
            "event_id": claim.event,
            "number": claim.fence,
            "started_at": claim.claimed_at,
            "finished_at": now,
            "worker": claim.worker,
            "outcome": outcome,
            "note": None if note is None else note[:MAX_NOTE_CHARACTERS],
        },
    )
