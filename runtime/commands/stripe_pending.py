"""Refunds that Stripe itself holds, as `sluice status` and `sluice requests ID` show them.

It may not look for them or count their days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import RenderableType

from refunds.money import Money
from refunds.stripe_pending import ALERT_DAYS, FAILS_AFTER, StripePending
from runtime.display import moment, money, span, table
from store.database import Unit
from store.stripe_pending import stripe_pending, stripe_pending_sums

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldByStripe:
    """How much Stripe holds, and the refunds that it gives up first."""

    sums: Sequence[tuple[int, Money]]
    first: Sequence[StripePending]

    @property
    def count(self) -> int:
        """How many refunds Stripe holds."""
        return sum(count for count, _ in self.sums)


def look_at_held_by_stripe(unit: Unit) -> HeldByStripe:
    """Return what Stripe holds now."""
    return HeldByStripe(sums=stripe_pending_sums(unit), first=stripe_pending(unit, limit=_SHOWN))


def problem_of(held: HeldByStripe, now: datetime) -> str | None:
    """Return what is wrong where a refund has so little time left that somebody was alerted."""
    if not held.first or held.first[0].days_left(now) > max(ALERT_DAYS):
        return None
    pending = held.first[0]
    return (
        f"{pending.refund} ({money(pending.amount.amount_minor, pending.amount.currency)}) waits "
        f"at Stripe for money and fails in {span(pending.left(now))}: add funds to the balance it "
        f"is paid from. See: sluice requests {pending.request}"
    )


def object_of(held: HeldByStripe, now: datetime) -> dict[str, object]:
    """Return what Stripe holds, for programs."""
    return {
        "refunds": held.count,
        "sums": [{"amount": sum_.amount_minor, "currency": sum_.currency} for _, sum_ in held.sums],
        "first": [one_object(each, now) for each in held.first],
    }


def one_object(pending: StripePending, now: datetime) -> dict[str, object]:
    """Return one refund that Stripe holds, for programs."""
    return {
        "refund": pending.refund,
        "refund_request": pending.request,
        "charge": pending.charge,
        "account": pending.account,
        "amount": pending.amount.amount_minor,
        "currency": pending.amount.currency,
        "since": int(pending.since.timestamp()),
        "fails_at": int(pending.fails_at.timestamp()),
        "days_left": pending.days_left(now),
        "disputes": list(pending.disputes),
    }


def sentence_of(held: HeldByStripe, now: datetime) -> str:
    """Return one line about all of them."""
    if not held.first:
        return "nothing"
    amounts = ", ".join(money(sum_.amount_minor, sum_.currency) for _, sum_ in held.sums)
    return f"{held.count} ({amounts}), the first fails in {span(held.first[0].left(now))}"


def one_sentence(pending: StripePending, now: datetime) -> str:
    """Return one line about one of them."""
    text = (
        f"{pending.refund} since {moment(pending.since)}, for want of money; it fails "
        f"{FAILS_AFTER.days} days later, in {span(pending.left(now))}"
    )
    if pending.disputes:
        text += f". A chargeback fails it at once: {', '.join(pending.disputes)} is not over"
    return text


def rows_of(held: HeldByStripe, now: datetime) -> RenderableType:
    """Return those that fail first as a table."""
    columns = ("refund", "request", "amount", "held since", "days left", "dispute danger")
    rows = [
        (
            each.refund,
            each.request,
            money(each.amount.amount_minor, each.amount.currency),
            moment(each.since),
            str(each.days_left(now)),
            ", ".join(each.disputes) or "none known",
        )
        for each in held.first
    ]
    more = f", the first {_SHOWN} of {held.count}" if held.count > len(held.first) else ""
    return table(f"Held by Stripe itself{more}", columns, rows)
