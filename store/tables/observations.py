"""What Stripe was seen to say: refunds, disputes, accounts and balances, as last read.

It may not hold anything Sluice decided.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, text
from sqlmodel import Field

from refunds.facts import AccountStanding, RefundStatus
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

STRIPE_PENDING_ONLY: Final = (
    "status = 'pending' AND pending_reason = 'insufficient_funds' AND attempt_id IS NOT NULL"
)
"""Refunds of ours that Stripe itself holds; a query must contain it in these words."""


class Refund(Row, table=True):
    """A Stripe refund: of an attempt of ours, or observed."""

    __tablename__ = "refund"
    __table_args__ = (
        Index(
            "uq_refund_attempt_id",
            "attempt_id",
            unique=True,
            sqlite_where=text("attempt_id IS NOT NULL"),
            postgresql_where=text("attempt_id IS NOT NULL"),
        ),
        Index("ix_refund_charge_id", "charge_id"),
        Index("ix_refund_request_id", "request_id"),
        Index("ix_refund_status", "status", "id"),
        Index("ix_refund_created", "created"),
        Index(
            "ix_refund_stripe_pending",
            "created",
            "id",
            sqlite_where=text(STRIPE_PENDING_ONLY),
            postgresql_where=text(STRIPE_PENDING_ONLY),
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    charge_id: str = Field(sa_column=reference_column("charge.id"))
    request_id: str | None = Field(
        default=None, sa_column=reference_column("refund_request.id", nullable=True)
    )
    attempt_id: str | None = Field(
        default=None, sa_column=reference_column("release_attempt.id", nullable=True)
    )
    observed: bool = Field(sa_column=boolean_column())
    """Not of an attempt of ours: made in the Dashboard or by other code."""
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    status: RefundStatus = Field(sa_column=enum_column(RefundStatus))
    """The last status that was applied, which is not always the last one that was heard."""
    pending_reason: str | None = Field(default=None, sa_column=text_column(nullable=True))
    failure_reason: str | None = Field(default=None, sa_column=text_column(nullable=True))
    reversal: str | None = Field(default=None, sa_column=text_column(nullable=True))
    balance_transaction: str | None = Field(default=None, sa_column=text_column(nullable=True))
    failure_balance_transaction: str | None = Field(
        default=None, sa_column=text_column(nullable=True)
    )
    created: datetime = Field(sa_column=utc_column())
    read_at: datetime = Field(sa_column=utc_column())
    alerted_days: int | None = Field(default=None, sa_column=integer_column(nullable=True))
    """Held by Stripe: for how many days left somebody was told last."""


class RefundObservation(Row, table=True):
    """The first time a refund was seen in a status: what makes an effect happen once."""

    __tablename__ = "refund_observation"

    refund_id: str = Field(sa_column=reference_column("refund.id", primary_key=True))
    status: RefundStatus = Field(sa_column=enum_column(RefundStatus, primary_key=True))
    at: datetime = Field(sa_column=utc_column())
    cause: str = Field(sa_column=text_column())


class Dispute(Row, table=True):
    """A dispute or inquiry as last read."""

    __tablename__ = "dispute"
    __table_args__ = (Index("ix_dispute_charge_id", "charge_id"),)

    id: str = Field(sa_column=text_column(primary_key=True))
    charge_id: str = Field(sa_column=text_column())
    status: str = Field(sa_column=text_column())
    charge_refundable: bool = Field(sa_column=boolean_column())
    read_at: datetime = Field(sa_column=utc_column())


class ConnectedAccount(Row, table=True):
    """A connected account as last read."""

    __tablename__ = "connected_account"

    id: str = Field(sa_column=text_column(primary_key=True))
    standing: AccountStanding = Field(sa_column=enum_column(AccountStanding))
    country: str | None = Field(default=None, sa_column=text_column(nullable=True))
    default_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    charges_enabled: bool = Field(sa_column=boolean_column())
    payouts_enabled: bool = Field(sa_column=boolean_column())
    disabled_reason: str | None = Field(default=None, sa_column=text_column(nullable=True))
    losses_payments: str | None = Field(default=None, sa_column=text_column(nullable=True))
    payout_interval: str | None = Field(default=None, sa_column=text_column(nullable=True))
    platform_controlled: bool = Field(sa_column=boolean_column())
    read_at: datetime = Field(sa_column=utc_column())


class BalanceSnapshot(Row, table=True):
    """A balance as it was read once, kept to explain what was decided by it."""

    __tablename__ = "balance_snapshot"
    __table_args__ = (Index("ix_balance_snapshot_holder", "holder", "id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    holder: str = Field(sa_column=text_column())
    """A connected account, or `platform`."""
    run_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    read_at: datetime = Field(sa_column=utc_column())
    available: dict[str, Any] = Field(sa_column=json_column())
    pending: dict[str, Any] = Field(sa_column=json_column())
