"""The payout guard: whom it is due for, which settings it holds, what it asked of Stripe, and what
happened.

It may not hold an operator's value that could still be read at Stripe: those stand here because
they no longer can.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, text
from sqlmodel import Field

from refunds.attempt import AttemptState
from refunds.guard import GuardAct, GuardState
from store.tables.base import (
    Row,
    boolean_column,
    enum_column,
    integer_column,
    json_column,
    reference_column,
    serial_column,
    text_column,
    utc_column,
)

DUE_ONLY: Final = "due_at IS NOT NULL"
PREPARED_ONLY: Final = "state = 'prepared'"


class PayoutGuard(Row, table=True):
    """One account's guard: when it is due, who works on it, how it stands. Never deleted."""

    __tablename__ = "payout_guard"
    __table_args__ = (
        Index(
            "ix_payout_guard_due",
            "due_at",
            "account",
            sqlite_where=text(DUE_ONLY),
            postgresql_where=text(DUE_ONLY),
        ),
        Index("ix_payout_guard_state", "state", "account"),
    )

    account: str = Field(sa_column=text_column(primary_key=True))
    state: GuardState = Field(default=GuardState.OFF, sa_column=enum_column(GuardState))
    why: str = Field(default="", sa_column=text_column())
    since: datetime = Field(sa_column=utc_column())
    """Since when it stands so."""
    due_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    due_count: int = Field(default=0, sa_column=integer_column())
    """Grows with every mark: work that ends clears only the marks it began with."""
    due_cause: str | None = Field(default=None, sa_column=text_column(nullable=True))
    look: bool = Field(default=False, sa_column=boolean_column())
    """Whether the settings are to be read though our books ask for no change."""
    claimed_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    lease_expires_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    fence: int = Field(default=0, sa_column=integer_column())
    failures: int = Field(default=0, sa_column=integer_column())
    """Tries in a row that came to nothing."""
    not_before: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    """After a failure: news that comes earlier waits until then."""


class GuardedSetting(Row, table=True):
    """The operator's own value of one setting, which Sluice owes back. Absent is stored as null."""

    __tablename__ = "guarded_setting"

    account: str = Field(sa_column=reference_column("payout_guard.account", primary_key=True))
    setting: str = Field(sa_column=text_column(primary_key=True))
    """A currency, or `schedule`."""
    own: Any = Field(default=None, sa_column=json_column(nullable=True))
    written: Any = Field(default=None, sa_column=json_column(nullable=True))
    drifted: bool = Field(default=False, sa_column=boolean_column())
    found: Any = Field(default=None, sa_column=json_column(nullable=True))
    since: datetime = Field(sa_column=utc_column())


class GuardAttempt(Row, table=True):
    """One change of an account's settings: its key and exact parameters, committed before the
    call.
    """

    __tablename__ = "guard_attempt"
    __table_args__ = (
        Index(
            "uq_guard_attempt_prepared",
            "account",
            unique=True,
            sqlite_where=text(PREPARED_ONLY),
            postgresql_where=text(PREPARED_ONLY),
        ),
        Index("ix_guard_attempt_account", "account", "id"),
    )

    id: str = Field(sa_column=text_column(primary_key=True))
    account: str = Field(sa_column=reference_column("payout_guard.account"))
    idempotency_key: str = Field(sa_column=text_column(unique=True))
    params: dict[str, Any] = Field(sa_column=json_column())
    changes: list[dict[str, Any]] = Field(sa_column=json_column())
    target: GuardState = Field(sa_column=enum_column(GuardState))
    """How the guard stands once it is done."""
    why: str = Field(sa_column=text_column())
    cause: str = Field(sa_column=text_column())
    state: AttemptState = Field(default=AttemptState.PREPARED, sa_column=enum_column(AttemptState))
    prepared_at: datetime = Field(sa_column=utc_column())
    settled_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    tries: int = Field(default=0, sa_column=integer_column())
    last_trouble: str | None = Field(default=None, sa_column=text_column(nullable=True))


class GuardEntry(Row, table=True):
    """One thing that happened to one setting of one account; appended, never changed."""

    __tablename__ = "guard_entry"
    __table_args__ = (Index("ix_guard_entry_account", "account", "id"),)

    id: int | None = Field(default=None, sa_column=serial_column())
    at: datetime = Field(sa_column=utc_column())
    account: str = Field(sa_column=reference_column("payout_guard.account"))
    setting: str = Field(sa_column=text_column())
    act: GuardAct = Field(sa_column=enum_column(GuardAct))
    before: Any = Field(default=None, sa_column=json_column(nullable=True))
    after: Any = Field(default=None, sa_column=json_column(nullable=True))
    attempt_id: str | None = Field(
        default=None, sa_column=reference_column("guard_attempt.id", nullable=True)
    )
    cause: str = Field(sa_column=text_column())
    why: str = Field(sa_column=text_column())
