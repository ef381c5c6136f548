"""Reviews that nobody answered, a row for each day.

It may not decide whether a review is late; it says since when each waits.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, text
from sqlmodel import col, select

from refunds.decision import Rule
from refunds.ids import RequestId
from refunds.lifecycle import Bucket
from store.database import Unit
from store.tables.ledger import LedgerEntry
from store.tables.requests import MOVING_ONLY, EvaluationRow, Mode, RefundRequest, RequestBucket
from store.tables.rules import ReviewEscalation
from store.upsert import insert_or_ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class InReview:
    """A request that lies in review, and why."""

    request: RequestId
    account: str | None
    since: datetime
    rule: Rule
    why: str


def in_review(unit: Unit, mode: Mode, after: RequestId | None, limit: int) -> list[InReview]:
    """Return up to `limit` requests of a mode in review, by id and after `after`, but none whose
    refund waits for its buyer at Stripe.
    """
    since = (
        select(func.max(LedgerEntry.at))
        .where(col(LedgerEntry.request_id) == col(RequestBucket.request_id))
        .where(col(LedgerEntry.to_bucket) == Bucket.REVIEW)
        .scalar_subquery()
    )
    statement = (
        select(RequestBucket.request_id, RefundRequest.account, since, EvaluationRow)
        .join(RefundRequest, col(RefundRequest.id) == col(RequestBucket.request_id))
        .join(EvaluationRow, col(EvaluationRow.id) == col(RefundRequest.evaluation_id))
        .where(text(MOVING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.bucket) == Bucket.REVIEW, col(RefundRequest.mode) == mode)
        .where(col(EvaluationRow.rule) != Rule.REQUIRES_ACTION)
        .order_by(col(RequestBucket.request_id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(RequestBucket.request_id) > after)
    return [
        InReview(
            request=RequestId(request),
            account=account,
            since=began,
            rule=evaluation.rule,
            why=evaluation.why,
        )
        for request, account, began, evaluation in unit.exec(statement)
    ]


def add_escalation(unit: Unit, review: InReview, nth: int, now: datetime) -> bool:
    """Note the n-th day of a review; return whether it was not noted before."""
    return insert_or_ignore(
        unit,
        ReviewEscalation,
        request_id=review.request,
        review_since=review.since,
        nth=nth,
        at=now,
    )


def escalations_of(unit: Unit, request: RequestId | str) -> list[ReviewEscalation]:
    """Return the days a request went without an answer, in order."""
    statement = select(ReviewEscalation).where(col(ReviewEscalation.request_id) == request)
    return list(unit.exec(statement.order_by(col(ReviewEscalation.id))))
