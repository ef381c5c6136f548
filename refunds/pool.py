"""The money a release run may still promise, balance by balance.

This module adds and subtracts; it may not read a balance or judge a request.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Self

from refunds.candidate import Candidate
from refunds.ids import AccountId
from refunds.money import Currency, Money
from refunds.need import Draw, PurseKey
from refunds.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One balance as a run found it; minor units per currency."""

    available: Mapping[Currency, int] = field(default_factory=dict)
    reserved: Mapping[Currency, int] = field(default_factory=dict)
    minimum: Mapping[Currency, int] = field(default_factory=dict)
    """What must stay there."""
    queued: Mapping[Currency, int] = field(default_factory=dict)
    """What Stripe takes first: refunds of other hands that wait for money to come in."""

    def free_minor(self) -> dict[Currency, int]:
        """Return what may be promised of each currency; below nothing where too much was."""
        left = Counter(self.available)
        for kept in (self.reserved, self.minimum, self.queued):
            left.subtract(kept)
        return dict(left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What a run may still promise. Amounts are minor units, reservations deducted."""

    account: Mapping[PurseKey, int]
    """available - reserved - minimum balance, of connected accounts."""
    platform: Mapping[Currency, int]
    """available - reserved, of the platform."""
    barred: Set[PurseKey] = field(default_factory=frozenset)
    """Purses an overlooked older request keeps younger ones from."""
    closed: Set[PurseKey] = field(default_factory=frozenset)
    """Purses in which Stripe contradicted our figures: nothing more in this run."""

    def spendable_for(self, draw: Draw) -> int:
        """Return what a request may count on in one purse, need's currency."""
        return self.account.get(draw.purse, 0) + draw.own_pending_minor

    def takes_of(self, candidate: Candidate) -> dict[PurseKey, int]:
        """Return what a release takes from each available balance.

        An uncovered release takes no more than there is; the rest is the platform's exposure. What
        Stripe queues will take all of it: it has first claim on whatever comes in.
        """
        if candidate.may_overdraw:
            return candidate.takes
        return {
            draw.purse: min(draw.from_available_minor, max(0, self.account.get(draw.purse, 0)))
            for draw in candidate.draws
        }

    def spare_for(self, candidate: Candidate) -> tuple[int, ...]:
        """Return what each leg's account can give towards it, need's currency; below nothing where
        the account owes more than it has. Legs that share a purse are served in order.
        """
        left = dict(self.account)
        spare = []
        shared = len(candidate.draws) < len(candidate.legs)
        for leg in candidate.legs:
            has_minor = left.get(leg.purse, 0)
            own_minor = leg.own_pending_minor
            if shared:
                has_minor, own_minor = max(0, has_minor), min(own_minor, leg.need.total_minor)
            spare.append(has_minor + own_minor)
            left[leg.purse] = max(0, has_minor - leg.from_available_minor)
        return tuple(spare)

    def take(self, takes: Mapping[PurseKey, int], platform: Money) -> Self:
        """Return the pool after a release was promised these amounts."""
        left = dict(self.account)
        for purse, minor in takes.items():
            left[purse] = left.get(purse, 0) - minor
        ours = dict(self.platform)
        ours[platform.currency] = ours.get(platform.currency, 0) - platform.amount_minor
        return replace(self, account=left, platform=ours)

    def pass_over(self, candidate: Candidate, policy: Policy) -> Self:
        """Return the pool after this request was left waiting: starved too long, it bars others."""
        if not candidate.legs or candidate.skipped_runs < policy.starve_after:
            return self
        return replace(self, barred=self.barred | {draw.purse for draw in candidate.draws})

    def close(self, purses: Iterable[PurseKey]) -> Self:
        """Return the pool after Stripe refused for want of money in these purses."""
        return replace(self, closed=self.closed | {*purses})


def open_pool(*, accounts: Mapping[AccountId, Holding], platform: Holding) -> Pool:
    """Return what there is to promise, from balances and the reservations taken before them."""
    return Pool(
        account={
            (account, currency): minor
            for account, holding in accounts.items()
            for currency, minor in holding.free_minor().items()
        },
        platform=platform.free_minor(),
    )
