"""The pool: what there is to promise, and one request judged against it, rule by rule.

It may not plan whole runs; that is test_plan_run's.
"""

from datetime import timedelta

import pytest

from refunds.decision import Evaluation, Outcome, Rule
from refunds.money import Currency, Money
from refunds.need import Need
from refunds.policy import Policy
from refunds.pool import Candidate, Pool, account_take, in_turn, judge, open_pool
from tests.support.facts import EUR, JPY, NOON, USD
from tests.unit.refunds.waiting import AMPLE, money, waiting

SHORT_PLATFORM = (
    "The platform's balance has 39.99 USD to spend; the refund takes 40.00 USD from it first."
)
BARRED = (
    "The account has 90.00 USD spendable, the refund needs 50.00 USD, "
    "but an older request has waited too many runs."
)
SHORT_OF_THE_BUFFER = (
    "The account has 50.50 USD spendable, "
    "the refund needs 50.00 USD (+ 1.00 USD FX buffer): 0.50 USD short."
)
STANDS_IN_FOR_ALL = (
    "A person released it; "
    "the platform stands in for 51.00 USD of 50.00 USD (+ 1.00 USD FX buffer)."
)


# --- what there is ------------------------------------------------------------------------------


def test_what_is_reserved_and_what_must_stay_is_taken_off_per_currency() -> None:
    pool = open_pool(
        available={USD: 10_000, EUR: 500},
        reserved={USD: 2_500, JPY: 700},
        platform_available={USD: 90_000, JPY: 40},
        platform_reserved={USD: 1_000, EUR: 300},
        policy=Policy(minimum_balance={USD: 1_000, Currency("gbp"): 100}),
    )
    assert pool == Pool(
        account={
            USD: 6_500,  # 10000 - 2500 - 1000
            EUR: 500,
            JPY: -700,  # reserved, though nothing is there
            Currency("gbp"): -100,  # must stay, though nothing is there
        },
        platform={USD: 89_000, EUR: -300, JPY: 40},
    )


def test_a_request_may_count_on_the_account_and_on_its_own_pending_money() -> None:
    pool = money({USD: 1_000, EUR: -200})
    assert pool.spendable_for(waiting("rr_1", 5_000)) == 1_000
    assert pool.spendable_for(waiting("rr_1", 5_000, own_pending_minor=4_400)) == 5_400
    assert pool.spendable_for(waiting("rr_1", 5_000, currency=EUR, own_pending_minor=50)) == -150
    assert pool.spendable_for(waiting("rr_1", 5_000, currency=JPY)) == 0
    assert pool.spendable_for(waiting("rr_1", None)) is None


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
    assert candidate.from_available_minor == taken


def test_a_promise_is_taken_off_both_balances() -> None:
    pool = money({USD: 1_000, EUR: 50}, {USD: 9_000})
    assert pool.take(Money(300, USD), Money(400, USD)) == money({USD: 700, EUR: 50}, {USD: 8_600})
    assert pool.take(None, Money(400, EUR)) == money({USD: 1_000, EUR: 50}, {USD: 9_000, EUR: -400})
    assert pool.take(Money(1, JPY), Money(0, USD)) == money(
        {USD: 1_000, EUR: 50, JPY: -1}, {USD: 9_000}
    )
    assert pool == money({USD: 1_000, EUR: 50}, {USD: 9_000}), "a pool is a value"


def test_bars_and_refusals_add_up_and_survive_a_promise() -> None:
    starved = waiting("rr_1", 5_000, skipped_runs=10)
    pool = money(1_000).close(EUR).close(JPY).pass_over(starved, Policy())
    pool = pool.pass_over(waiting("rr_2", 1, currency=EUR, skipped_runs=11), Policy())
    pool = pool.take(Money(1, USD), Money(1, USD))
    assert pool.closed == {EUR, JPY}
    assert pool.barred == {USD, EUR}


@pytest.mark.parametrize(
    "skipped_runs, starve_after, bars",
    [(9, 10, False), (10, 10, True), (11, 10, True), (0, 1, False), (1, 1, True)],
)
def test_a_request_bars_younger_ones_once_it_was_skipped_often_enough(
    skipped_runs: int, starve_after: int, *, bars: bool
) -> None:
    pool = money(1_000)
    passed = pool.pass_over(
        waiting("rr_1", 5_000, skipped_runs=skipped_runs), Policy(starve_after=starve_after)
    )
    assert passed.barred == ({USD} if bars else set())


def test_the_platforms_own_lane_bars_nobody() -> None:
    pool = money(1_000)
    assert pool.pass_over(waiting("rr_1", None, skipped_runs=99), Policy()) is pool


def test_urgent_ones_come_first_then_the_oldest_then_by_id() -> None:
    young_urgent = waiting("rr_5", 1, age_hours=1, urgent=True)
    old_urgent = waiting("rr_9", 1, age_hours=2, urgent=True)
    oldest = waiting("rr_8", 1, age_hours=9)
    twin_a, twin_b = waiting("rr_1", 1, age_hours=3), waiting("rr_2", 1, age_hours=3)
    assert in_turn([twin_b, young_urgent, oldest, twin_a, old_urgent]) == [
        old_urgent,
        young_urgent,
        oldest,
        twin_a,
        twin_b,
    ]


# --- one request --------------------------------------------------------------------------------


def verdict(candidate: Candidate, pool: Pool) -> tuple[Outcome, Rule, str]:
    decision = judge(candidate, pool, NOON).decision
    return decision.outcome, decision.rule, decision.why


@pytest.mark.parametrize(
    "account, candidate, outcome, why",
    [
        (
            5_000,
            waiting("rr_1", 5_000),
            Outcome.RELEASE,
            "The account has 50.00 USD spendable, the refund needs 50.00 USD: covered.",
        ),
        (
            4_999,
            waiting("rr_1", 5_000),
            Outcome.HOLD,
            "The account has 49.99 USD spendable, the refund needs 50.00 USD: 0.01 USD short.",
        ),
        (
            -1_000,
            waiting("rr_1", 5_000),
            Outcome.HOLD,
            # The debt of 10.00 has to be made good as well.
            "The account has -10.00 USD spendable, the refund needs 50.00 USD: 60.00 USD short.",
        ),
        (
            0,
            waiting("rr_1", 0),
            Outcome.RELEASE,
            "The account has 0.00 USD spendable, the refund needs 0.00 USD: covered.",
        ),
        (
            5_050,
            waiting("rr_1", 5_000, buffer_minor=100),
            Outcome.HOLD,
            SHORT_OF_THE_BUFFER,  # 5000 + 100 - 5050
        ),
        (
            600,
            waiting("rr_1", 5_000, own_pending_minor=4_400),
            Outcome.RELEASE,
            "The account has 50.00 USD spendable, the refund needs 50.00 USD: covered.",
        ),
        (
            # Its own money would do, but the account owes more than that.
            -500,
            waiting("rr_1", 800, own_pending_minor=1_000),
            Outcome.HOLD,
            "The account has 5.00 USD spendable, the refund needs 8.00 USD: 3.00 USD short.",
        ),
    ],
)
def test_cover_says_the_figures(
    account: int, candidate: Candidate, outcome: Outcome, why: str
) -> None:
    assert verdict(candidate, money(account)) == (outcome, Rule.COVER, why)


def test_an_evaluation_keeps_the_figures_it_was_made_from() -> None:
    candidate = waiting("rr_1", 5_000, buffer_minor=100, own_pending_minor=400)
    evaluation = judge(candidate, money(600), NOON)
    assert evaluation == Evaluation(
        decision=evaluation.decision,
        need=Need(amount_minor=5_000, currency=USD, fx_buffer_minor=100),
        spendable_minor=1_000,  # 600 + 400
        shortfall_minor=4_100,  # 5100 - 1000
    )
    covered = judge(candidate, money(9_000), NOON)
    assert (covered.spendable_minor, covered.shortfall_minor) == (9_400, 0)


def test_the_platforms_own_lane_needs_only_the_platforms_balance() -> None:
    evaluation = judge(waiting("rr_1", None, cost=Money(4_000, USD)), money({}, 4_000), NOON)
    assert evaluation.decision.outcome is Outcome.RELEASE
    assert evaluation.decision.rule is Rule.COVER
    assert evaluation.decision.why == "The platform's own balance covers the refund of 40.00 USD."
    assert (evaluation.need, evaluation.spendable_minor, evaluation.shortfall_minor) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize("need", [None, 4_000])
@pytest.mark.parametrize("by_person", [False, True])
def test_nobody_goes_out_that_the_platform_cannot_pay_first(
    need: int | None, *, by_person: bool
) -> None:
    candidate = waiting("rr_1", need, cost=Money(4_000, USD), by_person=by_person)
    assert verdict(candidate, money(AMPLE, 3_999)) == (
        Outcome.HOLD,
        Rule.PLATFORM_SHORT,
        SHORT_PLATFORM,
    )
    assert verdict(candidate, money(AMPLE, 4_000))[0] is Outcome.RELEASE


def test_the_platforms_other_currencies_pay_for_nothing() -> None:
    candidate = waiting("rr_1", 4_000, cost=Money(3_700, EUR))
    assert verdict(candidate, money(4_000, AMPLE)) == (
        Outcome.HOLD,
        Rule.PLATFORM_SHORT,
        "The platform's balance has 0.00 EUR to spend; the refund takes 37.00 EUR from it first.",
    )


@pytest.mark.parametrize(
    "account, candidate, why",
    [
        (
            1_000,
            waiting("rr_1", 5_000, by_person=True),
            "A person released it; the platform stands in for 40.00 USD of 50.00 USD.",
        ),
        (
            -500,
            waiting("rr_1", 5_000, buffer_minor=100, by_person=True),
            STANDS_IN_FOR_ALL,  # 5100: what the account owes already is no part of this refund
        ),
        (
            5_000,
            waiting("rr_1", 5_000, by_person=True),
            "A person released it, and the balance covers it.",
        ),
        (
            0,
            waiting("rr_1", None, by_person=True),
            "A person released it, and the balance covers it.",
        ),
    ],
)
def test_a_persons_release_says_what_the_platform_stands_in_for(
    account: int, candidate: Candidate, why: str
) -> None:
    assert verdict(candidate, money(account)) == (Outcome.RELEASE, Rule.PERSON, why)


def test_after_stripe_refused_for_want_of_money_the_currency_is_closed() -> None:
    pool = money({USD: AMPLE, EUR: AMPLE}).close(USD)
    assert verdict(waiting("rr_1", 1), pool) == (
        Outcome.HOLD,
        Rule.STRIPE_SHORT,
        "Stripe refused a release of this account for want of money a moment ago.",
    )
    assert verdict(waiting("rr_2", 1, currency=EUR), pool)[0] is Outcome.RELEASE
    assert verdict(waiting("rr_3", None), pool)[0] is Outcome.RELEASE
    assert verdict(waiting("rr_4", 1, by_person=True), pool)[1] is Rule.PERSON


def test_while_an_older_one_bars_the_currency_younger_ones_wait_with_their_money_in_sight() -> None:
    pool = money({USD: 9_000, EUR: 9_000}).pass_over(
        waiting("rr_0", 99_999, skipped_runs=10), Policy()
    )
    assert verdict(waiting("rr_1", 5_000), pool) == (
        Outcome.HOLD,
        Rule.OLDER_FIRST,
        BARRED,
    )
    assert verdict(waiting("rr_2", 5_000, currency=EUR), pool)[1] is Rule.COVER
    assert verdict(waiting("rr_3", None), pool)[1] is Rule.COVER
    assert verdict(waiting("rr_4", 5_000, by_person=True), pool)[1] is Rule.PERSON
    # It lives on its own pending money and takes nothing that the older one waits for.
    alone = waiting("rr_5", 5_000, own_pending_minor=5_000)
    assert verdict(alone, pool)[:2] == (Outcome.RELEASE, Rule.COVER)
    one_cent = waiting("rr_6", 5_000, own_pending_minor=4_999)
    assert verdict(one_cent, pool)[1] is Rule.OLDER_FIRST


def test_what_asks_nothing_of_the_account_does_not_wait_for_its_debts() -> None:
    assert verdict(waiting("rr_1", 0), money(-50))[:2] == (Outcome.RELEASE, Rule.COVER)
    assert verdict(waiting("rr_1", 1), money(-50))[:2] == (Outcome.HOLD, Rule.COVER)


def test_what_is_short_is_said_before_whose_turn_it_is() -> None:
    pool = money(100).pass_over(waiting("rr_0", 99_999, skipped_runs=10), Policy())
    assert verdict(waiting("rr_1", 5_000), pool)[1] is Rule.COVER
    assert verdict(waiting("rr_1", 5_000), pool.close(USD))[1] is Rule.STRIPE_SHORT


@pytest.mark.parametrize(
    "candidate, pool",
    [
        (waiting("rr_1", 5_000, overdue=True), money(0)),
        (waiting("rr_1", 5_000, overdue=True), money(9_000, 0)),
        (waiting("rr_1", 5_000, overdue=True), money(9_000).close(USD)),
        (
            waiting("rr_1", 5_000, overdue=True),
            money(9_000).pass_over(waiting("rr_0", 1, skipped_runs=10), Policy()),
        ),
        (waiting("rr_1", 5_000, overdue=True, by_person=True), money(9_000, 0)),
        (waiting("rr_1", None, overdue=True, cost=Money(1, USD)), money(0, 0)),
    ],
    ids=["short", "platform short", "refused", "out of turn", "person", "platform's lane"],
)
def test_whoever_must_wait_beyond_the_deadline_goes_to_a_person(
    candidate: Candidate, pool: Pool
) -> None:
    assert verdict(candidate, pool)[:2] == (Outcome.REVIEW, Rule.DEADLINE)


def test_the_deadline_stops_nothing_that_can_go_and_nothing_before_its_time() -> None:
    overdue = waiting("rr_1", 5_000, overdue=True)
    assert verdict(overdue, money(5_000))[:2] == (Outcome.RELEASE, Rule.COVER)
    before = judge(overdue, money(0), NOON - timedelta(microseconds=1)).decision
    assert (before.outcome, before.rule) == (Outcome.HOLD, Rule.COVER)


def test_a_waived_deadline_lets_it_wait_on() -> None:
    waived = waiting("rr_1", 5_000, overdue=True, waived=frozenset({Rule.DEADLINE}))
    assert verdict(waived, money(0))[:2] == (Outcome.HOLD, Rule.COVER)


@pytest.mark.parametrize(
    "account, candidate, taken",
    [
        (9_000, waiting("rr_1", 5_000), Money(5_000, USD)),
        (9_000, waiting("rr_1", 5_000, buffer_minor=100), Money(5_100, USD)),
        (9_000, waiting("rr_1", 5_000, own_pending_minor=4_400), Money(600, USD)),
        (9_000, waiting("rr_1", 5_000, own_pending_minor=7_000), Money(0, USD)),
        # Uncovered: no more than there is, and nothing of a debt.
        (1_000, waiting("rr_1", 5_000, by_person=True), Money(1_000, USD)),
        (1_000, waiting("rr_1", 5_000, own_pending_minor=500, by_person=True), Money(1_000, USD)),
        (-700, waiting("rr_1", 5_000, by_person=True), Money(0, USD)),
        (-700, waiting("rr_1", 5_000, own_pending_minor=500, by_person=True), Money(0, USD)),
        (9_000, waiting("rr_1", None), None),
    ],
)
def test_what_a_release_takes_from_the_account(
    account: int, candidate: Candidate, taken: Money | None
) -> None:
    assert account_take(candidate, judge(candidate, money(account), NOON)) == taken


def test_an_evaluation_without_figures_takes_nothing() -> None:
    candidate = waiting("rr_1", 5_000)
    evaluation = judge(waiting("rr_2", None), money(9_000), NOON)
    assert account_take(candidate, evaluation) is None
