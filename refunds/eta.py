"""When pending money will have covered a shortfall, and how far that may be believed.

This module adds up arrivals; it may not list them. It estimates: payouts and refunds change it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from refunds.money import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Pending money that becomes available; negative where a refund or a fee will be taken.

    Source: Stripe docs, "Balance transactions" (`available_on`, `net`).
    """

    on: datetime
    currency: Currency
    net_minor: int


class Confidence(StrEnum):
    """How far an estimate may be believed."""

    LIKELY = "likely"
    POSSIBLE = "possible"
    UNLIKELY = "unlikely"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """When the shortfall will be covered if nothing else happens."""

    at: datetime
    confidence: Confidence


SWEPT_DAILY: Final = "daily"
"""The payout interval that leaves nothing in an account overnight."""
_BY_HAND: Final = "manual"


def estimate(
    *,
    shortfall_minor: int,
    currency: Currency,
    ahead_minor: int,
    counted_minor: int = 0,
    arrivals: Iterable[Arrival],
    payout_interval: str | None,
    guarded: bool,
) -> Eta | None:
    """Return when arrivals cover the shortfall and what older requests will take first.

    `counted_minor` is pending money that the shortfall counts on already, the payment's own: when
    it arrives nothing is less short.

    `None` where the pending money known today never does. "unlikely" where daily payouts take
    whatever becomes available and nothing guards it; "possible" where other payouts or older
    requests stand in between; "likely" otherwise. A time gone by means that Stripe is late, and
    that it may be any moment.
    """
    if shortfall_minor + ahead_minor <= 0:
        return None
    missing_minor = shortfall_minor + ahead_minor + counted_minor
    due = sorted((a.on, a.net_minor) for a in arrivals if a.currency == currency)
    total_minor = 0
    covered_at: datetime | None = None
    for on, net_minor in due:
        total_minor += net_minor
        if total_minor < missing_minor:
            # What is taken again before it was enough doesn't count as covered.
            covered_at = None
        elif covered_at is None:
            covered_at = on
    if covered_at is None:
        return None
    return Eta(at=covered_at, confidence=_confidence(payout_interval, guarded, ahead_minor))


def _confidence(payout_interval: str | None, guarded: bool, ahead_minor: int) -> Confidence:
    if payout_interval == SWEPT_DAILY and not guarded:
        return Confidence.UNLIKELY
    if ahead_minor > 0 or not (guarded or payout_interval == _BY_HAND):
        return Confidence.POSSIBLE
    return Confidence.LIKELY
