"""Who works on which lane and when: due times, leases, circuits, and the rows that serialise money.

It may not hold amounts; what is promised stands in the reservations.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Index, text
from sqlmodel import Field

from store.tables.base import Row, enum_column, integer_column, text_column, utc_column
from store.tables.requests import Mode

DUE_ONLY: Final = "release_due_at IS NOT NULL"


class Lane(Row, table=True):
    """The requests of one mode that wait for one balance, an account's or the platform's own.

    A row for each mode: the end of a shadow run must not clear what is due for a live worker.
    """

    __tablename__ = "lane"
    __table_args__ = (
        Index(
            "ix_lane_due",
            "mode",
            "release_due_at",
            "id",
            sqlite_where=text(DUE_ONLY),
            postgresql_where=text(DUE_ONLY),
        ),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    mode: Mode = Field(sa_column=enum_column(Mode, primary_key=True))
    release_due_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    due_count: int = Field(default=0, sa_column=integer_column())
    """Grows each time it is marked due: a run that ends clears only the marks it began with."""
    due_cause: str | None = Field(default=None, sa_column=text_column(nullable=True))
    claimed_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    lease_expires_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    fence: int = Field(default=0, sa_column=integer_column())
    failures: int = Field(default=0, sa_column=integer_column())
    """Runs in a row that could not read Stripe."""


class Purse(Row, table=True):
    """One currency of one holder: locked while a promise is made of it, so that promises queue."""

    __tablename__ = "purse"

    holder: str = Field(sa_column=text_column(primary_key=True))
    currency: str = Field(sa_column=text_column(primary_key=True))


class CircuitRow(Row, table=True):
    """Consecutive failures of one scope (`stripe`, or an account) and until when it stays open."""

    __tablename__ = "circuit"

    scope: str = Field(sa_column=text_column(primary_key=True))
    failures: int = Field(sa_column=integer_column())
    open_until: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    last_trouble: str = Field(sa_column=text_column())
    changed_at: datetime = Field(sa_column=utc_column())
