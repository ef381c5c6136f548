"""A waiting request as a release run sees it: what it asks of whom, and how long it has waited.

This module holds values and their order; it may not look at a balance or judge.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from refunds.decision import Rule
from refunds.ids import RequestId
from refunds.money import Money
from refunds.need import Draw, Leg, Need, PurseKey, Split, draws_of
from refunds.policy import Order, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One waiting request, or the part of it that is to go now."""

    request: RequestId
    created: datetime
    legs: tuple[Leg, ...]
    """Empty in the platform's own lane. The first one's account is the request's lane."""
    amount: Money
    """What the buyer gets, in the charge's currency."""
    platform_cost: Money
    deadline: datetime
    part_of: Money | None = None
    """The whole of what waits, where only a part is to go now."""
    split: Split | None = None
    """How a payment that was split is taken back."""
    at_hand_minor: int = 0
    """Reversed by this request already, of a payment with one transfer of its own, for a refund
    that came to nothing; the transfer's currency.
    """
    window_closes: datetime | None = None
    """Until when its payment method can be refunded, where the policy says so."""
    skipped_runs: int = 0
    urgent: bool = False
    by_person: bool = False
    """A person released it: it goes out whatever the account covers."""
    stripe_queues: bool = False
    """A direct charge whose refund goes out at once: Stripe queues it while the account is short.
    """
    waived: Set[Rule] = frozenset()

    @property
    def draws(self) -> tuple[Draw, ...]:
        """What it asks of each purse."""
        return draws_of(self.legs)

    @property
    def need(self) -> Need | None:
        """What it asks of its home purse; `None` in the platform's own lane."""
        draws = self.draws
        return draws[0].need if draws else None

    @property
    def takes(self) -> dict[PurseKey, int]:
        """What it takes from each available balance when released in full, where anything."""
        return {
            draw.purse: draw.from_available_minor
            for draw in self.draws
            if draw.from_available_minor > 0
        }

    @property
    def direct(self) -> bool:
        """Whether the payment lives in the account, so that nobody can stand in for it."""
        return any(leg.transfer is None for leg in self.legs)

    @property
    def may_overdraw(self) -> bool:
        """Whether Stripe is asked for all of it, whatever the account has now."""
        return self.stripe_queues or (self.direct and self.by_person)

    def without_own_pending(self) -> Self:
        """Return the request as one that counts on nothing but available money."""
        return replace(self, legs=tuple(replace(leg, own_pending_minor=0) for leg in self.legs))


def in_turn(candidates: Iterable[Candidate], policy: Policy) -> list[Candidate]:
    """Return the candidates in the order they are judged: urgent ones, then as the policy says.

    Nothing but age or starving comes before age, so that later ones can't keep an earlier one
    waiting for ever: whoever was passed over too often no longer yields to a nearer deadline.
    """
    if policy.order is not Order.DEADLINE_FIRST:
        return sorted(candidates, key=lambda c: (not c.urgent, c.created, c.request))

    def turn(c: Candidate) -> tuple[bool, bool, datetime, datetime, RequestId]:
        starved = c.skipped_runs >= policy.starve_after
        return (not c.urgent, not starved, c.deadline, c.created, c.request)

    return sorted(candidates, key=turn)
