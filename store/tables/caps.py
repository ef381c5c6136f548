"""What is released uncovered, for the caps on it: one row an attempt.

It may not hold what an account owes; the exposure ledger does, once an attempt is settled.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from store.tables.base import (
    Row,
    boolean_column,
    minor_column,
    reference_column,
    text_column,
    utc_column,
)

UNSETTLED_ONLY: Final = "settled_at IS NULL"


class UncoveredRelease(Row, table=True):
    """What the platform stands in for by one attempt, in one purse; need's currency."""

    __tablename__ = "uncovered_release"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="ck_uncovered_release_amount_not_negative"),
        Index("ix_uncovered_release_day", "currency", "prepared_at"),
        Index(
            "ix_uncovered_release_unsettled",
            "account",
            "currency",
            sqlite_where=text(UNSETTLED_ONLY),
            postgresql_where=text(UNSETTLED_ONLY),
        ),
    )

    attempt_id: str = Field(sa_column=reference_column("release_attempt.id", primary_key=True))
    account: str = Field(sa_column=text_column(primary_key=True))
    currency: str = Field(sa_column=text_column(primary_key=True))
    amount_minor: int = Field(sa_column=minor_column())
    """As planned; once settled what it came to, nothing where it was refused."""
    by_rule: bool = Field(sa_column=boolean_column())
    """A rule released it, not a person."""
    prepared_at: datetime = Field(sa_column=utc_column())
    settled_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
