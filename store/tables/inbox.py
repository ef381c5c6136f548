"""The inbox: verified events, every further delivery of one, every attempt to process one.

It may not hold anything unverified, or anything about money: old rows of these tables are deleted.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from store.tables.base import (
    Row,
    boolean_column,
    bytes_column,
    enum_column,
    integer_column,
    reference_column,
    serial_column,
    text_column,
    utc_column,
)


class InboxState(StrEnum):
    """Where an event stands."""

    PENDING = "pending"
    DONE = "done"
    IGNORED = "ignored"
    """Authentic, and of no interest: an unknown type, a foreign account, the wrong livemode."""
    DEAD = "dead"
    """A dead letter: only a person brings it back."""


class InboxDoor(StrEnum):
    """How an event came in."""

    WEBHOOK = "webhook"
    CATCH_UP = "catch_up"
    """Fetched from Stripe's list of events, because its delivery was missed."""


class AttemptOutcome(StrEnum):
    """How one attempt to process an event ended."""

    DONE = "done"
    IGNORED = "ignored"
    RETRY = "retry"
    DEAD = "dead"


PENDING_ONLY: Final = "state = 'pending'"
"""The predicate of the due index; a query must contain it in these words to be served by it."""
FINISHED_ONLY: Final = "state IN ('done', 'ignored')"
"""The predicate of the index that pruning walks; dead letters wait for a person, however old."""


class InboxEvent(Row, table=True):
    """One Stripe event, as first received. Source: Stripe docs, "The Event object"."""

    __tablename__ = "inbox_event"
    __table_args__ = (
        # Claim cost must not grow with the rows already done: the index holds due work only.
        Index(
            "ix_inbox_event_due",
            "next_attempt_at",
            "id",
            sqlite_where=text(PENDING_ONLY),
            postgresql_where=text(PENDING_ONLY),
        ),
        Index(
            "ix_inbox_event_finished",
            "finished_at",
            sqlite_where=text(FINISHED_ONLY),
            postgresql_where=text(FINISHED_ONLY),
        ),
        Index("ix_inbox_event_received", "received_at", "id"),
        Index("ix_inbox_event_state_received", "state", "received_at", "id"),
        Index("ix_inbox_event_account_created", "account", "created"),
        CheckConstraint("deliveries >= 1", name="ck_inbox_event_deliveries_positive"),
        CheckConstraint("attempts >= 0", name="ck_inbox_event_attempts_not_negative"),
        CheckConstraint(
            "(state = 'pending') = (finished_at IS NULL)",
            name="ck_inbox_event_finished_unless_pending",
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    """`evt_…`: Stripe's id is the key, so a second delivery can't become a second row."""
    type: str = Field(sa_column=text_column())
    account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """The connected account it is about; `None` is the platform."""
    livemode: bool = Field(sa_column=boolean_column())
    api_version: str | None = Field(default=None, sa_column=text_column(nullable=True))
    created: datetime = Field(sa_column=utc_column())
    """Stripe's time."""
    received_at: datetime = Field(sa_column=utc_column())
    body: bytes = Field(repr=False, sa_column=bytes_column())
    """The raw bytes whose signature was verified."""
    secret_index: int | None = Field(default=None, sa_column=integer_column(nullable=True))
    """Which of the configured secrets matched, from 0; `None` for events fetched by catch-up."""
    door: InboxDoor = Field(sa_column=enum_column(InboxDoor))
    deliveries: int = Field(default=1, sa_column=integer_column())
    state: InboxState = Field(default=InboxState.PENDING, sa_column=enum_column(InboxState))
    attempts: int = Field(default=0, sa_column=integer_column())
    """Claims so far. Counted when claimed, so that an event that kills its worker counts, too."""
    next_attempt_at: datetime = Field(sa_column=utc_column())
    """When it may be claimed; a claim moves it to the end of its lease."""
    claimed_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    lease_expires_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    fence: int = Field(default=0, sa_column=integer_column())
    """Grows with every claim: a worker that lost its lease holds an older number."""
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    last_error: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """The error's class and a sentence that is safe to show."""


class EventDelivery(Row, table=True):
    """One further delivery of an event that the inbox had already."""

    __tablename__ = "event_delivery"
    __table_args__ = (Index("ix_event_delivery_event_id", "event_id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    event_id: str = Field(sa_column=reference_column("inbox_event.id"))
    received_at: datetime = Field(sa_column=utc_column())
    secret_index: int | None = Field(default=None, sa_column=integer_column(nullable=True))


class EventAttempt(Row, table=True):
    """One finished attempt to process an event. A number that is missing died with its worker."""

    __tablename__ = "event_attempt"

    event_id: str = Field(sa_column=reference_column("inbox_event.id", primary_key=True))
    number: int = Field(sa_column=integer_column(primary_key=True))
    """Which claim of the event it was: the fence. Requeuing does not reset it."""
    started_at: datetime = Field(sa_column=utc_column())
    finished_at: datetime = Field(sa_column=utc_column())
    worker: str = Field(sa_column=text_column())
    outcome: AttemptOutcome = Field(sa_column=enum_column(AttemptOutcome))
    note: str | None = Field(default=None, sa_column=text_column(nullable=True))


class CatchUpMark(Row, table=True):
    """Up to when Stripe's own list of events was read, for one account or the platform."""

    __tablename__ = "catch_up_mark"

    scope: str = Field(sa_column=text_column(primary_key=True))
    """A connected account, or `platform`."""
    read_to: datetime = Field(sa_column=utc_column())
