"""Payments that were split: their transfers, and what each request and attempt takes of them.

It may not hold the transfer of a payment that has one of its own; the charge's row does.
"""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from store.tables.base import (
    Row,
    boolean_column,
    integer_column,
    minor_column,
    reference_column,
    text_column,
    utc_column,
)


class Transfer(Row, table=True):
    """A transfer that carried a part of a payment on, as last read."""

    __tablename__ = "transfer"
    __table_args__ = (Index("ix_transfer_charge_id", "charge_id"),)

    id: str = Field(sa_column=text_column(primary_key=True))
    charge_id: str = Field(sa_column=reference_column("charge.id"))
    account: str = Field(sa_column=text_column())
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    reversed_minor: int = Field(sa_column=minor_column())
    settled_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    settled_net_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    settled_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    settled_pending: bool | None = Field(default=None, sa_column=boolean_column(nullable=True))
    settled_available_on: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    read_at: datetime = Field(sa_column=utc_column())


class RequestLeg(Row, table=True):
    """One transfer that a request takes money back from, in the caller's order."""

    __tablename__ = "request_leg"
    __table_args__ = (Index("ix_request_leg_account", "account", "request_id"),)

    request_id: str = Field(sa_column=reference_column("refund_request.id", primary_key=True))
    ordinal: int = Field(sa_column=integer_column(primary_key=True))
    transfer_id: str = Field(sa_column=text_column())
    account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    """Null until Stripe could be asked."""
    asked_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    """In the transfer's currency; null until Stripe could be asked, unless the caller said it."""


class AttemptLeg(Row, table=True):
    """What one attempt asks of one transfer's account."""

    __tablename__ = "attempt_leg"

    attempt_id: str = Field(sa_column=reference_column("release_attempt.id", primary_key=True))
    ordinal: int = Field(sa_column=integer_column(primary_key=True))
    transfer_id: str = Field(sa_column=text_column())
    account: str = Field(sa_column=text_column())
    at_hand_minor: int = Field(sa_column=minor_column())
    """Reversed by an earlier attempt and used by this one; the transfer's currency."""
    reversal_minor: int = Field(sa_column=minor_column())
    """To be reversed for this one, the transfer's currency."""
    need_minor: int = Field(sa_column=minor_column())
    need_currency: str = Field(sa_column=text_column())
