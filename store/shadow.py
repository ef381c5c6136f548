"""Requests made in shadow mode with what became of each, read in bounded batches.

It may not count them; `refunds.shadow` does.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel import col, select

from refunds.decision import Outcome
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency, Money
from refunds.shadow import Course, ShadowRequest
from store.database import Unit
from store.tables.ledger import SHADOW_CAUSE, LedgerEntry
from store.tables.requests import SHADOW_ONLY, EvaluationRow, RefundRequest

BATCH: Final = 500

_ENDED: Final = frozenset({Bucket.CANCELED, Bucket.CLOSED, Bucket.REJECTED})
_COURSES: Final = {
    Status.HELD: Course.STILL_HELD,
    Status.REVIEW: Course.REVIEW,
    Status.REJECTED: Course.REJECTED,
    Status.CANCELED: Course.ENDED,
    Status.CLOSED: Course.ENDED,
}


def shadow_requests(unit: Unit, batch: int = BATCH) -> Iterator[ShadowRequest]:
    """Yield every shadow request, the oldest first. In a `reading()` unit all are of one moment."""
    last = ""
    while True:
        statement = (
            select(RefundRequest, EvaluationRow)
            .join(
                EvaluationRow,
                col(EvaluationRow.id) == col(RefundRequest.evaluation_id),
                isouter=True,
            )
            .where(text(SHADOW_ONLY), col(RefundRequest.id) > last)
            .order_by(col(RefundRequest.id))
            .limit(batch)
        )
        page = list(unit.exec(statement))
        entries = _entries_of(unit, [request.id for request, _ in page])
        for request, latest in page:
            yield _told(request, latest, entries[request.id])
        if len(page) < batch:
            return
        last = page[-1][0].id


def _entries_of(unit: Unit, requests: Sequence[str]) -> dict[str, list[LedgerEntry]]:
    found: dict[str, list[LedgerEntry]] = defaultdict(list)
    statement = select(LedgerEntry).where(col(LedgerEntry.request_id).in_(requests))
    for entry in unit.exec(statement.order_by(col(LedgerEntry.id))):
        found[entry.request_id].append(entry)
    return found


def _told(
    request: RefundRequest, latest: EvaluationRow | None, entries: Sequence[LedgerEntry]
) -> ShadowRequest:
    held = [entry.at for entry in entries if entry.to_bucket is Bucket.HELD]
    ended = [entry for entry in entries if entry.to_bucket in _ENDED]
    # While a part of it still waits, that is what it is.
    over = request.status is Status.CANCELED and bool(ended)
    pretended = over and ended[-1].cause == SHADOW_CAUSE
    course = _COURSES.get(request.status, Course.UNDECIDED)
    covered = None
    if pretended and latest is not None and latest.outcome is Outcome.RELEASE:
        course = Course.RELEASED_LATER if held else Course.RELEASED
        covered = _covered(latest)
    elif pretended:
        course = Course.REVIEW
    amount = None
    if request.amount_minor is not None and request.currency is not None:
        amount = Money(request.amount_minor, Currency(request.currency))
    return ShadowRequest(
        amount=amount,
        course=course,
        created=request.created,
        held_since=min(held, default=None),
        ended_at=max((entry.at for entry in ended), default=None),
        covered=covered,
    )


def _covered(latest: EvaluationRow) -> Money | None:
    if not latest.shortfall_minor or latest.need_minor is None or latest.need_currency is None:
        return None
    # A debt from other business is no part of what the platform stands in for.
    need_minor = latest.need_minor + (latest.fx_buffer_minor or 0)
    return Money(min(latest.shortfall_minor, need_minor), Currency(latest.need_currency))
