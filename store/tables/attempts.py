"""What a release does: the run, its attempts, their calls to Stripe, and the money kept for them.

It may not hold an outcome without the intent that came before it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from refunds.attempt import AttemptState, Purpose, StepState
from refunds.steps import StepKind
from store.tables.base import (
    Row,
    boolean_column,
    enum_column,
    integer_column,
    json_column,
    minor_column,
    reference_column,
    serial_column,
    text_column,
    utc_column,
)

PREPARED_ONLY: Final = "state = 'prepared'"
OPEN_ONLY: Final = "closed_at IS NULL"


class ReservationEnd(StrEnum):
    """Why a reservation was closed."""

    SPENT = "spent"
    FREED = "freed"


class ReleaseRun(Row, table=True):
    """One pass over one lane's waiting requests, with the figures it decided by."""

    __tablename__ = "release_run"
    __table_args__ = (Index("ix_release_run_lane", "lane", "id"),)

    id: str = Field(sa_column=text_column(primary_key=True))
    lane: str = Field(sa_column=text_column())
    cause: str = Field(sa_column=text_column())
    worker: str = Field(sa_column=text_column())
    fence: int = Field(sa_column=integer_column())
    started_at: datetime = Field(sa_column=utc_column())
    available: dict[str, dict[str, int]] = Field(default_factory=dict, sa_column=json_column())
    reserved: dict[str, dict[str, int]] = Field(default_factory=dict, sa_column=json_column())
    spendable: dict[str, dict[str, int]] = Field(default_factory=dict, sa_column=json_column())
    """Per connected account and currency, before the run promised anything."""
    platform_spendable: dict[str, int] = Field(default_factory=dict, sa_column=json_column())


class ReleaseAttempt(Row, table=True):
    """One persisted try to refund one request."""

    __tablename__ = "release_attempt"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="ck_release_attempt_amount_positive"),
        CheckConstraint(
            "(state = 'prepared') = (settled_at IS NULL)",
            name="ck_release_attempt_settled_unless_prepared",
        ),
        # Two attempts of one request under way at once would be two refunds.
        Index(
            "uq_release_attempt_prepared",
            "request_id",
            unique=True,
            sqlite_where=text(PREPARED_ONLY),
            postgresql_where=text(PREPARED_ONLY),
        ),
        Index(
            "ix_release_attempt_due",
            "next_try_at",
            "id",
            sqlite_where=text(PREPARED_ONLY),
            postgresql_where=text(PREPARED_ONLY),
        ),
        Index("ix_release_attempt_request_id", "request_id", "id"),
        Index("ix_release_attempt_charge_id", "charge_id"),
        Index("ix_release_attempt_run_id", "run_id"),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    run_id: str = Field(sa_column=reference_column("release_run.id"))
    charge_id: str = Field(sa_column=reference_column("charge.id"))
    lane: str = Field(sa_column=text_column())
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    need_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    need_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    uncovered: bool = Field(default=False, sa_column=boolean_column())
    purpose: Purpose = Field(default=Purpose.RELEASE, sa_column=enum_column(Purpose))
    queued: bool = Field(default=False, sa_column=boolean_column())
    """Sent though the account was short: Stripe queues it, as the policy or a person wanted."""
    state: AttemptState = Field(default=AttemptState.PREPARED, sa_column=enum_column(AttemptState))
    prepared_at: datetime = Field(sa_column=utc_column())
    settled_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    tries: int = Field(default=0, sa_column=integer_column())
    next_try_at: datetime = Field(sa_column=utc_column())
    """When another worker may take it up: the end of the caller's lease, or a backoff."""
    claimed_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    fence: int = Field(default=0, sa_column=integer_column())
    last_trouble: str | None = Field(default=None, sa_column=text_column(nullable=True))


class AttemptStep(Row, table=True):
    """One call of an attempt: its key and exact parameters, committed before it is made."""

    __tablename__ = "attempt_step"
    __table_args__ = (Index("ix_attempt_step_settled_at", "settled_at", "idempotency_key"),)

    attempt_id: str = Field(sa_column=reference_column("release_attempt.id", primary_key=True))
    ordinal: int = Field(sa_column=integer_column(primary_key=True))
    kind: StepKind = Field(sa_column=enum_column(StepKind))
    idempotency_key: str = Field(sa_column=text_column(unique=True))
    params: dict[str, Any] = Field(sa_column=json_column())
    target: str | None = Field(default=None, sa_column=text_column(nullable=True))
    stripe_account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    state: StepState = Field(default=StepState.PLANNED, sa_column=enum_column(StepState))
    object_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    object_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    balance_transaction: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """Of what was reversed or transferred; a refund's stands in its own row."""
    settled_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class StepCallRow(Row, table=True):
    """One try of one step, as it turned out."""

    __tablename__ = "step_call"
    __table_args__ = (Index("ix_step_call_attempt_id", "attempt_id", "id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    attempt_id: str = Field(sa_column=reference_column("release_attempt.id"))
    ordinal: int = Field(sa_column=integer_column())
    at: datetime = Field(sa_column=utc_column())
    outcome: str = Field(sa_column=text_column())
    http_status: int | None = Field(default=None, sa_column=integer_column(nullable=True))
    stripe_request: str | None = Field(default=None, sa_column=text_column(nullable=True))
    message: str = Field(sa_column=text_column())


class Reservation(Row, table=True):
    """Money of one holder promised to one attempt, or one recovery, until its effect is known."""

    __tablename__ = "reservation"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="ck_reservation_amount_not_negative"),
        CheckConstraint(
            "(attempt_id IS NULL) <> (recovery_id IS NULL)", name="ck_reservation_for_one"
        ),
        Index("ix_reservation_recovery_id", "recovery_id"),
        UniqueConstraint("attempt_id", "holder", "currency"),
        Index(
            "ix_reservation_open",
            "holder",
            "currency",
            sqlite_where=text(OPEN_ONLY),
            postgresql_where=text(OPEN_ONLY),
        ),
        Index("ix_reservation_purse", "holder", "currency", "id"),
    )

    id: int | None = Field(default=None, sa_column=serial_column())
    """Grows with every promise made of one holder's currency: those rows are locked meanwhile."""
    attempt_id: str | None = Field(
        default=None, sa_column=reference_column("release_attempt.id", nullable=True)
    )
    recovery_id: str | None = Field(
        default=None, sa_column=reference_column("recovery_attempt.id", nullable=True)
    )
    """Instead, where it is kept for money that is taken back."""
    holder: str = Field(sa_column=text_column())
    """A connected account, or `platform`."""
    currency: str = Field(sa_column=text_column())
    amount_minor: int = Field(sa_column=minor_column())
    opened_at: datetime = Field(sa_column=utc_column())
    closed_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    end: ReservationEnd | None = Field(
        default=None, sa_column=enum_column(ReservationEnd, nullable=True)
    )
