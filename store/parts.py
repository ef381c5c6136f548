"""How many parts of a request were sent, and whether one is under way.

It may not know how many there may be.
"""

from sqlalchemy import func
from sqlmodel import col, select

from refunds.attempt import AttemptState, Purpose
from refunds.ids import RequestId
from store.database import Unit
from store.tables.attempts import ReleaseAttempt
from store.tables.ledger import SHADOW_CAUSE, LedgerEntry


def parts_sent(unit: Unit, request: RequestId | str) -> int:
    """Return how many attempts of a request brought a refund, or may yet; of a shadow request how
    many there would have been.
    """
    statement = (
        select(func.count())
        .where(col(ReleaseAttempt.request_id) == request)
        .where(col(ReleaseAttempt.purpose) == Purpose.RELEASE)
        .where(col(ReleaseAttempt.state).in_([AttemptState.PREPARED, AttemptState.DONE]))
    )
    pretended = (
        select(func.count())
        .where(col(LedgerEntry.request_id) == request)
        .where(col(LedgerEntry.cause) == SHADOW_CAUSE)
    )
    return int(unit.exec(statement).one()) + int(unit.exec(pretended).one())


def under_way(unit: Unit, request: RequestId | str) -> bool:
    """Whether an attempt of this request has no outcome yet."""
    statement = (
        select(ReleaseAttempt.id)
        .where(col(ReleaseAttempt.request_id) == request)
        .where(col(ReleaseAttempt.state) == AttemptState.PREPARED)
        .limit(1)
    )
    return unit.exec(statement).first() is not None
