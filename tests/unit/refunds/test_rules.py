"""One request judged against what there is, rule by rule, with the words of the verdict.

It may not plan whole runs; that is test_plan_run's.
"""

from datetime import timedelta

import pytest

from refunds.candidate import Candidate
from refunds.decision import Evaluation, Outcome, Rule
from refunds.money import Money
from refunds.need import Need
from refunds.policy import DEFAULT_POLICY, Policy
from refunds.pool import Pool
from refunds.rules import judge
from tests.support.facts import ACCOUNT, EUR, NOON, USD
from tests.unit.refunds.waiting import AMPLE, SHORT, money, waiting

SHORT_PLATFORM = (
    "The platform's balance has 39.99 USD to spend; the refund takes 40.00 USD from it first."
)
BARRED = (
    "The account has 90.00 USD spendable, the refund needs 50.00 USD, "
    "but a request before it waits for the same money and goes first."
)
SHORT_OF_THE_BUFFER = (
    "The account has 50.50 USD spendable, "
    "the refund needs 50.00 USD (+ 1.00 USD FX buffer): 0.50 USD short."
)
STANDS_IN_FOR_ALL = (
    "A person released it; "
    "the platform stands in for 51.00 USD of 50.00 USD (+ 1.00 USD FX buffer)."
)


def verdict(candidate: Candidate, pool: Pool) -> tuple[Outcome, Rule, str]:
    decision = judge(candidate, pool, DEFAULT_POLICY, NOON).decision
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
    evaluation = judge(candidate, money(600), DEFAULT_POLICY, NOON)
    assert evaluation == Evaluation(
        decision=evaluation.decision,
        need=Need(amount_minor=5_000, currency=USD, fx_buffer_minor=100),
        spendable_minor=1_000,  # 600 + 400
        shortfall_minor=4_100,  # 5100 - 1000
    )
    covered = judge(candidate, money(9_000), DEFAULT_POLICY, NOON)
    assert (covered.spendable_minor, covered.shortfall_minor) == (9_400, 0)


def test_the_platforms_own_lane_needs_only_the_platforms_balance() -> None:
    evaluation = judge(
        waiting("rr_1", None, cost=Money(4_000, USD)), money({}, 4_000), DEFAULT_POLICY, NOON
    )
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
    pool = money({USD: AMPLE, EUR: AMPLE}).close([(ACCOUNT, USD)])
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
        waiting("rr_0", 99_999, skipped_runs=10), SHORT, Policy()
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
    pool = money(100).pass_over(waiting("rr_0", 99_999, skipped_runs=10), SHORT, Policy())
    assert verdict(waiting("rr_1", 5_000), pool)[1] is Rule.COVER
    assert verdict(waiting("rr_1", 5_000), pool.close([(ACCOUNT, USD)]))[1] is Rule.STRIPE_SHORT


@pytest.mark.parametrize(
    "candidate, pool",
    [
        (waiting("rr_1", 5_000, overdue=True), money(0)),
        (waiting("rr_1", 5_000, overdue=True), money(9_000, 0)),
        (waiting("rr_1", 5_000, overdue=True), money(9_000).close([(ACCOUNT, USD)])),
        (
            waiting("rr_1", 5_000, overdue=True),
            money(9_000).pass_over(waiting("rr_0", 1, skipped_runs=10), SHORT, Policy()),
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
    before = judge(overdue, money(0), DEFAULT_POLICY, NOON - timedelta(microseconds=1)).decision
    assert (before.outcome, before.rule) == (Outcome.HOLD, Rule.COVER)


def test_a_waived_deadline_lets_it_wait_on() -> None:
    waived = waiting("rr_1", 5_000, overdue=True, waived=frozenset({Rule.DEADLINE}))
    assert verdict(waived, money(0))[:2] == (Outcome.HOLD, Rule.COVER)
