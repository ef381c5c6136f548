"""Refunds that Stripe queues and we did not send: money that will leave an account unasked.

It may not count refunds of ours; those are reserved for.
"""

from collections import Counter

from sqlmodel import col, select

from refunds.facts import ChargeType, RefundStatus
from refunds.ids import AccountId
from refunds.money import Currency, share_ceil
from store.database import Unit
from store.tables.observations import Refund
from store.tables.requests import Charge


def queued_by_others(unit: Unit, account: AccountId) -> dict[Currency, int]:
    """Return what refunds of an account's own payments, made by other hands, wait for there; minor
    units of the currencies they will be taken in.

    Known are those of payments that a request of ours is about.
    """
    statement = (
        select(Refund, Charge)
        .join(Charge, col(Charge.id) == col(Refund.charge_id))
        .where(col(Refund.status) == RefundStatus.PENDING)
        .where(col(Refund.pending_reason) == "insufficient_funds", col(Refund.observed).is_(True))
        .where(col(Charge.account) == account, col(Charge.charge_type) == ChargeType.DIRECT)
    )
    sums: Counter[Currency] = Counter()
    for refund, charge in unit.exec(statement):
        if charge.settled_minor is None or charge.settled_currency is None:
            sums[Currency(refund.currency)] += refund.amount_minor
            continue
        share_minor = share_ceil(refund.amount_minor, charge.amount_minor, charge.settled_minor)
        sums[Currency(charge.settled_currency)] += share_minor
    return dict(sums)
