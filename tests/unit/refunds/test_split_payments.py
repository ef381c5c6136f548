"""Split payments in the pure core: what each account is asked for, in which order, and back again.

It may not choose transfers; intake does.
"""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.attempt import GivingBack, Intent, plan_giving_back, plan_steps, without_kept
from refunds.facts import ChargeFacts, ChargeType, RefundStatus, TransferFacts
from refunds.ids import AccountId, TransferId
from refunds.lifecycle import LEGAL, Bucket
from refunds.money import Currency, Money
from refunds.need import Leg, Share, Split, Weighing, plan_split_legs
from refunds.settlement import place_of, route
from refunds.steps import StepKind
from tests.support.facts import (
    ACCOUNT,
    ATTEMPT,
    CHARGE,
    EUR,
    REQUEST,
    USD,
    charged,
    settled,
    transferred,
)

WEIGHING = Weighing(fx_buffer_percent=2)
METADATA = {"sluice_request": REQUEST, "sluice_attempt": ATTEMPT}
OTHER = AccountId("acct_other")


def carried(name: str, amount_minor: int, account: AccountId = ACCOUNT) -> TransferFacts:
    transfer = transferred(amount_minor)
    return replace(transfer, transfer=TransferId(name), account=account)


def share(transfer: TransferFacts, asked: int, *, used: int = 0, at_hand: int = 0) -> Share:
    return Share(transfer=transfer, asked_minor=asked, used_minor=used, at_hand_minor=at_hand)


def taken(split: Split, refund_minor: int) -> list[tuple[int, int]]:
    """What is reversed, and what is used of what is at hand, for each share."""
    legs = plan_split_legs(split, refund_minor, WEIGHING)
    return [(leg.reversal_minor, leg.at_hand_minor) for leg in legs]


ONE, TWO = carried("tr_one", 6_000), carried("tr_two", 3_000, OTHER)


@pytest.mark.parametrize(
    "shares, request_minor, unsent, refund, expected",
    [
        # All of the request: what was asked of each.
        ([share(ONE, 6_000), share(TWO, 3_000)], 10_000, 10_000, 10_000, [(6_000, 0), (3_000, 0)]),
        # A third of it: 3333 · 6000 / 10000 = 1999.8, 3333 · 3000 / 10000 = 999.9.
        ([share(ONE, 6_000), share(TWO, 3_000)], 10_000, 10_000, 3_333, [(2_000, 0), (1_000, 0)]),
        # The last part takes the rest: 6000 - 4000 and 3000 - 2000.
        (
            [share(ONE, 6_000, used=4_000), share(TWO, 3_000, used=2_000)],
            10_000,
            3_334,
            3_334,
            [(2_000, 0), (1_000, 0)],
        ),
        # A part never takes more than is left of what was asked.
        ([share(ONE, 6_000, used=5_500)], 10_000, 5_000, 4_000, [(500, 0)]),
        # Reversed before, for a refund that failed: only what is missing is reversed.
        ([share(ONE, 6_000, at_hand=6_000)], 10_000, 10_000, 10_000, [(0, 6_000)]),
        ([share(ONE, 6_000, at_hand=2_500)], 10_000, 10_000, 10_000, [(3_500, 2_500)]),
        ([share(ONE, 6_000, at_hand=6_000)], 10_000, 10_000, 5_000, [(0, 3_000)]),
        # Somebody else reversed 4500 of it: 1500 are left.
        (
            [share(replace(ONE, reversed_minor=4_500), 6_000)],
            10_000,
            10_000,
            10_000,
            [(1_500, 0)],
        ),
        # More was used than asked, by rounding up: nothing is left to ask.
        ([share(ONE, 6_000, used=6_001)], 10_000, 1, 1, [(0, 0)]),
    ],
)
def test_what_is_taken_back_of_each_transfer(
    shares: list[Share],
    request_minor: int,
    unsent: int,
    refund: int,
    expected: list[tuple[int, int]],
) -> None:
    split = Split(shares=tuple(shares), request_minor=request_minor, unsent_minor=unsent)
    assert taken(split, refund) == expected


def test_each_account_is_asked_in_the_currency_it_settles_in() -> None:
    euros = replace(TWO, settlement=settled(2_401, EUR, net_minor=2_400, pending=True))
    split = Split(
        shares=(share(ONE, 6_000), share(euros, 1_500)), request_minor=9_000, unsent_minor=9_000
    )
    first, second = plan_split_legs(split, 9_000, WEIGHING)
    assert (first.account, first.need.money) == (ACCOUNT, Money(6_000, USD))
    # 1500 · 2401 / 3000 = 1200.5 → 1201; 2 % of it = 24.02 → 25.
    assert (second.account, second.need.money) == (OTHER, Money(1_201, EUR))
    assert (second.need.fx_buffer_minor, second.own_pending_minor) == (25, 2_400)


@given(
    asked=st.integers(0, 9_000),
    total=st.integers(1, 9_000),
    cuts=st.lists(st.integers(1, 9_000), max_size=5),
)
def test_parts_together_take_exactly_what_was_asked(
    asked: int, total: int, cuts: list[int]
) -> None:
    sent = used = 0
    for wish in [*cuts, total]:
        part = min(wish, total - sent)
        if part == 0:
            continue
        one = share(replace(carried("tr_one", 9_000), reversed_minor=used), asked, used=used)
        split = Split(shares=(one,), request_minor=total, unsent_minor=total - sent)
        [(reversed_minor, _)] = taken(split, part)
        assert 0 <= reversed_minor <= asked - used
        sent, used = sent + part, used + reversed_minor
    assert (sent, used) == (total, asked)


def paid() -> ChargeFacts:
    return replace(charged(10_000), charge_type=ChargeType.SEPARATE)


def intent(
    legs: tuple[Leg, ...], *, uncovered: bool = False, spare: tuple[int, ...] = ()
) -> Intent:
    return Intent(
        request=REQUEST,
        attempt=ATTEMPT,
        amount=Money(9_000, USD),
        legs=legs,
        uncovered=uncovered,
        spare_minor=spare,
        refund_application_fee=True,
        reason=None,
    )


def told(calls: tuple[object, ...]) -> list[tuple[StepKind, str | None, object, str]]:
    return [
        (call.kind, call.target, call.params["amount"], call.idempotency_key)  # type: ignore[attr-defined]  # calls, as plan_steps returns them
        for call in calls
    ]


SPLIT = Split(
    shares=(share(ONE, 6_000), share(replace(TWO, reversed_minor=3_000), 0), share(TWO, 2_000)),
    request_minor=9_000,
    unsent_minor=9_000,
)


def test_reversals_come_first_and_the_refund_last() -> None:
    calls = plan_steps(paid(), intent(plan_split_legs(SPLIT, 9_000, WEIGHING)))
    assert told(calls) == [
        (StepKind.REVERSAL, "tr_one", 6_000, "sluice-ra_lamp-1"),
        (StepKind.REVERSAL, "tr_two", 2_000, "sluice-ra_lamp-2"),
        (StepKind.REFUND, None, 9_000, "sluice-ra_lamp-3"),
    ]
    assert calls[-1].params == {"charge": CHARGE, "amount": 9_000, "metadata": METADATA}


def test_what_accounts_are_asked_for_is_reversed_whatever_the_charge_looks_like() -> None:
    legs = plan_split_legs(SPLIT, 9_000, WEIGHING)
    assert plan_steps(charged(10_000), intent(legs)) == plan_steps(paid(), intent(legs))


def test_uncovered_the_buyer_is_paid_first_and_each_account_gives_what_it_can() -> None:
    legs = plan_split_legs(SPLIT, 9_000, WEIGHING)
    calls = plan_steps(paid(), intent(legs, uncovered=True, spare=(1_500, 0, 9_999)))
    assert told(calls) == [
        (StepKind.REFUND, None, 9_000, "sluice-ra_lamp-1"),
        (StepKind.REVERSAL, "tr_one", 1_500, "sluice-ra_lamp-2"),
        (StepKind.REVERSAL, "tr_two", 2_000, "sluice-ra_lamp-3"),
    ]


def test_what_is_at_hand_is_not_reversed_again() -> None:
    split = Split(
        shares=(share(ONE, 6_000, at_hand=6_000),), request_minor=9_000, unsent_minor=9_000
    )
    (call,) = plan_steps(paid(), intent(plan_split_legs(split, 9_000, WEIGHING)))
    assert call.kind is StepKind.REFUND


def test_a_direct_leg_can_spare_nothing_to_a_reversal() -> None:
    (leg,) = plan_split_legs(replace(SPLIT, shares=(share(ONE, 1),)), 9_000, WEIGHING)
    legs = (replace(leg, transfer=None),)
    (call,) = plan_steps(paid(), intent(legs, uncovered=True, spare=(5,)))
    assert call.kind is StepKind.REFUND


def test_what_was_reversed_is_given_back_account_by_account() -> None:
    owed = [
        GivingBack(transfer=TransferId("tr_one"), account=ACCOUNT, amount=Money(6_000, USD)),
        GivingBack(transfer=TransferId("tr_two"), account=OTHER, amount=Money(5, Currency("jpy"))),
    ]
    first, second = plan_giving_back(REQUEST, ATTEMPT, owed)
    assert (first.kind, first.target, first.account) == (StepKind.TRANSFER, "tr_one", None)
    assert first.params == {
        "amount": 6_000,
        "currency": "usd",
        "destination": ACCOUNT,
        "metadata": METADATA,
    }
    assert (second.params["amount"], second.params["destination"]) == (5, OTHER)
    assert len({first.idempotency_key, second.idempotency_key}) == 2


@pytest.mark.parametrize(
    "paid, unsent, rest",
    [
        (0, 9_000, [6_000, 7]),
        # 6000 · 1/3 = 2000 are kept; 7 · 1/3 = 2.33, so 3.
        (3_000, 9_000, [4_000, 4]),
        # 7 · 0.9 = 6.3, so all 7.
        (8_100, 9_000, [600]),
        (9_000, 9_000, []),
        (20_000, 9_000, []),
    ],
)
def test_what_the_platform_paid_for_by_another_way_it_keeps(
    paid: int, unsent: int, rest: list[int]
) -> None:
    owed = [
        GivingBack(transfer=TransferId("tr_one"), account=ACCOUNT, amount=Money(6_000, USD)),
        GivingBack(transfer=TransferId("tr_two"), account=OTHER, amount=Money(7, Currency("jpy"))),
    ]
    left = without_kept(owed, paid, unsent)
    assert [each.amount.amount_minor for each in left] == rest


@pytest.mark.parametrize("news", RefundStatus)
def test_a_refund_after_its_reversals_moves_on_from_there(news: RefundStatus) -> None:
    place = place_of(None, reversed_first=True)
    assert place is Bucket.REVERSED
    path = (place, *route(None, news))
    assert all(step in LEGAL for step in itertools.pairwise(path))
    assert place_of(RefundStatus.PENDING, reversed_first=True) is Bucket.SUBMITTED
    assert place_of(None) is Bucket.RELEASING


def test_a_split_is_reread_transfer_by_transfer_and_keeps_what_was_not_read() -> None:
    split = Split(
        shares=(share(ONE, 6_000, used=7), share(TWO, 3_000)), request_minor=9, unsent_minor=8
    )
    fresh = replace(ONE, reversed_minor=5_999)
    assert split.reread([fresh, carried("tr_third", 1)]) == replace(
        split, shares=(share(fresh, 6_000, used=7), share(TWO, 3_000))
    )
