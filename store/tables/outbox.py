"""The outbox: what is to be told, to whom each of it goes, and which receivers take nothing now.

It may not hold anything that is not told to somebody: rows are deleted once they are old.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from refunds.notifications import Kind
from store.tables.base import (
    Row,
    enum_column,
    integer_column,
    json_column,
    reference_column,
    serial_column,
    text_column,
    utc_column,
)
from store.tables.requests import Mode


class DispatchState(StrEnum):
    """Where one notification stands on its way to one receiver."""

    PENDING = "pending"
    DONE = "done"
    DROPPED = "dropped"
    """It is not to be sent any more: the receiver asked for no more, or has no address."""
    DEAD = "dead"
    """Given up: only a person brings it back."""


UNADDRESSED_ONLY: Final = "addressed_at IS NULL"
PENDING_ONLY: Final = "state = 'pending'"
FINISHED_ONLY: Final = "state <> 'pending'"
"""Predicates of the indexes; a query must contain them in these words to be served by one."""


class Notification(Row, table=True):
    """Something to tell, written in the same transaction as the fact it tells of."""

    __tablename__ = "outbox_notification"
    __table_args__ = (
        Index(
            "ix_outbox_notification_unaddressed",
            "number",
            sqlite_where=text(UNADDRESSED_ONLY),
            postgresql_where=text(UNADDRESSED_ONLY),
        ),
        Index("ix_outbox_notification_subject", "subject", "number"),
        Index("ix_outbox_notification_at", "at"),
    )

    number: int | None = Field(default=None, sa_column=serial_column())
    """Grows with each fact about one subject: its rows are written one after the other."""
    id: str = Field(sa_column=text_column(unique=True))
    """`ntf_…`: the same for every receiver and every try, so that a receiver can know it again."""
    kind: Kind = Field(sa_column=enum_column(Kind))
    at: datetime = Field(sa_column=utc_column())
    subject: str = Field(sa_column=text_column())
    """What it is about: a request, an event, a refund, an account."""
    account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    mode: Mode = Field(default=Mode.LIVE, sa_column=enum_column(Mode))
    occasion: str | None = Field(default=None, sa_column=text_column(nullable=True, unique=True))
    """Set where a fact is seen again and again, such as a deadline: it is told once."""
    payload: dict[str, Any] = Field(sa_column=json_column())
    """What is sent, as it was when the fact was committed."""
    addressed_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """When it was decided who gets it."""


class Dispatch(Row, table=True):
    """One notification on its way to one receiver."""

    __tablename__ = "outbox_dispatch"
    __table_args__ = (
        UniqueConstraint("notification_id", "receiver", "address", name="uq_outbox_dispatch_once"),
        Index(
            "ix_outbox_dispatch_due",
            "receiver",
            "next_attempt_at",
            "id",
            sqlite_where=text(PENDING_ONLY),
            postgresql_where=text(PENDING_ONLY),
        ),
        Index(
            "ix_outbox_dispatch_finished",
            "finished_at",
            sqlite_where=text(FINISHED_ONLY),
            postgresql_where=text(FINISHED_ONLY),
        ),
        Index("ix_outbox_dispatch_state", "state", "id"),
        CheckConstraint(
            "(state = 'pending') = (finished_at IS NULL)",
            name="ck_outbox_dispatch_finished_unless_pending",
        ),
    )

    id: int | None = Field(default=None, sa_column=serial_column())
    notification_id: str = Field(sa_column=reference_column("outbox_notification.id"))
    receiver: str = Field(sa_column=text_column())
    """The channel and, where it has several, which: `webhook:shop`, `email`, `log`."""
    address: str = Field(default="", sa_column=text_column())
    """Whom a letter goes to: an audience and an address; empty where the receiver is enough."""
    state: DispatchState = Field(
        default=DispatchState.PENDING, sa_column=enum_column(DispatchState)
    )
    since: datetime = Field(sa_column=utc_column())
    """Since when it is tried: when it was addressed, or requeued."""
    attempts: int = Field(default=0, sa_column=integer_column())
    """Claims so far: a try that ended its worker counts, too."""
    next_attempt_at: datetime = Field(sa_column=utc_column())
    """When it may be claimed; a claim moves it to the end of its lease."""
    claimed_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    fence: int = Field(default=0, sa_column=integer_column())
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    note: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """How the last try ended, in words that are safe to show."""


class Receiver(Row, table=True):
    """A receiver that failed lately, or asked for no more."""

    __tablename__ = "outbox_receiver"

    receiver: str = Field(sa_column=text_column(primary_key=True))
    failures: int = Field(default=0, sa_column=integer_column())
    """In a row."""
    paused_until: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    disabled_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """It said that it is gone (410): nothing goes there until a person enables it."""
    note: str | None = Field(default=None, sa_column=text_column(nullable=True))
