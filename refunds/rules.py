"""One run over one lane: each request judged, rule by rule, against what is left of the money.

This module is a fold over values; it may not read a balance or know which request is prepared.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from refunds.blocks import check_deadline
from refunds.candidate import Candidate, in_turn
from refunds.decision import Decision, Evaluation, Outcome, Rule, Shortfall, decide, describe_need
from refunds.money import Money, format_minor
from refunds.need import Draw
from refunds.policy import Policy
from refunds.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One purse a request draws on, with what is there for it."""

    draw: Draw
    spendable_minor: int
    shortfall_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hand:
    """One candidate against one pool, with the figures every rule needs."""

    candidate: Candidate
    pool: Pool
    figures: tuple[_Figure, ...]
    """One for each purse, the home purse first; none in the platform's own lane."""

    @property
    def short(self) -> tuple[_Figure, ...]:
        """The purses that don't cover it."""
        return tuple(figure for figure in self.figures if figure.shortfall_minor)

    @property
    def shown(self) -> _Figure | None:
        """The figures the whole is told by: the greatest shortfall is what it waits for."""
        return max(self.figures, key=lambda figure: figure.shortfall_minor, default=None)


def _hand(candidate: Candidate, pool: Pool) -> _Hand:
    figures = []
    for draw in candidate.draws:
        spendable_minor = pool.spendable_for(draw)
        # Where nothing is left to reverse, what the account owes already is no part of the refund.
        needs_minor = draw.need.total_minor
        short_minor = max(0, needs_minor - spendable_minor) if needs_minor else 0
        figures.append(
            _Figure(draw=draw, spendable_minor=spendable_minor, shortfall_minor=short_minor)
        )
    return _Hand(candidate=candidate, pool=pool, figures=tuple(figures))


def _platform_short(hand: _Hand) -> Decision | None:
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


def _by_person(hand: _Hand) -> Decision | None:
    if not hand.candidate.by_person:
        return None
    if not hand.short:
        return decide(
            Outcome.RELEASE, Rule.PERSON, "A person released it, and the balance covers it."
        )
    if hand.candidate.direct:
        why = f"A person released it. {_told(hand)}: {_lacks(hand)}; {_QUEUED}."
        return decide(Outcome.RELEASE, Rule.PERSON, why)
    stands_in = " and ".join(_stands_in(hand, figure) for figure in hand.short)
    return decide(
        Outcome.RELEASE,
        Rule.PERSON,
        f"A person released it; the platform stands in for {stands_in}.",
    )


def _stands_in(hand: _Hand, figure: _Figure) -> str:
    need = figure.draw.need
    # What the account owes already is no part of this refund: a debt adds nothing to its exposure.
    exposed = format_minor(min(figure.shortfall_minor, need.total_minor), need.currency)
    where = f" of {figure.draw.account}" if len(hand.figures) > 1 else ""
    return f"{exposed} of {describe_need(need)}{where}"


_QUEUED: Final = "Stripe queues the refund until the account has it"


def _sent_direct(hand: _Hand) -> Decision | None:
    if not hand.candidate.stripe_queues:
        return None
    if not hand.short:
        return _covered(hand)
    why = f"{_told(hand)}: {_lacks(hand)}; {_QUEUED}."
    return decide(Outcome.RELEASE, Rule.DIRECT_SENT, why)


def _contradicted(hand: _Hand) -> Decision | None:
    if not any(figure.draw.purse in hand.pool.closed for figure in hand.figures):
        return None
    return decide(
        Outcome.HOLD,
        Rule.STRIPE_SHORT,
        "Stripe refused a release of this account for want of money a moment ago.",
    )


def _short(hand: _Hand) -> Decision | None:
    if not hand.short:
        return None
    rule = Rule.DIRECT_SHORT if hand.candidate.direct else Rule.COVER
    return decide(Outcome.HOLD, rule, f"{_told(hand)}: {_lacks(hand)}.")


def _lacks(hand: _Hand) -> str:
    return " and ".join(_missing(hand, figure) for figure in hand.short)


def _missing(hand: _Hand, figure: _Figure) -> str:
    missing = format_minor(figure.shortfall_minor, figure.draw.need.currency)
    where = f" in {figure.draw.account}" if len(hand.figures) > 1 else ""
    return f"{missing} short{where}"


def _out_of_turn(hand: _Hand) -> Decision | None:
    if not hand.pool.barred & hand.candidate.takes.keys():
        return None
    return decide(
        Outcome.HOLD,
        Rule.OLDER_FIRST,
        f"{_told(hand)}, but an older request has waited too many runs.",
    )


def _covered(hand: _Hand) -> Decision:
    if not hand.figures:
        cost = hand.candidate.platform_cost
        return decide(
            Outcome.RELEASE, Rule.COVER, f"The platform's own balance covers the refund of {cost}."
        )
    return decide(Outcome.RELEASE, Rule.COVER, f"{_told(hand)}: covered.")


_RULES: Final = (
    _platform_short,
    _by_person,
    _sent_direct,
    _contradicted,
    _short,
    _out_of_turn,
)
"""In this order; the first that has something to say decides."""


def judge(candidate: Candidate, pool: Pool, now: datetime) -> Evaluation:
    """Return the verdict on one request against what the pool still holds."""
    hand = _hand(candidate, pool)
    said = (decision for rule in _RULES if (decision := rule(hand)) is not None)
    decision = next(said, None) or _covered(hand)
    if decision.outcome is Outcome.HOLD:
        decision = check_deadline(candidate.deadline, now, candidate.waived) or decision
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
    purse each: one that waits for a second account takes nothing of the first.
    """
    verdicts = []
    for candidate in in_turn(candidates):
        evaluation = judge(candidate, pool, now)
        verdicts.append((candidate, evaluation))
        if evaluation.decision.outcome is Outcome.RELEASE:
            pool = pool.take(pool.takes_of(candidate), candidate.platform_cost)
        else:
            pool = pool.pass_over(candidate, policy)
    return verdicts


def _told(hand: _Hand) -> str:
    """The figures of every purse in words, without the verdict."""
    if len(hand.figures) == 1:
        (figure,) = hand.figures
        return (
            f"The account has {_spendable(figure)} spendable, "
            f"the refund needs {describe_need(figure.draw.need)}"
        )
    parts = (
        f"{describe_need(figure.draw.need)} of {figure.draw.account}, "
        f"which has {_spendable(figure)} spendable"
        for figure in hand.figures
    )
    return f"The refund needs {', and '.join(parts)}"


def _spendable(figure: _Figure) -> str:
    return format_minor(figure.spendable_minor, figure.draw.need.currency)
