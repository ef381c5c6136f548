"""Nobody waits longer than the bound and the time the money takes, whatever comes after them.

It may not plan a single run; that is test_plan_run's.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.candidate import Candidate
from refunds.policy import Order, Policy
from refunds.rules import plan_run
from tests.support.facts import NOON
from tests.unit.refunds.waiting import COVERING_NOTHING, money, released, waiting


@pytest.mark.parametrize("starve_after", [1, 3, 10])
def test_a_large_request_is_not_starved_by_a_stream_of_small_ones(starve_after: int) -> None:
    # 100 come in a run and a new request of 100 with them; the old one needs 1000. It is skipped
    # `starve_after` times, then the next ten runs' money is kept for it.
    runs_taken = run_until_released(
        waiting("rr_large", 1_000, age_hours=1),
        income=100,
        rival_need=100,
        policy=Policy(starve_after=starve_after),
    )
    assert runs_taken == starve_after + 10


@given(
    need=st.integers(1, 2_000),
    income=st.integers(1, 200),
    rival_need=st.integers(1, 200),
    policy=COVERING_NOTHING.map(lambda policy: replace(policy, review_above={})),
)
def test_nobody_waits_longer_than_the_bound_and_the_time_the_money_takes(
    need: int, income: int, rival_need: int, policy: Policy
) -> None:
    runs_taken = run_until_released(
        waiting("rr_large", need, age_hours=1),
        income=income,
        rival_need=rival_need,
        policy=policy,
    )
    bound = 0 if policy.order is Order.OLDEST_FIRST_STRICT else policy.starve_after
    assert runs_taken <= bound + -(-need // income)


def run_until_released(large: Candidate, *, income: int, rival_need: int, policy: Policy) -> int:
    """Play runs with a younger rival in each and say in which one the large request went out."""
    balance = 0
    for run in range(1, 10_000):
        balance += income
        # Nearer deadlines than the large one's, so that deadlines can't starve it either.
        rival = waiting(f"rr_rival_{run}", rival_need, due_hours=1)
        plan = plan_run([rival, large], money(balance), policy, NOON)
        for candidate in released(plan):
            balance -= sum(candidate.takes.values())
        if large in released(plan):
            return run
        large = replace(large, skipped_runs=large.skipped_runs + 1)
    raise AssertionError("it was never released")
