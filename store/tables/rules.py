"""Rules and who answers for them: risk tiers of accounts, the policy in force, unanswered reviews.

It may not hold what Stripe says of an account; that is an observation.
"""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from store.tables.base import (
    Row,
    integer_column,
    reference_column,
    serial_column,
    text_column,
    utc_column,
)


class AccountRisk(Row, table=True):
    """The risk tier a person put an account into; an account without a row is in none."""

    __tablename__ = "account_risk"
    __table_args__ = (Index("ix_account_risk_tier", "tier"),)

    account: str = Field(sa_column=text_column(primary_key=True))
    tier: str = Field(sa_column=text_column())
    changed_at: datetime = Field(sa_column=utc_column())


class PolicyVersion(Row, table=True):
    """A policy that was taken into force; the newest row's is."""

    __tablename__ = "policy_version"

    id: int | None = Field(default=None, sa_column=serial_column())
    digest: str = Field(sa_column=text_column())
    adopted_at: datetime = Field(sa_column=utc_column())


class ReviewEscalation(Row, table=True):
    """A day that a request spent in review without an answer."""

    __tablename__ = "review_escalation"
    __table_args__ = (UniqueConstraint("request_id", "review_since", "nth"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    review_since: datetime = Field(sa_column=utc_column())
    nth: int = Field(sa_column=integer_column())
    """Whole days in review by then."""
    at: datetime = Field(sa_column=utc_column())
