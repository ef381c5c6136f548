"""A whole run: nobody is promised what another was, nobody starves, and order is all that counts.

It may not test the words of a verdict; that is test_pool's.
"""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from refunds.candidate import Candidate
from refunds.decision import UNCOVERED, Outcome, Rule
from refunds.money import Currency
from refunds.policy import DEFAULT_POLICY, Policy
from refunds.pool import Caps, Pool
from refunds.rules import plan_run
from tests.support.facts import ACCOUNT, EUR, NOON, USD
from tests.unit.refunds.waiting import (
    AMPLE,
    BALANCES,
    CAPS,
    COVERING_NOTHING,
    POLICIES,
    WAIVABLE,
    candidates,
    money,
    released,
    verdicts,
    waiting,
)

RELEASE, HOLD, REVIEW = Outcome.RELEASE, Outcome.HOLD, Outcome.REVIEW


# --- stories ------------------------------------------------------------------------------------


def test_the_oldest_is_served_first_and_what_does_not_fit_is_skipped() -> None:
    # 100.00: the oldest takes 60.00, the next one needs 50.00 of the 40.00 left, the last 40.00.
    plan = plan_run(
        [
            waiting("rr_new", 4_000, age_hours=1),
            waiting("rr_old", 6_000, age_hours=3),
            waiting("rr_mid", 5_000, age_hours=2),
        ],
        money(10_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert list(verdicts(plan).items()) == [
        ("rr_old", (RELEASE, Rule.COVER)),
        ("rr_mid", (HOLD, Rule.COVER)),
        ("rr_new", (RELEASE, Rule.COVER)),
    ]
    assert [evaluation.spendable_minor for _, evaluation in plan] == [10_000, 4_000, 4_000]


def test_an_urgent_one_goes_before_older_ones() -> None:
    plan = plan_run(
        [waiting("rr_old", 6_000, age_hours=3), waiting("rr_fraud", 6_000, urgent=True)],
        money(10_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert verdicts(plan) == {"rr_fraud": (RELEASE, Rule.COVER), "rr_old": (HOLD, Rule.COVER)}


def test_whoever_was_skipped_too_often_is_waited_for() -> None:
    plan = plan_run(
        [
            waiting("rr_starved", 9_000, age_hours=3, skipped_runs=10),
            waiting("rr_small", 1_000, age_hours=2),
            waiting("rr_euro", 1_000, age_hours=1, currency=EUR),
            waiting("rr_alone", 1_000, own_pending_minor=1_000),
        ],
        money({USD: 5_000, EUR: 5_000}),
        DEFAULT_POLICY,
        NOON,
    )
    assert verdicts(plan) == {
        "rr_starved": (HOLD, Rule.COVER),
        "rr_small": (HOLD, Rule.OLDER_FIRST),
        "rr_euro": (RELEASE, Rule.COVER),
        "rr_alone": (RELEASE, Rule.COVER),
    }


def test_whoever_was_skipped_too_often_bars_nobody_once_it_goes_out() -> None:
    plan = plan_run(
        [
            waiting("rr_starved", 4_000, age_hours=3, skipped_runs=10),
            waiting("rr_small", 1_000, age_hours=2),
        ],
        money(5_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert [outcome for outcome, _ in verdicts(plan).values()] == [RELEASE, RELEASE]


def test_a_persons_release_uses_up_what_there_is() -> None:
    plan = plan_run(
        [
            waiting("rr_person", 8_000, age_hours=2, by_person=True),
            waiting("rr_next", 1, age_hours=1),
        ],
        money(5_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert verdicts(plan) == {"rr_person": (RELEASE, Rule.PERSON), "rr_next": (HOLD, Rule.COVER)}
    assert plan[1][1].spendable_minor == 0


def test_the_platforms_balance_is_shared_by_all() -> None:
    # Both accounts' money is there, the platform can pay for one: 60.00 of 100.00, then 40.00 left.
    plan = plan_run(
        [waiting("rr_old", 6_000, age_hours=2), waiting("rr_new", 6_000, age_hours=1)],
        money(AMPLE, 10_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert verdicts(plan) == {
        "rr_old": (RELEASE, Rule.COVER),
        "rr_new": (HOLD, Rule.PLATFORM_SHORT),
    }


def test_own_pending_money_is_for_its_own_refund_only() -> None:
    # 50.00 available. The fresh purchase lives on its own 80.00; its other 30.00 serve nobody else.
    plan = plan_run(
        [
            waiting("rr_fresh", 5_000, age_hours=2, own_pending_minor=8_000),
            waiting("rr_other", 5_001, age_hours=1),
        ],
        money(5_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert verdicts(plan) == {"rr_fresh": (RELEASE, Rule.COVER), "rr_other": (HOLD, Rule.COVER)}


def test_overdue_ones_go_to_a_person_and_take_nothing() -> None:
    plan = plan_run(
        [
            waiting("rr_overdue", 9_000, age_hours=200, overdue=True),
            waiting("rr_next", 5_000, age_hours=1),
        ],
        money(5_000),
        DEFAULT_POLICY,
        NOON,
    )
    assert verdicts(plan) == {
        "rr_overdue": (REVIEW, Rule.DEADLINE),
        "rr_next": (RELEASE, Rule.COVER),
    }


def test_a_run_over_nothing_decides_nothing() -> None:
    assert plan_run([], money(5_000), DEFAULT_POLICY, NOON) == []


# --- properties ---------------------------------------------------------------------------------


@given(waiting_ones=candidates(), account=BALANCES, platform=BALANCES, caps=CAPS, policy=POLICIES)
def test_a_plan_never_promises_more_than_there_is(
    waiting_ones: list[Candidate],
    account: dict[Currency, int],
    platform: dict[Currency, int],
    caps: Caps,
    policy: Policy,
) -> None:
    plan = plan_run(waiting_ones, replace(money(account, platform), caps=caps), policy, NOON)
    from_account: Counter[Currency] = Counter()
    from_platform: Counter[Currency] = Counter()
    uncovered: Counter[Currency] = Counter()
    for candidate, evaluation in plan:
        if evaluation.decision.outcome is not RELEASE:
            continue
        cost = candidate.platform_cost
        from_platform[cost.currency] += cost.amount_minor
        who = uncovered if evaluation.decision.rule in UNCOVERED else from_account
        for leg in candidate.legs:
            # Counted from the need, not from what the code says it takes.
            takes = max(0, leg.need.total_minor - leg.own_pending_minor)
            who[leg.need.currency] += takes
    for currency, spent in from_platform.items():
        assert spent <= max(0, platform[currency])
    for currency, taken in from_account.items():
        assert taken <= max(0, account[currency])


@given(waiting_ones=candidates(), account=BALANCES, platform=BALANCES, caps=CAPS, policy=POLICIES)
def test_all_releases_together_take_no_more_than_the_account_has(
    waiting_ones: list[Candidate],
    account: dict[Currency, int],
    platform: dict[Currency, int],
    caps: Caps,
    policy: Policy,
) -> None:
    taken = taken_by(waiting_ones, replace(money(account, platform), caps=caps), policy)
    assert all(minor <= max(0, account[currency]) for currency, minor in taken.items())


@given(waiting_ones=candidates(), account=BALANCES, caps=CAPS, policy=POLICIES)
def test_no_rule_covers_more_than_the_caps_leave(
    waiting_ones: list[Candidate], account: dict[Currency, int], caps: Caps, policy: Policy
) -> None:
    plan = plan_run(waiting_ones, replace(ample(account), caps=caps), policy, NOON)
    by_rules: Counter[Currency] = Counter()
    exposed: Counter[Currency] = Counter()
    for candidate, evaluation in plan:
        decision, need = evaluation.decision, candidate.need
        if decision.outcome is not RELEASE or decision.rule not in UNCOVERED or need is None:
            continue
        # From the figures of the verdict: what is not there has to come from the platform.
        assert evaluation.spendable_minor is not None
        lacks = min(need.total_minor, need.total_minor - evaluation.spendable_minor)
        exposed[need.currency] += max(0, lacks)
        if decision.rule is Rule.PERSON:
            continue
        by_rules[need.currency] += lacks
        assert by_rules[need.currency] <= caps.day_left.get(need.currency, 0)
        left = caps.exposure_left.get((ACCOUNT, need.currency))
        assert left is None or exposed[need.currency] <= left


@given(waiting_ones=candidates(), account=BALANCES, policy=COVERING_NOTHING)
def test_nothing_is_uncovered_unless_a_person_or_a_policy_says_so(
    waiting_ones: list[Candidate], account: dict[Currency, int], policy: Policy
) -> None:
    for candidate, evaluation in plan_run(waiting_ones, ample(account), policy, NOON):
        if evaluation.decision.outcome is RELEASE and not candidate.by_person:
            assert not evaluation.shortfalls


@given(
    waiting_ones=candidates(),
    account=BALANCES,
    platform=BALANCES,
    policy=POLICIES,
    data=st.data(),
)
def test_the_order_in_which_requests_are_read_changes_nothing(
    waiting_ones: list[Candidate],
    account: dict[Currency, int],
    platform: dict[Currency, int],
    policy: Policy,
    data: st.DataObject,
) -> None:
    shuffled = data.draw(st.permutations(waiting_ones))
    pool = money(account, platform)
    assert plan_run(shuffled, pool, policy, NOON) == plan_run(waiting_ones, pool, policy, NOON)


@given(waiting_ones=candidates(), account=BALANCES, platform=BALANCES, policy=POLICIES)
def test_everybody_gets_exactly_one_verdict(
    waiting_ones: list[Candidate],
    account: dict[Currency, int],
    platform: dict[Currency, int],
    policy: Policy,
) -> None:
    plan = plan_run(waiting_ones, money(account, platform), policy, NOON)
    assert sorted(c.request for c, _ in plan) == sorted(c.request for c in waiting_ones)
    for candidate, evaluation in plan:
        decision = evaluation.decision
        assert decision.next_steps
        if decision.outcome is REVIEW:
            assert decision.rule in WAIVABLE
            assert decision.rule not in candidate.waived
            if decision.rule is Rule.DEADLINE:
                assert candidate.deadline <= NOON


@given(
    waiting_ones=candidates(own_pending=False, by_person=False, platform_lane=False),
    account=BALANCES,
    more=st.fixed_dictionaries({USD: st.integers(0, 1_000), EUR: st.integers(0, 1_000)}),
    policy=COVERING_NOTHING,
)
def test_with_more_balance_the_released_need_never_falls(
    waiting_ones: list[Candidate],
    account: dict[Currency, int],
    more: dict[Currency, int],
    policy: Policy,
) -> None:
    richer = {currency: account[currency] + more[currency] for currency in account}
    before = released_need(waiting_ones, account, policy)
    after = released_need(waiting_ones, richer, policy)
    assert all(after[currency] >= before[currency] for currency in before)


@given(
    waiting_ones=candidates(),
    account=BALANCES,
    more=st.fixed_dictionaries({USD: st.integers(0, 1_000), EUR: st.integers(0, 1_000)}),
    policy=COVERING_NOTHING,
)
def test_with_more_balance_never_less_of_it_is_put_to_use(
    waiting_ones: list[Candidate],
    account: dict[Currency, int],
    more: dict[Currency, int],
    policy: Policy,
) -> None:
    richer = {currency: account[currency] + more[currency] for currency in account}
    before = put_to_use(waiting_ones, account, policy)
    after = put_to_use(waiting_ones, richer, policy)
    assert all(after[currency] >= before[currency] for currency in before)


def test_own_pending_money_can_let_a_smaller_balance_release_a_larger_need() -> None:
    # Why the property above counts what is taken from the balance once own pending money counts:
    # with 9 the old request of 10 is skipped and the fresh one goes out, 100 of need for 5 of
    # balance; with 10 the old one takes it all.
    old = waiting("rr_old", 10, age_hours=2)
    fresh = waiting("rr_fresh", 100, age_hours=1, own_pending_minor=95)
    both = [old, fresh]
    assert released(plan_run(both, money(9), DEFAULT_POLICY, NOON)) == [fresh]
    assert released(plan_run(both, money(10), DEFAULT_POLICY, NOON)) == [old]
    assert put_to_use(both, {USD: 9}, DEFAULT_POLICY) == {USD: 5}
    assert put_to_use(both, {USD: 10}, DEFAULT_POLICY) == {USD: 10}


def ample(account: dict[Currency, int]) -> Pool:
    return money(account, {USD: AMPLE, EUR: AMPLE})


def released_need(
    waiting_ones: list[Candidate], account: dict[Currency, int], policy: Policy
) -> Counter[Currency]:
    total: Counter[Currency] = Counter()
    for candidate in released(plan_run(waiting_ones, ample(account), policy, NOON)):
        assert candidate.need is not None
        total[candidate.need.currency] += candidate.need.total_minor
    return total


def put_to_use(
    waiting_ones: list[Candidate], account: dict[Currency, int], policy: Policy
) -> Counter[Currency]:
    return taken_by(waiting_ones, ample(account), policy)


def taken_by(waiting_ones: list[Candidate], pool: Pool, policy: Policy) -> Counter[Currency]:
    """What the releases of a run take from the account, replayed on a pool of the test's own."""
    total: Counter[Currency] = Counter()
    for candidate in released(plan_run(waiting_ones, pool, policy, NOON)):
        takes = pool.takes_of(candidate)
        pool = pool.take(takes, candidate.platform_cost)
        for (_, currency), minor in takes.items():
            assert minor >= 0
            total[currency] += minor
    return total
