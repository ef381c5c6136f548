"""Answers that callers were given under a key, to be given again.

It may not hold a wish's key: that stands on its refund request.
"""

from datetime import datetime
from typing import Any

from sqlmodel import Field

from store.tables.base import Row, json_column, text_column, utc_column


class KeptAnswer(Row, table=True):
    """What was done under a caller's idempotency key, and what they were told."""

    __tablename__ = "kept_answer"

    actor: str = Field(sa_column=text_column(primary_key=True))
    idempotency_key: str = Field(sa_column=text_column(primary_key=True))
    digest: str = Field(sa_column=text_column())
    """SHA-256 of what was asked: the same key with something else is refused."""
    answer: dict[str, Any] = Field(sa_column=json_column())
    created: datetime = Field(sa_column=utc_column())
