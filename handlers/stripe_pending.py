"""Tells somebody, once for each threshold, that Stripe is about to fail a refund it holds.

It may not free money or send anything: what Stripe holds ends at Stripe.
"""

from collections.abc import Callable
from typing import Final

import structlog

from handlers.services import Services
from refunds.notifications import Kind
from refunds.stripe_pending import StripePending
from store.outbox import tell_of_request
from store.requests import get_request
from store.stripe_pending import note_alert, stripe_pending

PAGE: Final = 200

_log = structlog.get_logger(__name__)


def watch_stripe_pending(services: Services, keep: Callable[[], None]) -> str:
    """Look at every refund that Stripe holds; return what was seen in words."""
    after: StripePending | None = None
    count = alerts = 0
    while True:
        with services.database.reading() as unit:
            page = stripe_pending(unit, after=after, limit=PAGE)
        count += len(page)
        alerts += sum(_alert(services, each) for each in page)
        if len(page) < PAGE:
            held = "refund is" if count == 1 else "refunds are"
            return f"{count} {held} held by Stripe, {alerts} new alerts"
        after = page[-1]
        keep()


def _alert(services: Services, pending: StripePending) -> bool:
    now = services.clock()
    days = pending.alert(now)
    if days is None:
        return False
    with services.database.unit_of_work() as unit:
        first = note_alert(unit, pending.refund, days)
        if first:
            left = pending.days_left(now)
            days_left = f"{left} {'day' if left == 1 else 'days'}"
            tell_of_request(
                unit,
                Kind.STRIPE_PENDING,
                get_request(unit, pending.request),
                at=now,
                why=f"Stripe holds {pending.refund} over {pending.amount} for want of money in "
                f"the balance that pays it, and gives it up in {days_left}.",
            )
    if first:
        _log.error(
            "refund.stripe_pending",
            refund=pending.refund,
            request=pending.request,
            account=pending.account,
            amount_minor=pending.amount.amount_minor,
            currency=pending.amount.currency,
            days_left=pending.days_left(now),
            fails_at=pending.fails_at.isoformat(),
            disputes=list(pending.disputes),
        )
    return first
