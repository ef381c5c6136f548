"""One run over one lane: each request judged, rule by rule, against what is left of the money.

This module is a fold over values; it may not read a balance or know which request is prepared.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from refunds.blocks import check_deadline
from refunds.candidate import Candidate, in_turn
from refunds.decision import Decision, Evaluation, Outcome, Rule, Shortfall, decide
from refunds.hand import Hand, hand_of, missing, stands_in, told
from refunds.money import Money, format_minor
from refunds.policy import OnDeadline, Policy
from refunds.pool import Pool
from refunds.uncovered import cover_overdue, small_shortfall, uncovered_of


def _review_above(hand: Hand) -> Decision | None:
    candidate, amount = hand.candidate, hand.candidate.amount
    limit_minor = hand.policy.review_above.get(amount.currency)
    if limit_minor is None or amount.amount_minor <= limit_minor:
        return None
    if candidate.by_person or Rule.REVIEW_ABOVE in candidate.waived:
        return None
    limit = format_minor(limit_minor, amount.currency)
    return decide(
        Outcome.REVIEW,
        Rule.REVIEW_ABOVE,
        f"The refund of {amount} is above {limit} (review_above): a person approves it first.",
    )


def _platform_short(hand: Hand) -> Decision | None:
    cost = hand.candidate.platform_cost
    has_minor = hand.pool.platform.get(cost.currency, 0)
    if has_minor >= cost.amount_minor or cost.amount_minor == 0:
        return None
    return decide(
        Outcome.HOLD,
        Rule.PLATFORM_SHORT,
        f"The platform's balance has {format_minor(has_minor, cost.currency)} to spend; "
        f"the refund takes {cost} from it first.",
    )


def _by_person(hand: Hand) -> Decision | None:
    if not hand.candidate.by_person:
        return None
    if not hand.short:
        return decide(
            Outcome.RELEASE, Rule.PERSON, "A person released it, and the balance covers it."
        )
    if hand.candidate.direct:
        why = f"A person released it. {told(hand)}: {missing(hand)}; {_QUEUED}."
        return decide(Outcome.RELEASE, Rule.PERSON, why)
    return decide(
        Outcome.RELEASE,
        Rule.PERSON,
        f"A person released it; the platform stands in for {stands_in(hand)}.",
    )


_QUEUED: Final = "Stripe queues the refund until the account has it"


def _sent_direct(hand: Hand) -> Decision | None:
    if not hand.candidate.stripe_queues:
        return None
    if not hand.short:
        return _covered(hand)
    why = f"{told(hand)}: {missing(hand)}; {_QUEUED}."
    return decide(Outcome.RELEASE, Rule.DIRECT_SENT, why)


def _contradicted(hand: Hand) -> Decision | None:
    if not any(figure.draw.purse in hand.pool.closed for figure in hand.figures):
        return None
    return decide(
        Outcome.HOLD,
        Rule.STRIPE_SHORT,
        "Stripe refused a release of this account for want of money a moment ago.",
    )


def _short(hand: Hand) -> Decision | None:
    if not hand.short:
        return None
    rule = Rule.DIRECT_SHORT if hand.candidate.direct else Rule.COVER
    return small_shortfall(hand) or decide(Outcome.HOLD, rule, f"{told(hand)}: {missing(hand)}.")


def _out_of_turn(hand: Hand) -> Decision | None:
    if not hand.barred:
        return None
    return decide(
        Outcome.HOLD,
        Rule.OLDER_FIRST,
        f"{told(hand)}, but a request before it waits for the same money and goes first.",
    )


def _covered(hand: Hand) -> Decision:
    if hand.candidate.part_of is not None:
        why = (
            f"{told(hand)}: {hand.candidate.amount} of {hand.candidate.part_of} go out now, the "
            "rest waits (partial)."
        )
        return decide(Outcome.RELEASE, Rule.PARTIAL, why)
    if not hand.figures:
        cost = hand.candidate.platform_cost
        return decide(
            Outcome.RELEASE, Rule.COVER, f"The platform's own balance covers the refund of {cost}."
        )
    return decide(Outcome.RELEASE, Rule.COVER, f"{told(hand)}: covered.")


_RULES: Final[tuple[Callable[[Hand], Decision | None], ...]] = (
    _review_above,
    _platform_short,
    _by_person,
    _sent_direct,
    _contradicted,
    _short,
    _out_of_turn,
)
"""In this order; the first that has something to say decides."""


def _window_closes(hand: Hand) -> Decision | None:
    candidate = hand.candidate
    closes = candidate.window_closes
    if closes is None or Rule.REFUND_WINDOW in candidate.waived:
        return None
    if hand.now < closes - hand.policy.refund_window_notice:
        return None
    return decide(
        Outcome.REVIEW,
        Rule.REFUND_WINDOW,
        f"It is not covered yet, and its payment method can be refunded until "
        f"{closes:%Y-%m-%d %H:%M} UTC only (refund_window).",
    )


def _deadline(hand: Hand, held: Decision) -> Decision | None:
    late = check_deadline(hand.candidate.deadline, hand.now, hand.candidate.waived)
    if late is None or hand.policy.on_deadline is OnDeadline.REVIEW:
        return late
    if hand.policy.on_deadline is OnDeadline.CANCEL:
        return decide(Outcome.REJECT, Rule.DEADLINE, late.why)
    # The platform can stand in for an account; it can't for itself, nor for Stripe.
    return (cover_overdue(hand) if held.rule in _SHORT else None) or late


_SHORT: Final = frozenset({Rule.COVER, Rule.COVERED_PER_DAY, Rule.EXPOSURE_LIMIT})
"""Rules that hold a request because its account is short."""


def judge(candidate: Candidate, pool: Pool, policy: Policy, now: datetime) -> Evaluation:
    """Return the verdict on one request against what the pool still holds."""
    hand = hand_of(candidate, pool, policy, now)
    said = (decision for rule in _RULES if (decision := rule(hand)) is not None)
    decision = next(said, None) or _covered(hand)
    if decision.outcome is Outcome.HOLD:
        decision = _window_closes(hand) or _deadline(hand, decision) or decision
    shown = hand.shown
    return Evaluation(
        decision=decision,
        need=None if shown is None else shown.draw.need,
        spendable_minor=None if shown is None else shown.spendable_minor,
        shortfall_minor=None if shown is None else shown.shortfall_minor,
        shortfalls=tuple(
            Shortfall(
                account=figure.draw.account,
                missing=Money(figure.shortfall_minor, figure.draw.need.currency),
            )
            for figure in hand.short
        ),
    )


def plan_run(
    candidates: Iterable[Candidate], pool: Pool, policy: Policy, now: datetime
) -> list[tuple[Candidate, Evaluation]]:
    """Return every verdict of a run in which nothing changes under way.

    With more balance never less of it is put to use: a request that fits takes at least as much as
    any smaller balance could have released (induction over the order). Where no request counts on
    pending money of its own, that is the released need. Both hold of requests that draw on one
    purse each: one that waits for a second account takes nothing of the first. They hold of what is
    covered: with less balance a rule may release more uncovered.
    """
    verdicts = []
    for candidate in in_turn(candidates, policy):
        evaluation = judge(candidate, pool, policy, now)
        verdicts.append((candidate, evaluation))
        if evaluation.decision.outcome is Outcome.RELEASE:
            pool = after_release(pool, candidate, evaluation)
        else:
            pool = pool.pass_over(candidate, evaluation.decision, policy)
    return verdicts


def after_release(pool: Pool, candidate: Candidate, evaluation: Evaluation) -> Pool:
    """Return the pool after a release was promised what it takes, and what it leaves uncovered."""
    left = pool.take(pool.takes_of(candidate), candidate.platform_cost)
    by_rule = evaluation.decision.rule is not Rule.PERSON
    return left.cover(uncovered_of(candidate, evaluation), by_rule=by_rule)
