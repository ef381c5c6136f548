"""What people decided about connected accounts.

It may not hold what Stripe says of an account; that is an observation.
"""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from store.tables.base import Row, text_column, utc_column


class AccountRisk(Row, table=True):
    """The risk tier a person put an account into; an account without a row is in none."""

    __tablename__ = "account_risk"
    __table_args__ = (Index("ix_account_risk_tier", "tier"),)

    account: str = Field(sa_column=text_column(primary_key=True))
    tier: str = Field(sa_column=text_column())
    changed_at: datetime = Field(sa_column=utc_column())
