"""One run over one lane: the money there is, and each request judged against what is left of it.

This module is a fold over values; it may not read a balance or know which request is prepared.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

from refunds.blocks import check_deadline
from refunds.decision import Decision, Evaluation, Outcome, Rule, decide, describe_need
from refunds.ids import RequestId
from refunds.money import Currency, Money, format_minor
from refunds.need import Need
from refunds.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A waiting request as a run sees it."""

    request: RequestId
    created: datetime
    need: Need | None
    """`None` in the platform's own lane."""
    own_pending_minor: int
    """The payment's own pending money that may count, need's currency."""
    platform_cost: Money
    deadline: datetime
    skipped_runs: int = 0
    urgent: bool = False
    by_person: bool = False
    """A person released it: it goes out whatever the account covers."""
    waived: Set[Rule] = frozenset()

    @property
    def from_available_minor(self) -> int:
        """What it takes from the account's available balance when released in full."""
        if self.need is None:
            return 0
        return max(0, self.need.total_minor - self.own_pending_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What a run may still promise. Amounts are minor units per currency, reservations deducted."""

    account: Mapping[Currency, int]
    """available - reserved - minimum balance, of the connected account."""
    platform: Mapping[Currency, int]
    """available - reserved, of the platform."""
    barred: Set[Currency] = field(default_factory=frozenset)
    """Currencies an overlooked older request keeps younger ones from."""
    closed: Set[Currency] = field(default_factory=frozenset)
    """Currencies in which Stripe contradicted our figures: nothing more in this run."""

    def spendable_for(self, candidate: Candidate) -> int | None:
        """Return what this request may count on, need's currency; `None` in the platform's lane."""
        if candidate.need is None:
            return None
        return self.account.get(candidate.need.currency, 0) + candidate.own_pending_minor

    def take(self, account: Money | None, platform: Money) -> Self:
        """Return the pool after a release was promised these amounts."""
        left = dict(self.account)
        if account is not None:
            left[account.currency] = left.get(account.currency, 0) - account.amount_minor
        ours = dict(self.platform)
        ours[platform.currency] = ours.get(platform.currency, 0) - platform.amount_minor
        return replace(self, account=left, platform=ours)

    def pass_over(self, candidate: Candidate, policy: Policy) -> Self:
        """Return the pool after this request was left waiting: starved too long, it bars others."""
        if candidate.need is None or candidate.skipped_runs < policy.starve_after:
            return self
        return replace(self, barred=self.barred | {candidate.need.currency})

    def close(self, currency: Currency) -> Self:
        """Return the pool after Stripe refused for want of money in this currency."""
        return replace(self, closed=self.closed | {currency})


def open_pool(
    *,
    available: Mapping[Currency, int],
    reserved: Mapping[Currency, int],
    platform_available: Mapping[Currency, int],
    platform_reserved: Mapping[Currency, int],
    policy: Policy,
) -> Pool:
    """Return what there is to promise, from two balances and the reservations taken before them."""
    return Pool(
        account={
            currency: available.get(currency, 0)
            - reserved.get(currency, 0)
            - policy.minimum_balance.get(currency, 0)
            for currency in available.keys() | reserved.keys() | policy.minimum_balance.keys()
        },
        platform={
            currency: platform_available.get(currency, 0) - platform_reserved.get(currency, 0)
            for currency in platform_available.keys() | platform_reserved.keys()
        },
    )


def in_turn(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates in the order they are judged: urgent ones, then the oldest first."""
    return sorted(candidates, key=lambda c: (not c.urgent, c.created, c.request))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hand:
    """One candidate against one pool, with the figures every rule needs."""

    candidate: Candidate
    pool: Pool
    spendable_minor: int | None
    shortfall_minor: int | None


def _platform_short(hand: _Hand) -> Decision | None:
    cost = hand.candidate.platform_cost
    has_minor = hand.pool.platform.get(cost.currency, 0)
    if has_minor >= cost.amount_minor:
        return None
    return decide(
        Outcome.HOLD,
        Rule.PLATFORM_SHORT,
        f"The platform's balance has {format_minor(has_minor, cost.currency)} to spend; "
        f"the refund takes {cost} from it first.",
    )


def _by_person(hand: _Hand) -> Decision | None:
    if not hand.candidate.by_person:
        return None
    need = hand.candidate.need
    if need is None or not hand.shortfall_minor:
        return decide(
            Outcome.RELEASE, Rule.PERSON, "A person released it, and the balance covers it."
        )
    # What the account owes already is no part of this refund: a debt adds nothing to its exposure.
    exposed = format_minor(min(hand.shortfall_minor, need.total_minor), need.currency)
    return decide(
        Outcome.RELEASE,
        Rule.PERSON,
        f"A person released it; the platform stands in for {exposed} of {describe_need(need)}.",
    )


def _contradicted(hand: _Hand) -> Decision | None:
    need = hand.candidate.need
    if need is None or need.currency not in hand.pool.closed:
        return None
    return decide(
        Outcome.HOLD,
        Rule.STRIPE_SHORT,
        "Stripe refused a release of this account for want of money a moment ago.",
    )


def _short(hand: _Hand) -> Decision | None:
    need = hand.candidate.need
    if need is None or not hand.shortfall_minor:
        return None
    missing = format_minor(hand.shortfall_minor, need.currency)
    return decide(Outcome.HOLD, Rule.COVER, f"{_figures(hand, need)}: {missing} short.")


def _out_of_turn(hand: _Hand) -> Decision | None:
    need = hand.candidate.need
    if need is None or need.currency not in hand.pool.barred:
        return None
    if hand.candidate.from_available_minor == 0:
        return None
    return decide(
        Outcome.HOLD,
        Rule.OLDER_FIRST,
        f"{_figures(hand, need)}, but an older request has waited too many runs.",
    )


def _covered(hand: _Hand) -> Decision:
    need = hand.candidate.need
    if need is None:
        cost = hand.candidate.platform_cost
        return decide(
            Outcome.RELEASE, Rule.COVER, f"The platform's own balance covers the refund of {cost}."
        )
    return decide(Outcome.RELEASE, Rule.COVER, f"{_figures(hand, need)}: covered.")


_HOLDING_RULES: Final = (_platform_short, _by_person, _contradicted, _short, _out_of_turn)
"""In this order; the first that has something to say decides."""


def judge(candidate: Candidate, pool: Pool, now: datetime) -> Evaluation:
    """Return the verdict on one request against what the pool still holds."""
    spendable_minor = pool.spendable_for(candidate)
    hand = _Hand(
        candidate=candidate,
        pool=pool,
        spendable_minor=spendable_minor,
        shortfall_minor=_shortfall(candidate, spendable_minor),
    )
    said = (decision for rule in _HOLDING_RULES if (decision := rule(hand)) is not None)
    decision = next(said, None) or _covered(hand)
    if decision.outcome is Outcome.HOLD:
        decision = check_deadline(candidate.deadline, now, candidate.waived) or decision
    return Evaluation(
        decision=decision,
        need=candidate.need,
        spendable_minor=spendable_minor,
        shortfall_minor=hand.shortfall_minor,
    )


def plan_run(
    candidates: Iterable[Candidate], pool: Pool, policy: Policy, now: datetime
) -> list[tuple[Candidate, Evaluation]]:
    """Return every verdict of a run in which nothing changes under way.

    With more balance never less of it is put to use: a request that fits takes at least as much as
    any smaller balance could have released (induction over the order). Where no request counts on
    pending money of its own, that is the released need.
    """
    verdicts = []
    for candidate in in_turn(candidates):
        evaluation = judge(candidate, pool, now)
        verdicts.append((candidate, evaluation))
        if evaluation.decision.outcome is Outcome.RELEASE:
            pool = pool.take(account_take(candidate, evaluation), candidate.platform_cost)
        else:
            pool = pool.pass_over(candidate, policy)
    return verdicts


def account_take(candidate: Candidate, evaluation: Evaluation) -> Money | None:
    """Return what a release takes from the account's available balance; `None`: it takes nothing.

    An uncovered release takes no more than is spendable; the rest is the platform's exposure.
    """
    need = candidate.need
    if need is None or evaluation.spendable_minor is None:
        return None
    spendable_minor = max(0, evaluation.spendable_minor - candidate.own_pending_minor)
    return Money(min(candidate.from_available_minor, spendable_minor), need.currency)


def _shortfall(candidate: Candidate, spendable_minor: int | None) -> int | None:
    if candidate.need is None or spendable_minor is None:
        return None
    if candidate.need.total_minor == 0:
        # Nothing is left to reverse: what the account owes already is no part of this refund.
        return 0
    return max(0, candidate.need.total_minor - spendable_minor)


def _figures(hand: _Hand, need: Need) -> str:
    has_minor = hand.spendable_minor
    assert has_minor is not None
    return (
        f"The account has {format_minor(has_minor, need.currency)} spendable, "
        f"the refund needs {describe_need(need)}"
    )
