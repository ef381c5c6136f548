"""Refunds that Stripe itself holds for want of money: how long they have left, and what ends them.

This module counts days; it may not read a refund or tell anybody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from refunds.ids import AccountId, ChargeId, DisputeId, RefundId, RequestId
from refunds.money import Money

FAILS_AFTER: Final = timedelta(days=45)
"""Stripe then fails the refund by itself. Source: Stripe docs, "Refunds", pending refunds."""
ALERT_DAYS: Final = (14, 7, 1)
"""When so many days are left somebody is told, once for each."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StripePending:
    """One refund of ours that Stripe accepted and can't pay: `pending`, `insufficient_funds`."""

    refund: RefundId
    request: RequestId
    charge: ChargeId
    account: AccountId | None
    """The connected account its request draws on."""
    amount: Money
    since: datetime
    """When Stripe made it; its 45 days run from here."""
    disputes: tuple[DisputeId, ...]
    """Disputes of the charge that are not over: a chargeback fails the refund at once."""
    alerted_days: int | None
    """For which of `ALERT_DAYS` somebody was told last."""

    @property
    def fails_at(self) -> datetime:
        """When Stripe gives it up unless the money comes."""
        return self.since + FAILS_AFTER

    def left(self, now: datetime) -> timedelta:
        """How long it has; nothing once it is over."""
        return max(timedelta(0), self.fails_at - now)

    def days_left(self, now: datetime) -> int:
        """How many whole days it has."""
        return self.left(now) // _DAY

    def alert(self, now: datetime) -> int | None:
        """Return which of `ALERT_DAYS` is to be told now; `None`: none, or it was told already.

        After a pause that went over several only the last of them is told.
        """
        reached = min((days for days in ALERT_DAYS if self.left(now) <= days * _DAY), default=None)
        if reached is None or self.alerted_days is None:
            return reached
        return reached if reached < self.alerted_days else None
