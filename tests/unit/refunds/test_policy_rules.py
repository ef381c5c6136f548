"""What the policy adds to a verdict: approval, windows, deadlines, and the money it may cover.

It may not test what holds under every policy; that is test_rules'.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from refunds.candidate import Candidate, in_turn
from refunds.decision import NEXT_STEPS, Outcome, Rule
from refunds.ids import AccountId
from refunds.money import Money
from refunds.policy import OnDeadline, Order, Policy
from refunds.pool import Caps, Pool
from refunds.rules import after_release, judge, plan_run
from refunds.uncovered import uncovered_of
from tests.support.facts import ACCOUNT, EUR, NOON, USD
from tests.unit.refunds.waiting import A_WEEK, AMPLE, leg, money, released, verdicts, waiting

RELEASE, HOLD, REVIEW, REJECT = Outcome.RELEASE, Outcome.HOLD, Outcome.REVIEW, Outcome.REJECT
PURSE = (ACCOUNT, USD)


def verdict(candidate: Candidate, pool: Pool, policy: Policy) -> tuple[Outcome, Rule]:
    decision = judge(candidate, pool, policy, NOON).decision
    assert (decision.rule, decision.outcome) in NEXT_STEPS
    return decision.outcome, decision.rule


def why(candidate: Candidate, pool: Pool, policy: Policy) -> str:
    return judge(candidate, pool, policy, NOON).decision.why


def capped(account: int, *, day: int, exposure: int | None = None) -> Pool:
    """A pool with so much of the caps left, US dollars."""
    left = {} if exposure is None else {PURSE: exposure}
    return replace(money(account), caps=Caps(day_left={USD: day}, exposure_left=left))


# --- review_above ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "candidate, is_reviewed",
    [
        (waiting("rr_1", 10, amount=Money(5_000, USD)), False),  # 50.00 is not above 50.00
        (waiting("rr_1", 10, amount=Money(5_001, USD)), True),
        (waiting("rr_1", 99_999, amount=Money(5_001, USD)), True),  # short or not
        (waiting("rr_1", 10, amount=Money(9_999, EUR)), False),  # no limit in this currency
        (waiting("rr_1", None, amount=Money(5_001, USD)), True),  # the platform's own payments, too
        (
            waiting("rr_1", 10, amount=Money(9_999, USD), waived=frozenset({Rule.REVIEW_ABOVE})),
            False,
        ),
        (waiting("rr_1", 10, amount=Money(9_999, USD), by_person=True), False),
    ],
)
def test_what_is_above_the_limit_needs_approval(candidate: Candidate, *, is_reviewed: bool) -> None:
    policy = Policy(review_above={USD: 5_000})
    found = verdict(candidate, money(1_000), policy)
    assert (found == (REVIEW, Rule.REVIEW_ABOVE)) is is_reviewed


def test_a_limit_of_nothing_means_every_refund_and_says_so() -> None:
    candidate = waiting("rr_1", 1, amount=Money(1, USD))
    assert why(candidate, money(9), Policy(review_above={USD: 0})) == (
        "The refund of 0.01 USD is above 0.00 USD (review_above): a person approves it first."
    )


# --- refund_window --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "closes_hours, expected",
    [
        (None, (HOLD, Rule.COVER)),
        (49, (HOLD, Rule.COVER)),  # 49 hours left, notice of 48
        (48, (REVIEW, Rule.REFUND_WINDOW)),
        (-5, (REVIEW, Rule.REFUND_WINDOW)),  # closed already
    ],
)
def test_a_closing_window_brings_what_is_short_before_a_person(
    closes_hours: int | None, expected: tuple[Outcome, Rule]
) -> None:
    policy = Policy(refund_window_notice=timedelta(hours=48))
    candidate = waiting("rr_1", 5_000, closes_hours=closes_hours)
    assert verdict(candidate, money(0), policy) == expected
    assert verdict(candidate, money(5_000), policy) == (RELEASE, Rule.COVER)
    waived = replace(candidate, waived=frozenset({Rule.REFUND_WINDOW}))
    assert verdict(waived, money(0), policy) == (HOLD, Rule.COVER)


def test_a_closing_window_is_told_with_its_time() -> None:
    candidate = waiting("rr_1", 5_000, closes_hours=24, overdue=True)
    assert why(candidate, money(0), Policy()) == (
        "It is not covered yet, and its payment method can be refunded until "
        f"{NOON + timedelta(hours=24):%Y-%m-%d %H:%M} UTC only (refund_window)."
    )


# --- order ----------------------------------------------------------------------------------------


def test_the_earliest_deadline_comes_first_where_the_policy_says_so() -> None:
    late = waiting("rr_1", 10, age_hours=9, due_hours=72)
    soon = waiting("rr_2", 10, age_hours=1, due_hours=2)
    urgent = waiting("rr_3", 10, due_hours=99, urgent=True)
    three = [late, soon, urgent]
    assert in_turn(three, Policy(order=Order.DEADLINE_FIRST)) == [urgent, soon, late]
    assert in_turn(three, Policy(order=Order.OLDEST_FIRST)) == [urgent, late, soon]
    assert in_turn(three, Policy(order=Order.OLDEST_FIRST_STRICT)) == [urgent, late, soon]


def test_whoever_starves_yields_to_no_nearer_deadline() -> None:
    starved = waiting("rr_1", 10, due_hours=72, skipped_runs=3)
    soon = waiting("rr_2", 10, due_hours=2, skipped_runs=2)
    policy = Policy(order=Order.DEADLINE_FIRST, starve_after=3)
    assert in_turn([soon, starved], policy) == [starved, soon]


STRICT = Policy(order=Order.OLDEST_FIRST_STRICT)


def test_in_strict_order_nobody_passes_an_older_one_that_waits_for_the_same_money() -> None:
    plan = plan_run(
        [
            waiting("rr_big", 9_000, age_hours=3),
            waiting("rr_small", 100, age_hours=2),
            waiting("rr_euro", 100, age_hours=2, currency=EUR),
            waiting("rr_own", 100, age_hours=1, own_pending_minor=100),
        ],
        money({USD: 5_000, EUR: 5_000}),
        STRICT,
        NOON,
    )
    assert verdicts(plan) == {
        "rr_big": (HOLD, Rule.COVER),
        "rr_small": (HOLD, Rule.OLDER_FIRST),
        "rr_euro": (RELEASE, Rule.COVER),
        # It takes nothing of what the older one waits for.
        "rr_own": (RELEASE, Rule.COVER),
    }


def test_in_strict_order_the_platforms_money_is_waited_for_as_well() -> None:
    plan = plan_run(
        [
            waiting("rr_big", None, age_hours=3, cost=Money(9_000, USD)),
            waiting("rr_small", None, age_hours=2, cost=Money(100, USD)),
            waiting("rr_euro", None, age_hours=1, cost=Money(100, EUR)),
            waiting("rr_free", None, cost=Money(0, USD)),
        ],
        money({}, {USD: 5_000, EUR: 5_000}),
        STRICT,
        NOON,
    )
    assert verdicts(plan) == {
        "rr_big": (HOLD, Rule.PLATFORM_SHORT),
        "rr_small": (HOLD, Rule.OLDER_FIRST),
        "rr_euro": (RELEASE, Rule.COVER),
        "rr_free": (RELEASE, Rule.COVER),
    }
    assert plan[1][1].decision.why.startswith("The platform's own balance pays the refund of 1.00")


def test_whoever_comes_before_a_person_is_not_waited_for() -> None:
    plan = plan_run(
        [
            waiting("rr_review", 9_000, age_hours=3, overdue=True, skipped_runs=99),
            waiting("rr_small", 100, age_hours=2),
        ],
        money(5_000),
        STRICT,
        NOON,
    )
    assert verdicts(plan)["rr_small"] == (RELEASE, Rule.COVER)


# --- small_shortfall and its caps -----------------------------------------------------------------

SMALL = Policy(small_shortfall={USD: 1_000}, covered_per_day={USD: 5_000})


@pytest.mark.parametrize(
    "account, expected",
    [
        (5_000, (RELEASE, Rule.COVER)),
        (4_999, (RELEASE, Rule.SMALL_SHORTFALL)),
        (4_000, (RELEASE, Rule.SMALL_SHORTFALL)),  # 50.00 - 40.00 = 10.00: the limit
        (3_999, (HOLD, Rule.COVER)),
    ],
)
def test_what_lacks_little_is_released_uncovered(
    account: int, expected: tuple[Outcome, Rule]
) -> None:
    assert verdict(waiting("rr_1", 5_000), capped(account, day=5_000), SMALL) == expected


def test_a_small_shortfall_is_told_with_what_the_platform_stands_in_for() -> None:
    assert why(waiting("rr_1", 5_000), capped(4_500, day=5_000), SMALL) == (
        "The account has 45.00 USD spendable, the refund needs 50.00 USD: 5.00 USD short, and the "
        "policy carries up to 10.00 USD (small_shortfall); "
        "the platform stands in for 5.00 USD of 50.00 USD."
    )


def test_a_reached_cap_keeps_it_on_hold_and_is_named() -> None:
    request = waiting("rr_1", 5_000)
    assert verdict(request, capped(4_500, day=500), SMALL) == (RELEASE, Rule.SMALL_SHORTFALL)
    assert verdict(request, capped(4_500, day=499), SMALL) == (HOLD, Rule.COVERED_PER_DAY)
    assert why(request, capped(4_500, day=-3), SMALL).endswith(
        "5.00 USD short, and of what the platform may cover today (covered_per_day) 0.00 USD is "
        "left."
    )
    assert verdict(request, capped(4_500, day=5_000, exposure=500), SMALL)[0] is RELEASE
    limited = capped(4_500, day=5_000, exposure=499)
    assert verdict(request, limited, SMALL) == (HOLD, Rule.EXPOSURE_LIMIT)
    assert why(request, limited, SMALL).endswith(
        "(exposure_limit) 4.99 USD is left.",
    )


def test_without_a_cap_in_the_currency_nothing_is_covered() -> None:
    policy = Policy(small_shortfall={EUR: 1_000})
    request = waiting("rr_1", 5_000, currency=EUR)
    pool = money({EUR: 4_500}, {USD: AMPLE})
    assert verdict(request, pool, policy) == (HOLD, Rule.COVERED_PER_DAY)


def test_one_run_uses_a_cap_up_once() -> None:
    # Four lack 2.00 each of what is 0 after the first: 5.00 a day covers two of them.
    requests = [waiting(f"rr_{n}", 200, age_hours=9 - n) for n in range(4)]
    plan = plan_run(requests, capped(0, day=500, exposure=10_000), SMALL, NOON)
    assert list(verdicts(plan).values()) == [
        (RELEASE, Rule.SMALL_SHORTFALL),
        (RELEASE, Rule.SMALL_SHORTFALL),
        (HOLD, Rule.COVERED_PER_DAY),
        (HOLD, Rule.COVERED_PER_DAY),
    ]
    plan = plan_run(requests, capped(0, day=5_000, exposure=450), SMALL, NOON)
    assert [rule for _, rule in verdicts(plan).values()][2:] == [Rule.EXPOSURE_LIMIT] * 2


def test_a_persons_release_counts_for_the_exposure_and_not_for_the_day() -> None:
    request = waiting("rr_1", 300, by_person=True)
    pool = capped(100, day=500, exposure=1_000)
    left = after_release(pool, request, judge(request, pool, SMALL, NOON))
    assert left.caps == Caps(day_left={USD: 500}, exposure_left={PURSE: 800})
    small = waiting("rr_2", 300)
    left = after_release(pool, small, judge(small, pool, SMALL, NOON))
    assert left.caps == Caps(day_left={USD: 300}, exposure_left={PURSE: 800})
    assert left.account[PURSE] == 0


def test_a_debt_is_no_part_of_what_is_covered() -> None:
    # 3.00 are needed of an account that owes 2.00: 5.00 short, and 3.00 uncovered.
    request = waiting("rr_1", 300)
    pool = capped(-200, day=300)
    evaluation = judge(request, pool, SMALL, NOON)
    assert evaluation.decision.rule is Rule.SMALL_SHORTFALL
    assert uncovered_of(request, evaluation) == {PURSE: 300}
    covered = judge(request, capped(300, day=300), SMALL, NOON)
    assert uncovered_of(request, covered) == {}
    assert uncovered_of(request, judge(request, money(0), Policy(), NOON)) == {}


def test_what_is_covered_passes_nobody_that_is_waited_for() -> None:
    starved = waiting("rr_old", 9_000, age_hours=9, skipped_runs=10)
    plan = plan_run([starved, waiting("rr_1", 5_000)], capped(4_500, day=5_000), SMALL, NOON)
    assert verdicts(plan)["rr_1"] == (HOLD, Rule.COVER)


def test_no_rule_covers_what_draws_on_several_accounts() -> None:
    other = leg(5_000, account=AccountId("acct_other"))
    request = waiting("rr_1", 5_000, overdue=True)
    both = replace(request, legs=(*request.legs, other))
    policy = replace(SMALL, on_deadline=OnDeadline.COVER)
    pool = replace(
        capped(4_900, day=5_000), account={PURSE: 4_900, (AccountId("acct_other"), USD): 5_000}
    )
    assert verdict(both, pool, policy) == (REVIEW, Rule.DEADLINE)


def test_no_rule_covers_a_direct_charge() -> None:
    request = waiting("rr_1", 5_000, overdue=True)
    direct = replace(request, legs=(leg(5_000, direct=True),))
    policy = replace(SMALL, on_deadline=OnDeadline.COVER)
    assert verdict(direct, capped(4_900, day=5_000), policy) == (REVIEW, Rule.DEADLINE)
    by_person = replace(direct, by_person=True)
    evaluation = judge(by_person, money(0), policy, NOON)
    assert evaluation.decision.outcome is RELEASE
    assert uncovered_of(by_person, evaluation) == {}


# --- on_deadline ----------------------------------------------------------------------------------

COVER = Policy(on_deadline=OnDeadline.COVER, covered_per_day={USD: 5_000})
LATE = waiting("rr_1", 4_000, overdue=True)


@pytest.mark.parametrize(
    "on_deadline, expected",
    [
        (OnDeadline.REVIEW, (REVIEW, Rule.DEADLINE)),
        (OnDeadline.CANCEL, (REJECT, Rule.DEADLINE)),
        (OnDeadline.COVER, (RELEASE, Rule.DEADLINE)),
    ],
)
def test_what_happens_at_the_deadline_is_the_policys(
    on_deadline: OnDeadline, expected: tuple[Outcome, Rule]
) -> None:
    policy = replace(COVER, on_deadline=on_deadline)
    assert verdict(LATE, capped(1_000, day=5_000), policy) == expected
    assert verdict(replace(LATE, deadline=NOON + A_WEEK), capped(1_000, day=5_000), policy) == (
        HOLD,
        Rule.COVER,
    )
    waived = replace(LATE, waived=frozenset({Rule.DEADLINE}))
    assert verdict(waived, capped(1_000, day=5_000), policy) == (HOLD, Rule.COVER)


@pytest.mark.parametrize(
    "pool, expected",
    [
        (capped(1_000, day=3_000), (RELEASE, Rule.DEADLINE)),
        # Tomorrow's share of the cap can cover it: it waits for that.
        (capped(1_000, day=2_999), (HOLD, Rule.COVERED_PER_DAY)),
        # A debt is no part of it: 40.00 of the 60.00 missing, of 50.00 a day.
        (capped(-2_000, day=3_999), (HOLD, Rule.COVERED_PER_DAY)),
        # Waiting can't help where the account owes too much.
        (capped(1_000, day=5_000, exposure=2_999), (REVIEW, Rule.DEADLINE)),
        # The platform can't stand in for itself.
        (replace(capped(1_000, day=5_000), platform={USD: 3_999}), (REVIEW, Rule.DEADLINE)),
        (capped(1_000, day=5_000).close([PURSE]), (REVIEW, Rule.DEADLINE)),
        (replace(capped(1_000, day=5_000), barred={PURSE}), (REVIEW, Rule.DEADLINE)),
    ],
)
def test_covering_at_the_deadline_keeps_to_the_caps(
    pool: Pool, expected: tuple[Outcome, Rule]
) -> None:
    assert verdict(LATE, pool, COVER) == expected


def test_more_than_a_whole_days_cap_comes_before_a_person() -> None:
    request = waiting("rr_1", 5_001, overdue=True)
    assert verdict(request, capped(0, day=5_000), COVER) == (REVIEW, Rule.DEADLINE)


def test_covering_at_the_deadline_is_told() -> None:
    assert why(LATE, capped(1_000, day=5_000), COVER) == (
        f"It was not covered by its deadline, {NOON:%Y-%m-%d %H:%M} UTC; "
        "the platform stands in for 30.00 USD of 40.00 USD."
    )


def test_what_is_covered_at_the_deadline_uses_up_the_account_and_the_cap() -> None:
    young = waiting("rr_2", 500)
    plan = plan_run([LATE, young], capped(1_000, day=5_000), COVER, NOON)
    assert released(plan) == [LATE]
    assert plan[1][1].spendable_minor == 0
