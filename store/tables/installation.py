"""The installation itself: whose database this is, which chores are due, who did what.

It may not hold anything about one request's money.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from store.tables.base import (
    Row,
    boolean_column,
    integer_column,
    json_column,
    serial_column,
    text_column,
    utc_column,
)


class Installation(Row, table=True):
    """The platform account this database is pinned to; one row."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="ck_installation_one_row"),)

    id: int = Field(default=1, sa_column=integer_column(primary_key=True, autoincrement=False))
    platform_account: str = Field(sa_column=text_column())
    livemode: bool = Field(sa_column=boolean_column())
    pinned_at: datetime = Field(sa_column=utc_column())


DUE_ONLY: Final = "due_at IS NOT NULL"


class Chore(Row, table=True):
    """Work that comes round by the clock: which round is the newest, and whether it is still
    due.
    """

    __tablename__ = "chore"
    __table_args__ = (
        Index(
            "ix_chore_due",
            "due_at",
            sqlite_where=text(DUE_ONLY),
            postgresql_where=text(DUE_ONLY),
        ),
    )

    name: str = Field(sa_column=text_column(primary_key=True))
    slot: int = Field(sa_column=integer_column())
    """Whole periods since 1970, the same number in every worker: a round is marked due once."""
    due_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """When it may be taken; a claim moves it to the end of its lease."""
    claimed_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    fence: int = Field(default=0, sa_column=integer_column())
    started_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """When it last ended well."""
    note: str | None = Field(default=None, sa_column=text_column(nullable=True))


class OperatorAction(Row, table=True):
    """Something a person did, with what it changed."""

    __tablename__ = "operator_action"
    __table_args__ = (Index("ix_operator_action_subject", "subject", "id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    at: datetime = Field(sa_column=utc_column())
    actor: str = Field(sa_column=text_column())
    action: str = Field(sa_column=text_column())
    subject: str = Field(sa_column=text_column())
    note: str = Field(sa_column=text_column())
    before: dict[str, Any] = Field(sa_column=json_column())
    after: dict[str, Any] = Field(sa_column=json_column())
