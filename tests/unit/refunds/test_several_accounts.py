"""Requests that draw on several accounts: all of them cover it, or none gives anything.

It may not repeat what holds of one account.
"""

from dataclasses import replace

from refunds.candidate import Candidate
from refunds.decision import Outcome, Rule, Shortfall
from refunds.ids import AccountId, RequestId
from refunds.money import Money
from refunds.need import Leg, Need, PurseKey
from refunds.policy import DEFAULT_POLICY, Policy
from refunds.pool import Pool
from refunds.rules import judge
from tests.support.facts import ACCOUNT, EUR, NOON, USD
from tests.unit.refunds.waiting import A_WEEK, AMPLE, SHORT, leg, money

OTHER = AccountId("acct_other")


def verdict(candidate: Candidate, pool: Pool) -> tuple[Outcome, Rule, str]:
    decision = judge(candidate, pool, DEFAULT_POLICY, NOON).decision
    return decision.outcome, decision.rule, decision.why


def split(*legs: Leg, cost: int = 0, by_person: bool = False) -> Candidate:
    return Candidate(
        request=RequestId("rr_split"),
        created=NOON,
        legs=legs,
        amount=Money(cost, USD),
        platform_cost=Money(cost, USD),
        deadline=NOON + A_WEEK,
        by_person=by_person,
    )


def held_in(amounts: dict[PurseKey, int]) -> Pool:
    return Pool(account=amounts, platform={USD: AMPLE})


def test_all_accounts_cover_their_legs_or_none_gives_anything() -> None:
    request = split(leg(3_000), leg(2_000, account=OTHER))
    both = {(ACCOUNT, USD): 3_000, (OTHER, USD): 2_000}
    assert verdict(request, held_in(both)) == (
        Outcome.RELEASE,
        Rule.COVER,
        (
            "The refund needs 30.00 USD of acct_shop, which has 30.00 USD spendable, "
            "and 20.00 USD of acct_other, which has 20.00 USD spendable: covered."
        ),
    )
    one_short = {(ACCOUNT, USD): 3_000, (OTHER, USD): 1_999}
    assert verdict(request, held_in(one_short)) == (
        Outcome.HOLD,
        Rule.COVER,
        (
            "The refund needs 30.00 USD of acct_shop, which has 30.00 USD spendable, "
            "and 20.00 USD of acct_other, which has 19.99 USD spendable: "
            "0.01 USD short in acct_other."
        ),
    )


def test_it_is_told_by_the_account_it_waits_for_longest() -> None:
    request = split(leg(3_000), leg(2_000, account=OTHER))
    evaluation = judge(
        request, held_in({(ACCOUNT, USD): 2_500, (OTHER, USD): 100}), DEFAULT_POLICY, NOON
    )
    # 3000 - 2500 = 500 here, 2000 - 100 = 1900 there.
    assert (evaluation.need, evaluation.spendable_minor, evaluation.shortfall_minor) == (
        Need(amount_minor=2_000, currency=USD, fx_buffer_minor=0),
        100,
        1_900,
    )
    assert evaluation.shortfalls == (
        Shortfall(account=ACCOUNT, missing=Money(500, USD)),
        Shortfall(account=OTHER, missing=Money(1_900, USD)),
    )
    covered = judge(
        request, held_in({(ACCOUNT, USD): 3_000, (OTHER, USD): 9_000}), DEFAULT_POLICY, NOON
    )
    # Nothing is short: the home account's figures.
    assert (covered.need, covered.spendable_minor) == (request.need, 3_000)


def test_legs_of_one_purse_are_one_need() -> None:
    request = split(leg(3_000, own_minor=4_000), leg(2_000, buffer_minor=40, own_minor=500))
    (draw,) = request.draws
    assert draw.need == Need(amount_minor=5_000, currency=USD, fx_buffer_minor=40)
    # The first transfer's own 4000 serve its 3000 and nothing else: 3000 + 500.
    assert draw.own_pending_minor == 3_500
    assert draw.from_available_minor == 1_540  # 0 + (2040 - 500)
    assert verdict(request, money(1_540))[0] is Outcome.RELEASE
    assert verdict(request, money(1_539))[0] is Outcome.HOLD


def test_legs_in_two_currencies_of_one_account_are_two_needs() -> None:
    request = split(leg(3_000), leg(2_000, currency=EUR))
    assert verdict(request, money({USD: 3_000, EUR: 2_000}))[0] is Outcome.RELEASE
    assert verdict(request, money({USD: 9_000, EUR: 1_999}))[0] is Outcome.HOLD


def test_what_each_account_can_spare_is_counted_once() -> None:
    request = split(leg(3_000), leg(2_000), leg(500, account=OTHER))
    pool = held_in({(ACCOUNT, USD): 4_000, (OTHER, USD): -50})
    # 3000 of 4000 for the first leg, the other 1000 for the second; a debt spares nothing.
    assert pool.spare_for(request) == (4_000, 1_000, 0)
    own = split(leg(3_000, own_minor=9_000), leg(2_000, own_minor=100))
    assert money(400).spare_for(own) == (3_400, 500)


def test_a_persons_release_names_every_account_the_platform_stands_in_for() -> None:
    request = split(leg(3_000), leg(2_000, account=OTHER), leg(1, currency=EUR), by_person=True)
    pool = held_in({(ACCOUNT, USD): 1_000, (OTHER, USD): -300, (ACCOUNT, EUR): 1})
    assert verdict(request, pool) == (
        Outcome.RELEASE,
        Rule.PERSON,
        (
            "A person released it; the platform stands in for 20.00 USD of 30.00 USD of acct_shop "
            "and 20.00 USD of 20.00 USD of acct_other."
        ),
    )
    assert pool.takes_of(request) == {
        (ACCOUNT, USD): 1_000,
        (OTHER, USD): 0,
        (ACCOUNT, EUR): 1,
    }


def test_a_starved_request_bars_every_purse_it_draws_on() -> None:
    starved = replace(split(leg(3_000), leg(2_000, account=OTHER)), skipped_runs=10)
    pool = held_in({(ACCOUNT, USD): AMPLE, (OTHER, USD): AMPLE}).pass_over(starved, SHORT, Policy())
    assert verdict(split(leg(1, account=OTHER)), pool)[1] is Rule.OLDER_FIRST
    assert verdict(split(leg(1, account=AccountId("acct_third"))), pool)[1] is Rule.COVER


def test_a_purse_stripe_called_short_closes_whoever_draws_on_it_too() -> None:
    pool = held_in({(ACCOUNT, USD): AMPLE, (OTHER, USD): AMPLE}).close([(OTHER, USD)])
    assert verdict(split(leg(1), leg(1, account=OTHER)), pool)[1] is Rule.STRIPE_SHORT
    assert verdict(split(leg(1)), pool)[1] is Rule.COVER


def test_nothing_counts_on_own_pending_money_once_it_was_taken_out() -> None:
    request = split(leg(3_000, own_minor=3_000), leg(2_000, account=OTHER, own_minor=7))
    assert [each.own_pending_minor for each in request.without_own_pending().legs] == [0, 0]
