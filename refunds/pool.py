"""The money a release run may still promise, balance by balance.

This module adds and subtracts; it may not read a balance or judge a request.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Self

from refunds.candidate import Candidate
from refunds.decision import Decision, Outcome, Rule
from refunds.ids import AccountId
from refunds.money import Currency, Money
from refunds.need import Draw, PurseKey
from refunds.policy import Order, Policy


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
class Caps:
    """What rules may still release uncovered. Minor units of need's currency."""

    day_left: Mapping[Currency, int] = field(default_factory=dict)
    """Of the platform's daily cap; nothing in a currency that is not there."""
    exposure_left: Mapping[PurseKey, int] = field(default_factory=dict)
    """Of the account's exposure limit; a purse that is not there has none."""

    def at_most(self, counted: Self) -> Self:
        """Return what both say is left, where it was counted again."""
        return replace(
            self,
            day_left={
                currency: min(minor, self.day_left.get(currency, 0))
                for currency, minor in counted.day_left.items()
            },
            exposure_left={
                **self.exposure_left,
                **{
                    purse: min(minor, self.exposure_left.get(purse, minor))
                    for purse, minor in counted.exposure_left.items()
                },
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What a run may still promise. Amounts are minor units, reservations deducted."""

    account: Mapping[PurseKey, int]
    """available - reserved - minimum balance, of connected accounts."""
    platform: Mapping[Currency, int]
    """available - reserved, of the platform."""
    barred: Set[PurseKey] = field(default_factory=frozenset)
    """Purses an overlooked older request keeps younger ones from."""
    platform_barred: Set[Currency] = field(default_factory=frozenset)
    """Currencies of the platform that an older request waits for, where nobody may pass it."""
    caps: Caps = field(default_factory=Caps)
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

    def cover(self, uncovered: Mapping[PurseKey, int], *, by_rule: bool) -> Self:
        """Return the pool after the platform stands in for these amounts; what a person releases
        counts for the account's exposure, not for the day.
        """
        day_left, exposure_left = dict(self.caps.day_left), dict(self.caps.exposure_left)
        for purse, minor in uncovered.items():
            if purse in exposure_left:
                exposure_left[purse] -= minor
            if by_rule:
                day_left[purse[1]] = day_left.get(purse[1], 0) - minor
        return replace(self, caps=Caps(day_left=day_left, exposure_left=exposure_left))

    def pass_over(self, candidate: Candidate, decision: Decision, policy: Policy) -> Self:
        """Return the pool after this request was left waiting: starved too long, it bars others.

        In strict order it bars them at once, from whatever it waits for.
        """
        strict = policy.order is Order.OLDEST_FIRST_STRICT
        if decision.outcome is not Outcome.HOLD:
            return self
        if strict and decision.rule is Rule.PLATFORM_SHORT:
            ours = self.platform_barred | {candidate.platform_cost.currency}
            return replace(self, platform_barred=ours)
        if not strict and candidate.skipped_runs < policy.starve_after:
            return self
        return replace(self, barred=self.barred | {draw.purse for draw in candidate.draws})

    def close(self, purses: Iterable[PurseKey]) -> Self:
        """Return the pool after Stripe refused for want of money in these purses."""
        return replace(self, closed=self.closed | {*purses})


def open_pool(
    *, accounts: Mapping[AccountId, Holding], platform: Holding, caps: Caps | None = None
) -> Pool:
    """Return what there is to promise, from balances and the reservations taken before them."""
    return Pool(
        account={
            (account, currency): minor
            for account, holding in accounts.items()
            for currency, minor in holding.free_minor().items()
        },
        platform=platform.free_minor(),
        caps=caps or Caps(),
    )
