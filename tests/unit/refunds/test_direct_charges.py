"""Direct charges in the pure core: their need, their cost, their calls and their verdicts.

It may not repeat what holds of payments that a transfer carried on.
"""

from dataclasses import replace

import pytest

from refunds.attempt import Intent, plan_steps
from refunds.blocks import check_drawn_on
from refunds.candidate import Candidate
from refunds.decision import Outcome, Rule
from refunds.facts import AccountStanding, ChargeFacts
from refunds.ids import RequestId
from refunds.money import Money
from refunds.need import Need, Weighing, plan_legs, platform_cost
from refunds.policy import Policy
from refunds.pool import Holding, Pool, open_pool
from refunds.rules import judge
from refunds.steps import StepKind
from tests.support.facts import (
    ACCOUNT,
    ATTEMPT,
    EUR,
    NOON,
    REQUEST,
    USD,
    charged,
    paid_direct,
    settled,
    transferred,
)
from tests.unit.refunds.waiting import A_WEEK, leg, money, waiting
from tests.unit.refunds.waiting import SHORT as PASSED_OVER

WEIGHING = Weighing(fx_buffer_percent=2)


def test_it_is_the_account_that_it_lives_in() -> None:
    assert paid_direct(10_000).account == ACCOUNT
    assert charged(10_000).account is None
    assert charged(10_000, transfer=transferred(10_000)).account == ACCOUNT


@pytest.mark.parametrize(
    "charge, refund, need, own",
    [
        # All of it, whatever the fee: the fee comes back afterwards, if at all.
        (paid_direct(10_000, fee_minor=1_000), 10_000, (10_000, USD, 0), 0),
        (paid_direct(10_000), 3_000, (3_000, USD, 0), 0),
        # 100.00 USD settled as 80.01 EUR: 3333 · 8001 / 10000 = 2666.7; 2 % of 2667 = 53.34.
        (paid_direct(10_000, settlement=settled(8_001, EUR)), 3_333, (2_667, EUR, 54), 0),
        # Pending, net of fees 8680; 2500 of it were refunded before: 6180 are left.
        (
            paid_direct(
                10_000,
                refunded_minor=2_500,
                settlement=settled(10_000, USD, net_minor=8_680, pending=True),
            ),
            5_000,
            (5_000, USD, 0),
            6_180,
        ),
    ],
    ids=["full", "partial", "converted", "pending"],
)
def test_what_it_needs(
    charge: ChargeFacts, refund: int, need: tuple[int, str, int], own: int
) -> None:
    (found,) = plan_legs(charge, refund, WEIGHING)
    amount, currency, buffer = need
    assert (found.account, found.transfer, found.reversal_minor) == (ACCOUNT, None, 0)
    assert found.need == Need(amount_minor=amount, currency=currency, fx_buffer_minor=buffer)  # type: ignore[arg-type]  # a currency of the table
    assert found.own_pending_minor == own


@pytest.mark.parametrize(
    "fee, fee_back, cost",
    [
        (1_000, False, 0),
        (None, True, 0),
        (1_000, True, 334),  # 3333 · 1000 / 10000 = 333.3
    ],
)
def test_the_platform_pays_its_share_of_the_fee_where_that_goes_back(
    fee: int | None, *, fee_back: bool, cost: int
) -> None:
    charge = paid_direct(10_000, fee_minor=fee)
    assert platform_cost(charge, 3_333, 2, fee_back=fee_back) == Money(cost, USD)


@pytest.mark.parametrize(
    "fee, asked, sent", [(1_000, True, True), (1_000, False, False), (None, True, False)]
)
def test_it_is_refunded_in_its_account(fee: int | None, *, asked: bool, sent: bool) -> None:
    charge = paid_direct(10_000, fee_minor=fee)
    intent = Intent(
        request=REQUEST,
        attempt=ATTEMPT,
        amount=Money(4_000, USD),
        legs=plan_legs(charge, 4_000, WEIGHING),
        uncovered=False,
        spare_minor=(0,),
        refund_application_fee=asked,
        reason=None,
    )
    (call,) = plan_steps(charge, intent)
    assert (call.kind, call.account) == (StepKind.REFUND, ACCOUNT)
    assert "reverse_transfer" not in call.params
    assert call.params.get("refund_application_fee", False) is sent


def direct(
    need_minor: int, *, queues: bool = False, by_person: bool = False, cost: int = 0
) -> Candidate:
    return Candidate(
        request=RequestId("rr_direct"),
        created=NOON,
        amount=Money(need_minor, USD),
        legs=(leg(need_minor, direct=True),),
        platform_cost=Money(cost, USD),
        deadline=NOON + A_WEEK,
        by_person=by_person,
        stripe_queues=queues,
    )


def verdict(candidate: Candidate, pool: Pool) -> tuple[Outcome, Rule, str]:
    decision = judge(candidate, pool, Policy(), NOON).decision
    return decision.outcome, decision.rule, decision.why


SHORT = "The account has 10.00 USD spendable, the refund needs 50.00 USD: 40.00 USD short"


@pytest.mark.parametrize(
    "candidate, expected",
    [
        (direct(5_000), (Outcome.HOLD, Rule.DIRECT_SHORT, f"{SHORT}.")),
        (
            direct(5_000, queues=True),
            (
                Outcome.RELEASE,
                Rule.DIRECT_SENT,
                f"{SHORT}; Stripe queues the refund until the account has it.",
            ),
        ),
        (
            direct(5_000, by_person=True),
            (
                Outcome.RELEASE,
                Rule.PERSON,
                (
                    f"A person released it. {SHORT}; "
                    "Stripe queues the refund until the account has it."
                ),
            ),
        ),
    ],
)
def test_a_short_one_is_held_or_sent_for_stripe_to_queue(
    candidate: Candidate, expected: tuple[Outcome, Rule, str]
) -> None:
    assert verdict(candidate, money(1_000)) == expected


@pytest.mark.parametrize(
    "pool",
    [
        money(9_000),
        money(9_000, 0),
        money(9_000, -5),
        money(9_000).close([(ACCOUNT, USD)]),
        money(9_000).pass_over(waiting("rr_0", 99_999, skipped_runs=10), PASSED_OVER, Policy()),
    ],
    ids=["covered", "platform empty", "platform in debt", "refused before", "out of turn"],
)
def test_one_that_stripe_would_queue_waits_for_nobody(pool: Pool) -> None:
    assert verdict(direct(5_000, queues=True), pool)[:2] == (Outcome.RELEASE, Rule.COVER)


def test_it_waits_for_the_platform_only_where_a_fee_goes_back() -> None:
    assert verdict(direct(5_000, queues=True, cost=1), money(9_000, 0))[1] is Rule.PLATFORM_SHORT


@pytest.mark.parametrize(
    "candidate, taken",
    [
        (direct(5_000, queues=True), 5_000),  # Stripe has first claim on what comes in
        (direct(5_000, by_person=True), 5_000),
        (direct(5_000), 1_000),
    ],
)
def test_what_stripe_queues_takes_all_of_it(candidate: Candidate, taken: int) -> None:
    assert money(1_000).takes_of(candidate) == {(ACCOUNT, USD): taken}


def test_what_other_hands_have_queued_is_not_there_to_promise() -> None:
    holding = Holding(available={USD: 9_000}, queued={USD: 4_000, EUR: 5})
    pool = open_pool(accounts={ACCOUNT: holding}, platform=Holding())
    assert pool.account == {(ACCOUNT, USD): 5_000, (ACCOUNT, EUR): -5}


@pytest.mark.parametrize("by_person", [False, True])
def test_nobody_refunds_for_an_account_that_left(*, by_person: bool) -> None:
    candidate = replace(
        direct(5_000, by_person=by_person), waived=frozenset({Rule.ACCOUNT_DEAUTHORIZED})
    )
    decision = check_drawn_on(candidate, ACCOUNT, AccountStanding.DEAUTHORIZED)
    assert decision is not None
    assert (decision.outcome, decision.rule) == (Outcome.REVIEW, Rule.ACCOUNT_DEAUTHORIZED)


def test_others_pass_an_account_by_once_a_person_said_so() -> None:
    for standing in (AccountStanding.REJECTED, AccountStanding.DEAUTHORIZED):
        waits = waiting("rr_1", 5_000)
        assert check_drawn_on(waits, ACCOUNT, standing) is not None
        assert check_drawn_on(replace(waits, by_person=True), ACCOUNT, standing) is None
    assert check_drawn_on(direct(1, by_person=True), ACCOUNT, AccountStanding.REJECTED) is None
    assert check_drawn_on(direct(1), ACCOUNT, AccountStanding.ACTIVE) is None
