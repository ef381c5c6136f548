"""A refund in parts: the largest that fits, none too small, and the last one takes the rest.

It may not release one; that is a run's.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.decision import NEXT_STEPS, Outcome, Rule
from refunds.money import Money
from refunds.parts import largest_part, part_bounds
from refunds.policy import DEFAULT_POLICY, Partial, Policy
from refunds.rules import judge
from tests.support.facts import EUR, NOON, USD
from tests.unit.refunds.waiting import money, waiting

IN_THREE = Policy(partial=Partial(minimum={USD: 1_000}, parts=3))


@pytest.mark.parametrize(
    "amount, parts_sent, bounds",
    [
        (Money(5_000, USD), 0, (1_000, 4_000)),  # 50.00: at least 10.00 now, and 10.00 left
        (Money(2_000, USD), 0, (1_000, 1_000)),
        (Money(1_999, USD), 0, None),  # either part would be too small
        (Money(5_000, USD), 1, (1_000, 4_000)),
        (Money(5_000, USD), 2, None),  # the third takes the rest
        (Money(5_000, USD), 7, None),
        (Money(5_000, EUR), 0, None),  # no minimum in this currency: not in parts
    ],
)
def test_within_which_bounds_a_part_may_be(
    amount: Money, parts_sent: int, bounds: tuple[int, int] | None
) -> None:
    assert part_bounds(amount, IN_THREE, parts_sent) == bounds
    assert part_bounds(amount, DEFAULT_POLICY, parts_sent) is None


@given(st.integers(1, 500), st.integers(0, 500), st.integers(-10, 1_100))
def test_the_largest_part_that_fits_is_found(low: int, span: int, room: int) -> None:
    found = largest_part((low, low + span), lambda minor: minor <= room)
    assert found == (min(room, low + span) if room >= low else None)


def test_a_part_is_told_with_the_whole() -> None:
    part = replace(waiting("rr_1", 4_000, amount=Money(4_000, USD)), part_of=Money(5_000, USD))
    decision = judge(part, money(4_000), IN_THREE, NOON).decision
    assert (decision.outcome, decision.rule) == (Outcome.RELEASE, Rule.PARTIAL)
    assert (decision.rule, decision.outcome) in NEXT_STEPS
    assert decision.why == (
        "The account has 40.00 USD spendable, the refund needs 40.00 USD: 40.00 USD of 50.00 USD "
        "go out now, the rest waits (partial)."
    )
    assert judge(part, money(3_999), IN_THREE, NOON).decision.rule is Rule.COVER
