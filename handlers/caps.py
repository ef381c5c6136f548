"""Says how much of the policy's caps is left, and which rows to lock so that it stays true.

It may not release anything; a verdict that goes beyond a cap is made impossible by what it returns.
"""

from collections.abc import Iterable
from datetime import datetime

from refunds.candidate import Candidate
from refunds.money import Currency
from refunds.need import PurseKey
from refunds.policy import Policy
from refunds.pool import Caps
from store.caps import DAY_PURSE, covered_since, exposure_of, exposure_purse
from store.database import Unit


def caps_left(unit: Unit, policy: Policy, purses: Iterable[PurseKey], now: datetime) -> Caps:
    """Return what is left of the day's cap, and of the exposure limit of these purses."""
    if not policy.covered_per_day:
        # Nothing may be released uncovered by a rule: what is left is nothing.
        return Caps()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    covered = covered_since(unit, today)
    return Caps(
        day_left={
            currency: cap_minor - covered.get(currency, 0)
            for currency, cap_minor in policy.covered_per_day.items()
        },
        exposure_left={
            purse: policy.exposure_limit[purse[1]] - exposure_of(unit, purse)
            for purse in set(purses)
            if purse[1] in policy.exposure_limit
        },
    )


def cap_purses(candidate: Candidate, policy: Policy) -> list[tuple[str, Currency]]:
    """Return the rows to lock before the caps are counted for this request.

    A person's release is locked as well: it adds to the exposure that a rule's is limited by.
    """
    if not policy.covered_per_day:
        return []
    return [
        lock
        for draw in candidate.draws
        for lock in (
            (DAY_PURSE, draw.need.currency),
            (exposure_purse(draw.account), draw.need.currency),
        )
    ]
