"""Requests that wait, by their deadlines.

It may not decide what follows from a deadline.
"""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import col, select

from refunds.ids import RequestId
from store.database import Unit
from store.tables.requests import WAITING_ONLY, RefundRequest, RequestBucket


def due_soon(
    unit: Unit, before: datetime, after: RequestId | None, limit: int
) -> list[RefundRequest]:
    """Return up to `limit` requests that wait and whose deadline comes before a time, by id and
    after `after`; locked until the unit ends.
    """
    waits = (
        select(RequestBucket.request_id)
        .where(text(WAITING_ONLY), col(RequestBucket.request_id) == col(RefundRequest.id))
        .exists()
    )
    statement = (
        select(RefundRequest)
        .where(waits, col(RefundRequest.deadline) <= before)
        .order_by(col(RefundRequest.id))
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        statement = statement.where(col(RefundRequest.id) > after)
    return list(unit.exec(statement))
