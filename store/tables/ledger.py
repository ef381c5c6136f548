"""The ledger: every move of a request's money, appended and never changed, and the exposure
beside it.

It may not be updated, emptied or rebuilt: triggers on both databases refuse it.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field

from refunds.exposure import ExposureBucket
from refunds.lifecycle import Bucket
from store.tables.base import (
    Row,
    enum_column,
    minor_column,
    reference_column,
    serial_column,
    text_column,
    utc_column,
)


class LedgerEntry(Row, table=True):
    """One move between two buckets of one request."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="ck_ledger_entry_amount_positive"),
        CheckConstraint("from_bucket <> to_bucket", name="ck_ledger_entry_moves"),
        Index("ix_ledger_entry_request_id", "request_id", "id"),
        Index("ix_ledger_entry_attempt_id", "attempt_id"),
        Index("ix_ledger_entry_at", "at", "id"),
    )

    id: int | None = Field(default=None, sa_column=serial_column())
    at: datetime = Field(sa_column=utc_column())
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    attempt_id: str | None = Field(
        default=None, sa_column=reference_column("release_attempt.id", nullable=True)
    )
    refund_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    account: str | None = Field(default=None, sa_column=text_column(nullable=True))
    from_bucket: Bucket = Field(sa_column=enum_column(Bucket))
    to_bucket: Bucket = Field(sa_column=enum_column(Bucket))
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    need_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    need_currency: str | None = Field(default=None, sa_column=text_column(nullable=True))
    cause: str = Field(sa_column=text_column())
    why: str = Field(sa_column=text_column())
    actor: str = Field(sa_column=text_column())


class ExposureEntry(Row, table=True):
    """One move of money the platform stands in for, in need's currency."""

    __tablename__ = "exposure_entry"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="ck_exposure_entry_amount_positive"),
        CheckConstraint("from_bucket <> to_bucket", name="ck_exposure_entry_moves"),
        Index("ix_exposure_entry_account", "account", "id"),
        Index("ix_exposure_entry_at", "at", "id"),
        Index("ix_exposure_entry_request_id", "request_id", "id"),
    )

    id: int | None = Field(default=None, sa_column=serial_column())
    at: datetime = Field(sa_column=utc_column())
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    attempt_id: str = Field(sa_column=reference_column("release_attempt.id"))
    account: str = Field(sa_column=text_column())
    from_bucket: ExposureBucket = Field(sa_column=enum_column(ExposureBucket))
    to_bucket: ExposureBucket = Field(sa_column=enum_column(ExposureBucket))
    amount_minor: int = Field(sa_column=minor_column())
    currency: str = Field(sa_column=text_column())
    cause: str = Field(sa_column=text_column())
    why: str = Field(sa_column=text_column())


SHADOW_CAUSE: Final = "shadow"
"""The cause of entries that end a shadow request where a live one would have gone on."""

APPEND_ONLY: Final = ("ledger_entry", "exposure_entry", "guard_entry")


def extra_ddl(dialect: str) -> tuple[str, ...]:
    """Return the triggers that refuse every change but an insert.

    SQLite's REPLACE deletes silently unless `recursive_triggers` is on, which every connection
    sets; an explicit id that exists already is refused by a trigger of its own all the same.
    """
    if dialect == "sqlite":
        return tuple(statement for table in APPEND_ONLY for statement in _sqlite(table))
    return (_REFUSE_FUNCTION, *(s for table in APPEND_ONLY for s in _postgresql(table)))


_MESSAGE: Final = "is append-only: correct it with a new entry"

_REFUSE_FUNCTION: Final = f"""
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% {_MESSAGE}', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$
""".strip()


def _sqlite(table: str) -> tuple[str, ...]:
    known_id = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - DDL, with our own name
    refuse = f"SELECT RAISE(ABORT, '{table} {_MESSAGE}');"
    return (
        f"CREATE TRIGGER tr_{table}_no_update BEFORE UPDATE ON {table} BEGIN {refuse} END",
        f"CREATE TRIGGER tr_{table}_no_delete BEFORE DELETE ON {table} BEGIN {refuse} END",
        (
            f"CREATE TRIGGER tr_{table}_no_replace BEFORE INSERT ON {table} {known_id} "
            f"BEGIN {refuse} END"
        ),
    )


def _postgresql(table: str) -> tuple[str, ...]:
    return (
        (
            f"CREATE TRIGGER tr_{table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        ),
        (
            f"CREATE TRIGGER tr_{table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        ),
    )
