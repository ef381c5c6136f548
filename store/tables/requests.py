"""Wishes to refund: the charges they are about, where their amounts lie, what was decided and
waived.

It may not hold what was sent to Stripe: attempts and refunds have tables of their own.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from refunds.decision import Outcome, Rule
from refunds.eta import Confidence
from refunds.facts import ChargeType
from refunds.lifecycle import Bucket, Status
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


class Mode(StrEnum):
    """Whether a request may move money."""

    LIVE = "live"
    SHADOW = "shadow"


WAITING_ONLY: Final = "bucket IN ('requested', 'held', 'review') AND amount_minor > 0"
"""The predicate of the run's index; a query must contain it in these words to be served by it."""
MOVING_ONLY: Final = (
    "bucket IN ('requested', 'held', 'review', 'releasing', 'reversed', 'submitted') "
    "AND amount_minor > 0"
)
"""Money whose place Stripe may still change."""
UNDECIDED_ONLY: Final = "decide_after IS NOT NULL"
SHADOW_ONLY: Final = "mode = 'shadow'"
"""Few installations have any for long: without an index of them a report would read all others."""


class Charge(Row, table=True):
    """A Stripe charge as last read: the row that several hands on one payment lock first."""

    __tablename__ = "charge"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="ck_charge_amount_not_negative"),
        Index("ix_charge_payment_intent", "payment_intent"),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    payment_intent: str | None = Field(default=None, sa_column=text_column(nullable=True))
    charge_type: ChargeType = Field(sa_column=enum_column(ChargeType))
    account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    livemode: bool = Field(sa_column=boolean_column())
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    refunded_minor: int = Field(sa_column=minor_column())
    refundable: bool = Field(sa_column=boolean_column())
    disputed: bool = Field(sa_column=boolean_column())
    payment_method: str = Field(sa_column=text_column())
    application_fee_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    platform_settled_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    platform_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    transfer: str | None = Field(default=None, sa_column=text_column(nullable=True))
    transfer_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    transfer_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    transfer_reversed_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    settled_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    settled_net_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    settled_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    settled_pending: bool | None = Field(default=None, sa_column=boolean_column(nullable=True))
    settled_available_on: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    created: datetime = Field(sa_column=utc_column())
    read_at: datetime = Field(sa_column=utc_column())


class RefundRequest(Row, table=True):
    """One wish to refund. What is not known before Stripe could be asked is null until then."""

    __tablename__ = "refund_request"
    __table_args__ = (
        CheckConstraint(
            "amount_minor IS NULL OR amount_minor > 0", name="ck_refund_request_amount_positive"
        ),
        Index("ix_refund_request_charge_id", "charge_id"),
        Index("ix_refund_request_status", "status", "id"),
        Index("ix_refund_request_account", "account", "id"),
        Index(
            "ix_refund_request_undecided",
            "decide_after",
            sqlite_where=text(UNDECIDED_ONLY),
            postgresql_where=text(UNDECIDED_ONLY),
        ),
        Index(
            "ix_refund_request_shadow",
            "id",
            sqlite_where=text(SHADOW_ONLY),
            postgresql_where=text(SHADOW_ONLY),
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    created: datetime = Field(sa_column=utc_column())
    mode: Mode = Field(default=Mode.LIVE, sa_column=enum_column(Mode))
    idempotency_key: str = Field(sa_column=text_column(unique=True))
    wish_digest: str = Field(sa_column=text_column())
    """SHA-256 of the wish: the same key with another wish is refused."""
    actor: str = Field(sa_column=text_column())
    payment: str = Field(sa_column=text_column())
    """As the caller named it: `pi_…`, `ch_…` or `py_…`."""
    asked_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    """As the caller asked; null is whatever is left of the charge."""
    reason: str | None = Field(default=None, sa_column=text_column(nullable=True))
    refund_application_fee: bool = Field(default=False, sa_column=boolean_column())
    additional: bool = Field(default=False, sa_column=boolean_column())
    meta: dict[str, Any] = Field(default_factory=dict, sa_column=json_column())

    livemode: bool = Field(sa_column=boolean_column())
    charge_id: str | None = Field(
        default=None, sa_column=reference_column("charge.id", nullable=True)
    )
    lane: str | None = Field(default=None, sa_column=text_column(nullable=True))
    account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    amount_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    currency: str | None = Field(default=None, sa_column=text_column(nullable=True))

    status: Status = Field(default=Status.REQUESTED, sa_column=enum_column(Status))
    """Projection of the ledger."""
    deadline: datetime = Field(sa_column=utc_column())
    urgent: bool = Field(default=False, sa_column=boolean_column())
    skipped_runs: int = Field(default=0, sa_column=integer_column())
    refusals: int = Field(default=0, sa_column=integer_column())
    """How often Stripe refused it for want of money."""
    not_before: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """No run takes it earlier."""
    decide_after: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """When a worker asks Stripe about it; null once it is decided."""
    decide_attempts: int = Field(default=0, sa_column=integer_column())
    evaluation_id: int | None = Field(default=None, sa_column=integer_column(nullable=True))
    """The latest evaluation."""


class RequestBucket(Row, table=True):
    """How much of a request lies in one bucket: a projection of the ledger, zeros kept."""

    __tablename__ = "request_bucket"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="ck_request_bucket_amount_not_negative"),
        Index(
            "ix_request_bucket_waiting",
            "lane",
            "request_id",
            sqlite_where=text(WAITING_ONLY),
            postgresql_where=text(WAITING_ONLY),
        ),
        Index(
            "ix_request_bucket_moving",
            "request_id",
            sqlite_where=text(MOVING_ONLY),
            postgresql_where=text(MOVING_ONLY),
        ),
    )

    request_id: str = Field(sa_column=reference_column("refund_request.id", primary_key=True))
    bucket: Bucket = Field(sa_column=enum_column(Bucket, primary_key=True))
    lane: str = Field(sa_column=text_column())
    amount_minor: int = Field(sa_column=minor_column())


class EvaluationRow(Row, table=True):
    """One decision on a request, with what it was made from. Kept for ever."""

    __tablename__ = "evaluation"
    __table_args__ = (Index("ix_evaluation_request_id", "request_id", "id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    run_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    at: datetime = Field(sa_column=utc_column())
    cause: str = Field(sa_column=text_column())
    """What made us look: `intake`, an event type, `sweep`, a person."""
    outcome: Outcome = Field(sa_column=enum_column(Outcome))
    rule: Rule = Field(sa_column=enum_column(Rule))
    why: str = Field(sa_column=text_column())
    need_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    need_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    fx_buffer_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    spendable_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    shortfall_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    eta_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    eta_confidence: Confidence | None = Field(
        default=None, sa_column=enum_column(Confidence, nullable=True)
    )
    inputs: dict[str, Any] = Field(default_factory=dict, sa_column=json_column())


class Waiver(Row, table=True):
    """A person's stored permission, which later evaluations honour."""

    __tablename__ = "waiver"
    __table_args__ = (Index("ix_waiver_request_id", "request_id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    rule: Rule = Field(sa_column=enum_column(Rule))
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    actor: str = Field(sa_column=text_column())
    note: str = Field(sa_column=text_column())
    created: datetime = Field(sa_column=utc_column())
    expires_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    used_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """When a release made use of it; a person's release is good for one attempt."""
