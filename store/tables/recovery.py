"""Money taken back from accounts for which the platform stood in, one row a try, and the switches
by which a person stops that.

It may not hold an outcome without the intent that came before it.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from refunds.attempt import AttemptState
from store.tables.base import (
    Row,
    boolean_column,
    enum_column,
    integer_column,
    json_column,
    minor_column,
    reference_column,
    text_column,
    utc_column,
)

PREPARED_ONLY: Final = "state = 'prepared'"


class RecoveryAttempt(Row, table=True):
    """One persisted try to reverse what an uncovered release left with an account."""

    __tablename__ = "recovery_attempt"
    __table_args__ = (
        CheckConstraint("reversal_minor > 0", name="ck_recovery_attempt_reversal_positive"),
        CheckConstraint(
            "(state = 'prepared') = (settled_at IS NULL)",
            name="ck_recovery_attempt_settled_unless_prepared",
        ),
        # Two under way at once would take back the same money twice.
        Index(
            "uq_recovery_attempt_prepared",
            "attempt_id",
            unique=True,
            sqlite_where=text(PREPARED_ONLY),
            postgresql_where=text(PREPARED_ONLY),
        ),
        Index(
            "ix_recovery_attempt_due",
            "next_try_at",
            "id",
            sqlite_where=text(PREPARED_ONLY),
            postgresql_where=text(PREPARED_ONLY),
        ),
        Index("ix_recovery_attempt_attempt_id", "attempt_id", "id"),
        Index("ix_recovery_attempt_account", "account", "id"),
        Index("ix_recovery_attempt_settled_at", "settled_at", "id"),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    attempt_id: str = Field(sa_column=reference_column("release_attempt.id"))
    """The uncovered release whose exposure it makes smaller."""
    request_id: str = Field(sa_column=reference_column("refund_request.id"))
    charge_id: str = Field(sa_column=reference_column("charge.id"))
    account: str = Field(sa_column=text_column())
    transfer: str = Field(sa_column=text_column())
    reversal_minor: int = Field(sa_column=minor_column())
    """As asked, in the transfer's currency."""
    takes_minor: int = Field(sa_column=minor_column())
    """What is kept for it until its outcome is known, in `currency`."""
    currency: str = Field(sa_column=text_column())
    """The account's settlement currency."""
    idempotency_key: str = Field(sa_column=text_column(unique=True))
    params: dict[str, Any] = Field(sa_column=json_column())
    state: AttemptState = Field(default=AttemptState.PREPARED, sa_column=enum_column(AttemptState))
    prepared_at: datetime = Field(sa_column=utc_column())
    settled_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    reversal: str | None = Field(default=None, sa_column=text_column(nullable=True))
    reversed_minor: int | None = Field(default=None, sa_column=minor_column(nullable=True))
    balance_transaction: str | None = Field(default=None, sa_column=text_column(nullable=True))
    tries: int = Field(default=0, sa_column=integer_column())
    next_try_at: datetime = Field(sa_column=utc_column())
    """When another worker may take it up."""
    fence: int = Field(default=0, sa_column=integer_column())
    last_trouble: str | None = Field(default=None, sa_column=text_column(nullable=True))


class RecoverySwitch(Row, table=True):
    """Whether a person has stopped recovery from one account, or from all; without a row nobody
    has.
    """

    __tablename__ = "recovery_switch"

    scope: str = Field(sa_column=text_column(primary_key=True))
    """An account, or `all`."""
    paused: bool = Field(default=False, sa_column=boolean_column())
    changed_at: datetime = Field(sa_column=utc_column())
    changed_by: str = Field(default="", sa_column=text_column())
    note: str = Field(default="", sa_column=text_column())
