"""The pool: what there is to promise, balance by balance.

It may not judge a request; that is test_rules's.
"""

import pytest

from refunds.candidate import Candidate, in_turn
from refunds.ids import AccountId
from refunds.money import Currency, Money
from refunds.policy import Policy
from refunds.pool import Caps, Holding, Pool, open_pool
from tests.support.facts import ACCOUNT, EUR, JPY, USD
from tests.unit.refunds.waiting import SHORT, money, waiting

OTHER = AccountId("acct_other")


def test_what_is_reserved_and_what_must_stay_is_taken_off_per_currency() -> None:
    pool = open_pool(
        accounts={
            ACCOUNT: Holding(
                available={USD: 10_000, EUR: 500},
                reserved={USD: 2_500, JPY: 700},
                minimum={USD: 1_000, Currency("gbp"): 100},
            ),
            OTHER: Holding(available={USD: 70}),
        },
        platform=Holding(
            available={USD: 90_000, JPY: 40},
            reserved={USD: 1_000, EUR: 300},
        ),
    )
    assert pool == Pool(
        account={
            (ACCOUNT, USD): 6_500,  # 10000 - 2500 - 1000
            (ACCOUNT, EUR): 500,
            (ACCOUNT, JPY): -700,  # reserved, though nothing is there
            (ACCOUNT, Currency("gbp")): -100,  # must stay, though nothing is there
            (OTHER, USD): 70,
        },
        platform={USD: 89_000, EUR: -300, JPY: 40},
    )


@pytest.mark.parametrize(
    "candidate, spendable",
    [
        (waiting("rr_1", 5_000), 1_000),
        (waiting("rr_1", 5_000, own_pending_minor=4_400), 5_400),
        (waiting("rr_1", 5_000, currency=EUR, own_pending_minor=50), -150),
        (waiting("rr_1", 5_000, currency=JPY), 0),
    ],
)
def test_a_request_may_count_on_the_account_and_on_its_own_pending_money(
    candidate: Candidate, spendable: int
) -> None:
    pool = money({USD: 1_000, EUR: -200})
    assert [pool.spendable_for(draw) for draw in candidate.draws] == [spendable]
    assert pool.spare_for(candidate) == (spendable,)


@pytest.mark.parametrize(
    "candidate, taken",
    [
        (waiting("rr_1", 5_000), 5_000),
        (waiting("rr_1", 5_000, buffer_minor=100), 5_100),
        (waiting("rr_1", 5_000, buffer_minor=100, own_pending_minor=4_400), 700),
        (waiting("rr_1", 5_000, own_pending_minor=5_000), 0),
        (waiting("rr_1", 5_000, own_pending_minor=8_000), 0),  # the rest of it is not for others
        (waiting("rr_1", None), 0),
    ],
)
def test_what_a_request_takes_from_the_available_balance(candidate: Candidate, taken: int) -> None:
    assert sum(candidate.takes.values()) == taken


def test_a_promise_is_taken_off_both_balances() -> None:
    pool = money({USD: 1_000, EUR: 50}, {USD: 9_000})
    from_account = {(ACCOUNT, USD): 300}
    assert pool.take(from_account, Money(400, USD)) == money({USD: 700, EUR: 50}, {USD: 8_600})
    assert pool.take({}, Money(400, EUR)) == money({USD: 1_000, EUR: 50}, {USD: 9_000, EUR: -400})
    assert pool.take({(ACCOUNT, JPY): 1}, Money(0, USD)) == money(
        {USD: 1_000, EUR: 50, JPY: -1}, {USD: 9_000}
    )
    assert pool == money({USD: 1_000, EUR: 50}, {USD: 9_000}), "a pool is a value"


def test_bars_and_refusals_add_up_and_survive_a_promise() -> None:
    starved = waiting("rr_1", 5_000, skipped_runs=10)
    pool = money(1_000).close([(ACCOUNT, EUR)]).close([(ACCOUNT, JPY)])
    pool = pool.pass_over(starved, SHORT, Policy())
    pool = pool.pass_over(waiting("rr_2", 1, currency=EUR, skipped_runs=11), SHORT, Policy())
    pool = pool.take({(ACCOUNT, USD): 1}, Money(1, USD))
    assert pool.closed == {(ACCOUNT, EUR), (ACCOUNT, JPY)}
    assert pool.barred == {(ACCOUNT, USD), (ACCOUNT, EUR)}


@pytest.mark.parametrize(
    "skipped_runs, starve_after, bars",
    [(9, 10, False), (10, 10, True), (11, 10, True), (0, 1, False), (1, 1, True)],
)
def test_a_request_bars_younger_ones_once_it_was_skipped_often_enough(
    skipped_runs: int, starve_after: int, *, bars: bool
) -> None:
    pool = money(1_000)
    passed = pool.pass_over(
        waiting("rr_1", 5_000, skipped_runs=skipped_runs), SHORT, Policy(starve_after=starve_after)
    )
    assert passed.barred == ({(ACCOUNT, USD)} if bars else set())


def test_the_platforms_own_lane_bars_nobody() -> None:
    pool = money(1_000)
    assert pool.pass_over(waiting("rr_1", None, skipped_runs=99), SHORT, Policy()) == pool


def test_urgent_ones_come_first_then_the_oldest_then_by_id() -> None:
    young_urgent = waiting("rr_5", 1, age_hours=1, urgent=True)
    old_urgent = waiting("rr_9", 1, age_hours=2, urgent=True)
    oldest = waiting("rr_8", 1, age_hours=9)
    twin_a, twin_b = waiting("rr_1", 1, age_hours=3), waiting("rr_2", 1, age_hours=3)
    assert in_turn([twin_b, young_urgent, oldest, twin_a, old_urgent], Policy()) == [
        old_urgent,
        young_urgent,
        oldest,
        twin_a,
        twin_b,
    ]


@pytest.mark.parametrize(
    "account, candidate, taken",
    [
        (9_000, waiting("rr_1", 5_000), 5_000),
        (9_000, waiting("rr_1", 5_000, buffer_minor=100), 5_100),
        (9_000, waiting("rr_1", 5_000, own_pending_minor=4_400), 600),
        (9_000, waiting("rr_1", 5_000, own_pending_minor=7_000), 0),
        # Uncovered: no more than there is, and nothing of a debt.
        (1_000, waiting("rr_1", 5_000, by_person=True), 1_000),
        (1_000, waiting("rr_1", 5_000, own_pending_minor=500, by_person=True), 1_000),
        (-700, waiting("rr_1", 5_000, by_person=True), 0),
        (-700, waiting("rr_1", 5_000, own_pending_minor=500, by_person=True), 0),
    ],
)
def test_what_a_release_takes_from_the_account(
    account: int, candidate: Candidate, taken: int
) -> None:
    assert money(account).takes_of(candidate) == {(ACCOUNT, USD): taken}


def test_the_platforms_own_lane_takes_nothing_of_any_account() -> None:
    assert money(9_000).takes_of(waiting("rr_1", None)) == {}


def test_caps_that_are_counted_again_are_never_larger_than_what_the_run_has_left() -> None:
    other = (OTHER, USD)
    before = Caps(
        day_left={USD: 500, EUR: 80}, exposure_left={(ACCOUNT, USD): 300, (ACCOUNT, EUR): 40}
    )
    counted = Caps(
        day_left={USD: 400, EUR: 90, JPY: 7}, exposure_left={(ACCOUNT, USD): 310, other: 20}
    )
    assert before.at_most(counted) == Caps(
        # What was not there before is nothing of the day; an account's limit is new to the run.
        day_left={USD: 400, EUR: 80, JPY: 0},
        exposure_left={(ACCOUNT, USD): 300, (ACCOUNT, EUR): 40, other: 20},
    )
