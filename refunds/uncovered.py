"""When a rule releases what an account doesn't cover, and the caps that keep it small.

This module judges one request's figures; it may not count what was released before.
"""

from refunds.candidate import Candidate
from refunds.decision import UNCOVERED, Decision, Evaluation, Outcome, Rule, decide
from refunds.hand import Figure, Hand, missing, stands_in, told
from refunds.money import Currency, format_minor
from refunds.need import PurseKey


def small_shortfall(hand: Hand) -> Decision | None:
    """Return the release of a request that lacks no more than the policy lets the platform carry,
    or which cap keeps it on hold; `None` where the policy says nothing of it.
    """
    if not _may_stand_in(hand):
        return None
    (figure,) = hand.figures
    limit_minor = hand.policy.small_shortfall.get(figure.draw.need.currency)
    if limit_minor is None or not 0 < figure.shortfall_minor <= limit_minor:
        return None
    limit = format_minor(limit_minor, figure.draw.need.currency)
    reached = _cap_reached(hand, figure)
    if reached is not None:
        return reached
    return decide(
        Outcome.RELEASE,
        Rule.SMALL_SHORTFALL,
        f"{told(hand)}: {missing(hand)}, and the policy carries up to {limit} "
        f"(small_shortfall); the platform stands in for {stands_in(hand)}.",
    )


def cover_overdue(hand: Hand) -> Decision | None:
    """Return the release of a short request whose deadline has passed, or that it waits for
    tomorrow's share of the daily cap; `None` where a person has to look.

    Waiting can't help where the exposure limit is reached or the request alone exceeds the daily
    cap: nobody would ever hear of it.
    """
    if not _may_stand_in(hand):
        return None
    (figure,) = hand.figures
    reached = _cap_reached(hand, figure)
    if reached is None:
        return decide(
            Outcome.RELEASE,
            Rule.DEADLINE,
            f"It was not covered by its deadline, {hand.candidate.deadline:%Y-%m-%d %H:%M} UTC; "
            f"the platform stands in for {stands_in(hand)}.",
        )
    whole_minor = hand.policy.covered_per_day.get(figure.draw.need.currency, 0)
    can_wait = reached.rule is Rule.COVERED_PER_DAY and figure.uncovered_minor <= whole_minor
    return reached if can_wait else None


def uncovered_of(candidate: Candidate, evaluation: Evaluation) -> dict[PurseKey, int]:
    """Return what the platform stands in for when a request is released by this verdict, by purse;
    nothing where it is covered.
    """
    decision = evaluation.decision
    if decision.outcome is not Outcome.RELEASE or decision.rule not in UNCOVERED:
        return {}
    if candidate.direct:
        return {}
    short = {(each.account, each.missing.currency): each.missing for each in evaluation.shortfalls}
    return {
        draw.purse: min(short[draw.purse].amount_minor, draw.need.total_minor)
        for draw in candidate.draws
        if draw.purse in short
    }


def _may_stand_in(hand: Hand) -> bool:
    # For a direct charge nobody can: Stripe takes its refund from the account, or queues it.
    return len(hand.figures) == 1 and not hand.barred and not hand.candidate.direct


def _cap_reached(hand: Hand, figure: Figure) -> Decision | None:
    currency = figure.draw.need.currency
    wants_minor = figure.uncovered_minor
    caps = hand.pool.caps
    exposure_left_minor = caps.exposure_left.get(figure.draw.purse)
    if exposure_left_minor is not None and wants_minor > exposure_left_minor:
        return decide(
            Outcome.HOLD,
            Rule.EXPOSURE_LIMIT,
            f"{told(hand)}: {missing(hand)}, and of what the platform may stand in for on the "
            f"account's behalf (exposure_limit) {_left(exposure_left_minor, currency)} is left.",
        )
    day_left_minor = caps.day_left.get(currency, 0)
    if wants_minor > day_left_minor:
        return decide(
            Outcome.HOLD,
            Rule.COVERED_PER_DAY,
            f"{told(hand)}: {missing(hand)}, and of what the platform may cover today "
            f"(covered_per_day) {_left(day_left_minor, currency)} is left.",
        )
    return None


def _left(minor: int, currency: Currency) -> str:
    return format_minor(max(0, minor), currency)
