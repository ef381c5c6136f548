"""Which open requests want money to stay in an account: those that wait for it, or may again.

It may not weigh what each of them needs.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, func, or_, text, union, union_all
from sqlalchemy import select as sa_select
from sqlmodel import col, select

from refunds.attempt import Purpose
from refunds.facts import RefundStatus
from refunds.ids import AccountId, lane_of
from refunds.lifecycle import Bucket
from store.database import Unit
from store.tables.attempts import PREPARED_ONLY, ReleaseAttempt
from store.tables.legs import RequestLeg
from store.tables.observations import Refund
from store.tables.requests import WAITING_ONLY, Charge, Mode, RefundRequest, RequestBucket

LIMIT: Final = 2_000
"""Most requests that are counted of one account, the oldest: as many as a run looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """A request with what of it still has to be taken from the account."""

    request: RefundRequest
    charge: Charge
    amount_minor: int


def wanting_money(unit: Unit, account: AccountId) -> list[OpenRequest]:
    """Return the live requests, oldest first, for which the account's money should stay."""
    # A request that is at home there and draws on it once more is one request all the same: the
    # union leaves doubles out.
    at_home = col(RequestBucket.lane) == lane_of(account)
    waiting = union(_waiting().where(at_home), _on_legs(_waiting(), account)).subquery()
    parts = union_all(
        sa_select(waiting.c.request_id, waiting.c.amount_minor), _releasing(account)
    ).subquery()
    sums = (
        select(parts.c.request_id, func.sum(parts.c.amount_minor).label("amount_minor"))
        .group_by(parts.c.request_id)
        .order_by(parts.c.request_id)
        .limit(LIMIT)
        .subquery()
    )
    statement = (
        select(RefundRequest, Charge, sums.c.amount_minor)
        .join(sums, sums.c.request_id == col(RefundRequest.id))
        .join(Charge, col(Charge.id) == col(RefundRequest.charge_id))
        .where(col(RefundRequest.mode) == Mode.LIVE)
        .order_by(col(RefundRequest.id))
    )
    return [
        OpenRequest(request=request, charge=charge, amount_minor=int(amount_minor))
        for request, charge, amount_minor in unit.exec(statement)
    ]


def _waiting() -> Select[str, Bucket, int]:
    # Its money was taken with the refund that waits for the buyer.
    taken_already = (
        select(Refund.id)
        .where(col(Refund.request_id) == col(RequestBucket.request_id))
        .where(col(Refund.status) == RefundStatus.REQUIRES_ACTION)
        .exists()
    )
    return (
        sa_select(
            col(RequestBucket.request_id),
            col(RequestBucket.bucket),
            col(RequestBucket.amount_minor),
        )
        .where(text(WAITING_ONLY))
        # What is only requested is about to be released, or held.
        .where(col(RequestBucket.bucket) != Bucket.REQUESTED)
        .where((col(RequestBucket.bucket) != Bucket.REVIEW) | ~taken_already)
    )


def _on_legs(waiting: Select[str, Bucket, int], account: AccountId) -> Select[str, Bucket, int]:
    return waiting.join(
        RequestLeg, col(RequestLeg.request_id) == col(RequestBucket.request_id)
    ).where(col(RequestLeg.account) == account)


def _releasing(account: AccountId) -> Select[str, int]:
    """Attempts without an outcome: looked for where they are few, not among all buckets."""
    legs = select(RequestLeg.request_id).where(col(RequestLeg.account) == account)
    return sa_select(col(ReleaseAttempt.request_id), col(ReleaseAttempt.amount_minor)).where(
        text(PREPARED_ONLY),
        col(ReleaseAttempt.purpose) != Purpose.COMPENSATION,
        or_(
            col(ReleaseAttempt.lane) == lane_of(account),
            col(ReleaseAttempt.request_id).in_(legs),
        ),
    )
