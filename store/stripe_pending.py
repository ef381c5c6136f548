"""Refunds that Stripe holds for want of money, and what somebody was told of each.

It may not count their days; `refunds.stripe_pending` does.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import func, or_, text, update
from sqlmodel import col, select

from refunds.facts import DisputeFacts
from refunds.ids import AccountId, ChargeId, DisputeId, RefundId, RequestId
from refunds.money import Currency, Money
from refunds.stripe_pending import StripePending
from store.database import Unit
from store.tables.observations import STRIPE_PENDING_ONLY, Dispute, Refund
from store.tables.requests import RefundRequest


def stripe_pending(
    unit: Unit,
    *,
    after: StripePending | None = None,
    request: RequestId | None = None,
    limit: int,
) -> list[StripePending]:
    """Return up to `limit` of them after `after`, those that Stripe fails first at the front;
    `request` narrows them to one.
    """
    statement = (
        select(Refund, RefundRequest.account)
        .join(RefundRequest, col(RefundRequest.id) == col(Refund.request_id))
        .where(text(STRIPE_PENDING_ONLY.replace("status", "refund.status")))
        .order_by(col(Refund.created), col(Refund.id))
        .limit(limit)
    )
    if request is not None:
        statement = statement.where(col(Refund.request_id) == request)
    if after is not None:
        later = col(Refund.created) > after.since
        same = (col(Refund.created) == after.since) & (col(Refund.id) > after.refund)
        statement = statement.where(or_(later, same))
    rows = unit.exec(statement).all()
    disputes = _open_disputes(unit, [refund.charge_id for refund, _ in rows])
    return [
        StripePending(
            refund=RefundId(refund.id),
            request=RequestId(refund.request_id or ""),
            charge=ChargeId(refund.charge_id),
            account=AccountId(account) if account else None,
            amount=Money(refund.amount_minor, Currency(refund.currency)),
            since=refund.created,
            disputes=disputes[refund.charge_id],
            alerted_days=refund.alerted_days,
        )
        for refund, account in rows
    ]


def stripe_pending_sums(unit: Unit) -> list[tuple[int, Money]]:
    """Return how many there are and what they come to, per currency, in order of its code."""
    statement = (
        select(Refund.currency, func.count(), func.sum(Refund.amount_minor))
        .where(text(STRIPE_PENDING_ONLY))
        .group_by(col(Refund.currency))
        .order_by(col(Refund.currency))
    )
    return [
        (int(count), Money(int(minor), Currency(currency)))
        for currency, count, minor in unit.exec(statement)
    ]


def note_alert(unit: Unit, refund: RefundId, days: int) -> bool:
    """Note that somebody is told that so many days are left; return whether nobody was before."""
    told = (
        update(Refund)
        .where(col(Refund.id) == refund, text(STRIPE_PENDING_ONLY))
        .where(or_(col(Refund.alerted_days).is_(None), col(Refund.alerted_days) > days))
        .values(alerted_days=days)
    )
    # Without the option SQLAlchemy may have closed psycopg's cursor before its count is read.
    return bool(unit.exec(told, execution_options={"preserve_rowcount": True}).rowcount == 1)


def _open_disputes(unit: Unit, charges: Sequence[str]) -> dict[str, tuple[DisputeId, ...]]:
    found: dict[str, tuple[DisputeId, ...]] = defaultdict(tuple)
    statement = select(Dispute).where(col(Dispute.charge_id).in_(charges))
    for row in unit.exec(statement.order_by(col(Dispute.id))):
        facts = DisputeFacts(
            dispute=DisputeId(row.id),
            charge=ChargeId(row.charge_id),
            status=row.status,
            charge_refundable=row.charge_refundable,
        )
        if not facts.closed:
            found[row.charge_id] += (facts.dispute,)
    return found
