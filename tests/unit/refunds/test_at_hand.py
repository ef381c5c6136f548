"""A refund that failed after its transfer was reversed: the next one takes only what is missing.

It may not look at a store; what is at hand is given.
"""

import pytest

from refunds.attempt import Intent, plan_steps
from refunds.money import Money
from refunds.need import Weighing, plan_legs
from refunds.steps import StepKind
from tests.support.facts import ATTEMPT, EUR, REQUEST, TRANSFER, USD, charged, settled, transferred

METADATA = {"sluice_request": "rr_lamp", "sluice_attempt": "ra_lamp"}


@pytest.mark.parametrize(
    "refund, reversed_minor, at_hand, taken, used",
    [
        # Of 100.00 paid and 90.00 sent on:
        (5_000, 4_500, 4_500, 0, 4_500),  # half again: 45.00 are there
        (10_000, 9_000, 9_000, 0, 9_000),  # all of it again
        (10_000, 3_600, 3_600, 5_400, 3_600),  # 40.00 failed, the rest goes with it now
        (6_000, 3_600, 3_600, 1_800, 3_600),  # more than failed: 54.00, less the 36.00
        (2_000, 3_600, 3_600, 0, 1_800),  # less than failed: 18.00 of the 36.00
        (5_000, 9_000, 4_500, 0, 4_500),  # another refund took the other half
        (5_000, 1_000, 4_500, 3_500, 1_000),  # never more at hand than was reversed
        (5_000, 4_500, 0, 4_500, 0),  # the 45.00 serve a refund that counts
    ],
)
def test_only_what_is_missing_is_taken(
    refund: int, reversed_minor: int, at_hand: int, taken: int, used: int
) -> None:
    charge = charged(10_000, transfer=transferred(9_000, reversed_minor=reversed_minor))
    weighing = Weighing(fx_buffer_percent=2)
    (leg,) = plan_legs(charge, refund, weighing, at_hand_minor=at_hand)
    assert (leg.reversal_minor, leg.need.amount_minor, leg.at_hand_minor) == (taken, taken, used)


def test_what_is_missing_is_needed_in_the_currency_it_settled_in() -> None:
    transfer = transferred(9_000, reversed_minor=3_600, settlement=settled(8_100, EUR))
    charge = charged(10_000, transfer=transfer)
    (leg,) = plan_legs(charge, 10_000, Weighing(fx_buffer_percent=2), at_hand_minor=3_600)
    # 54.00 USD at 0.9, and 2 % of it.
    assert (leg.need.amount_minor, leg.need.fx_buffer_minor, leg.need.currency) == (4_860, 98, EUR)


@pytest.mark.parametrize("refund, rest", [(4_000, ()), (10_000, (5_400,))])
def test_stripe_is_not_asked_to_take_it_again(refund: int, rest: tuple[int, ...]) -> None:
    charge = charged(10_000, transfer=transferred(9_000, reversed_minor=3_600))
    legs = plan_legs(charge, refund, Weighing(fx_buffer_percent=2), at_hand_minor=3_600)
    first, *more = plan_steps(
        charge,
        Intent(
            request=REQUEST,
            attempt=ATTEMPT,
            amount=Money(refund, USD),
            legs=legs,
            uncovered=False,
            spare_minor=(0,),
            refund_application_fee=False,
            reason=None,
        ),
    )
    assert first.kind is StepKind.REFUND
    assert first.params == {"charge": charge.charge, "amount": refund, "metadata": METADATA}
    assert [(call.kind, call.target, call.params["amount"]) for call in more] == [
        (StepKind.REVERSAL, TRANSFER, minor) for minor in rest
    ]
