"""One request beside the money there is for it: the figures that every rule looks at.

This module puts figures and words together; it may not decide.
"""

from dataclasses import dataclass
from datetime import datetime

from refunds.candidate import Candidate
from refunds.decision import describe_need
from refunds.money import format_minor
from refunds.need import Draw
from refunds.policy import Policy
from refunds.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One purse a request draws on, with what is there for it."""

    draw: Draw
    spendable_minor: int
    shortfall_minor: int

    @property
    def uncovered_minor(self) -> int:
        """What the platform would stand in for: what the account owes already is no part of it."""
        return min(self.shortfall_minor, self.draw.need.total_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """One candidate against one pool, under the policy that holds for it now."""

    candidate: Candidate
    pool: Pool
    policy: Policy
    now: datetime
    figures: tuple[Figure, ...]
    """One for each purse, the home purse first; none in the platform's own lane."""

    @property
    def short(self) -> tuple[Figure, ...]:
        """The purses that don't cover it."""
        return tuple(figure for figure in self.figures if figure.shortfall_minor)

    @property
    def barred(self) -> bool:
        """Whether an older request that may not be passed waits for money that this one takes."""
        cost = self.candidate.platform_cost
        ours = cost.amount_minor > 0 and cost.currency in self.pool.platform_barred
        return ours or bool(self.pool.barred & self.candidate.takes.keys())

    @property
    def shown(self) -> Figure | None:
        """The figures the whole is told by: the greatest shortfall is what it waits for."""
        return max(self.figures, key=lambda figure: figure.shortfall_minor, default=None)


def hand_of(candidate: Candidate, pool: Pool, policy: Policy, now: datetime) -> Hand:
    """Return the candidate with what the pool has for each of its purses."""
    figures = []
    for draw in candidate.draws:
        spendable_minor = pool.spendable_for(draw)
        # Where nothing is left to reverse, what the account owes already is no part of the refund.
        needs_minor = draw.need.total_minor
        short_minor = max(0, needs_minor - spendable_minor) if needs_minor else 0
        figures.append(
            Figure(draw=draw, spendable_minor=spendable_minor, shortfall_minor=short_minor)
        )
    return Hand(candidate=candidate, pool=pool, policy=policy, now=now, figures=tuple(figures))


def told(hand: Hand) -> str:
    """Return the figures of every purse in words, without the verdict."""
    if not hand.figures:
        return f"The platform's own balance pays the refund of {hand.candidate.platform_cost}"
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


def missing(hand: Hand) -> str:
    """Return what is short, and where."""
    return " and ".join(_missing(hand, figure) for figure in hand.short)


def stands_in(hand: Hand) -> str:
    """Return what the platform would stand in for, and where."""
    return " and ".join(_stands_in(hand, figure) for figure in hand.short)


def _stands_in(hand: Hand, figure: Figure) -> str:
    need = figure.draw.need
    exposed = format_minor(figure.uncovered_minor, need.currency)
    where = f" of {figure.draw.account}" if len(hand.figures) > 1 else ""
    return f"{exposed} of {describe_need(need)}{where}"


def _missing(hand: Hand, figure: Figure) -> str:
    short = format_minor(figure.shortfall_minor, figure.draw.need.currency)
    where = f" in {figure.draw.account}" if len(hand.figures) > 1 else ""
    return f"{short} short{where}"


def _spendable(figure: Figure) -> str:
    return format_minor(figure.spendable_minor, figure.draw.need.currency)
