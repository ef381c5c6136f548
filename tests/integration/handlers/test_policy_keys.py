"""Each key of the policy makes a difference: the same story with it and without it.

It may not repeat what the pure rules' own tests say; it shows that a run heeds them.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from handlers.operate import Action, act
from refunds.ids import AccountId, LaneId, RequestId
from refunds.money import Currency
from refunds.policy import OnDeadline, Order, PolicyBook
from store.database import Unit
from store.lanes import mark_due
from store.ledger import entries_of
from store.observations import disconnect_account
from store.tables.caps import UncoveredRelease
from tests.support.stage import Stage

USD = Currency("usd")
BIG = {USD: 1_000_000}


def under(stage: Stage, **default: Any) -> Stage:
    """The stage's services, with these keys in the policy."""
    stage.services = replace(stage.services, policies=PolicyBook(default=default))
    return stage


def swept(stage: Stage, *accounts: str) -> None:
    for account in accounts:
        with stage.services.database.unit_of_work() as unit:
            mark_due(unit, LaneId(account), stage.now(), "sweep")
    stage.work()


def said(stage: Stage, request: RequestId) -> tuple[str, str]:
    view = stage.view(request)
    assert view["decision"] is not None
    return view["status"], view["decision"]["rule"]


def short(stage: Stage, *, needs: int, has: int) -> tuple[str, RequestId]:
    """A request that its account doesn't cover; return the account and the request."""
    account = stage.account()
    charge = stage.paid(account, needs)
    stage.has(account, has)
    request = stage.wish(charge)
    stage.work()
    return account, request


def movement(stage: Stage, account: str) -> list[int]:
    """What left the account by reversals, newest last."""
    found = stage.sandbox.control("GET", f"accounts/{account}/movement")["movement"]
    return [int(each["amount"]) for each in found if each["amount"] < 0]


def test_minimum_balance_stays_in_the_account(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5499)
    under(stage, minimum_balance={USD: 500})
    request = stage.wish(charge)
    stage.work()
    assert (said(stage, request), stage.view(request)["spendable"]) == (("held", "cover"), 4999)
    under(stage, minimum_balance={USD: 499})
    swept(stage, account)
    assert said(stage, request) == ("succeeded", "cover")


def test_strict_order_lets_nobody_pass(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, amount) for amount in (9000, 1000)]
    stage.has(account, 5000)
    under(stage, order=Order.OLDEST_FIRST_STRICT)
    old, young = (stage.wish(charge) for charge in charges)
    stage.work()
    assert (said(stage, old), said(stage, young)) == (("held", "cover"), ("held", "older_first"))
    under(stage)
    swept(stage, account)
    assert (said(stage, old), said(stage, young)) == (("held", "cover"), ("succeeded", "cover"))


def test_the_earliest_deadline_may_go_first(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, 5000) for _ in range(2)]
    stage.has(account, 0)
    under(stage, order=Order.DEADLINE_FIRST, hold_for=timedelta(days=9))
    old = stage.wish(charges[0])
    under(stage, order=Order.DEADLINE_FIRST, hold_for=timedelta(days=2))
    young = stage.wish(charges[1])
    stage.has(account, 5000)
    swept(stage, account)
    assert (said(stage, young)[0], said(stage, old)[0]) == ("succeeded", "held")


def test_above_the_limit_a_person_approves_and_later_runs_honour_it(stage: Stage) -> None:
    under(stage, review_above={USD: 4_999})
    account = stage.account()
    charges = [stage.paid(account, amount) for amount in (5000, 4999)]
    stage.has(account, 4999)
    large, small = (stage.wish(charge) for charge in charges)
    stage.work()
    assert said(stage, large) == ("review", "review_above")
    assert said(stage, small) == ("succeeded", "cover")
    act(stage.services, Action.APPROVE, large, note="known buyer", actor="ada")
    stage.work()
    assert said(stage, large) == ("held", "cover")
    stage.has(account, 5000)
    swept(stage, account)
    assert said(stage, large) == ("succeeded", "cover")


def test_a_closing_refund_window_is_noticed_in_time(stage: Stage) -> None:
    under(stage, hold_for=timedelta(days=60), refund_window={"card": timedelta(days=20)})
    account, request = short(stage, needs=5000, has=0)
    stage.later(days=12, hours=23)
    swept(stage, account)
    assert said(stage, request) == ("held", "cover")
    stage.later(hours=1, minutes=5)  # seven days before the twentieth
    swept(stage, account)
    assert said(stage, request) == ("review", "refund_window")


def test_at_the_deadline_it_may_be_canceled(stage: Stage) -> None:
    under(stage, on_deadline=OnDeadline.CANCEL, hold_for=timedelta(days=2))
    account, request = short(stage, needs=5000, has=0)
    stage.later(days=2)
    swept(stage, account)
    view = stage.view(request)
    assert said(stage, request) == ("canceled", "deadline")
    assert (view["amounts"], view["refunds"]) == ({"canceled": 5000}, [])
    with stage.services.database.reading() as unit:
        assert "not covered by its deadline" in entries_of(unit, request)[-1].why


def test_at_the_deadline_it_may_be_covered_by_the_same_two_calls_as_a_persons(
    stage: Stage,
) -> None:
    under(stage, on_deadline=OnDeadline.COVER, covered_per_day=BIG, hold_for=timedelta(days=2))
    account, request = short(stage, needs=5000, has=1000)
    assert said(stage, request) == ("held", "cover")
    stage.later(days=2)
    swept(stage, account)
    assert said(stage, request) == ("succeeded", "deadline")
    # 50.00 from the platform, 10.00 taken back at once.
    calls = [call for call in stage.calls() if call["method"] == "POST"]
    assert [call["path"].split("/")[2] for call in calls][-2:] == ["refunds", "transfers"]
    assert movement(stage, account)[-1] == -1000
    assert uncovered(stage) == [(4000, True)]


def test_a_small_shortfall_is_carried_by_the_platform(stage: Stage) -> None:
    under(stage, small_shortfall={USD: 1_000}, covered_per_day=BIG)
    _, too_short = short(stage, needs=5000, has=3999)
    account, request = short(stage, needs=5000, has=4000)
    assert said(stage, too_short) == ("held", "cover")
    assert said(stage, request) == ("succeeded", "small_shortfall")
    assert movement(stage, account)[-1] == -4000
    assert uncovered(stage) == [(1000, True)]


def test_the_daily_cap_holds_over_all_accounts_and_is_new_tomorrow(stage: Stage) -> None:
    under(stage, small_shortfall={USD: 1_000}, covered_per_day={USD: 1_500})
    _, first = short(stage, needs=5000, has=4000)
    account, second = short(stage, needs=5000, has=4000)
    _, small = short(stage, needs=5000, has=4500)
    assert said(stage, first) == ("succeeded", "small_shortfall")
    assert said(stage, second) == ("held", "covered_per_day")
    assert said(stage, small) == ("succeeded", "small_shortfall")  # 10.00 + 5.00 of 15.00
    stage.later(days=1)
    swept(stage, account)
    assert said(stage, second) == ("succeeded", "small_shortfall")


def test_the_exposure_limit_holds_for_one_account(stage: Stage) -> None:
    under(
        stage,
        small_shortfall={USD: 1_000},
        covered_per_day=BIG,
        exposure_limit={USD: 1_400},
    )
    account = stage.account()
    charges = [stage.paid(account, 5000) for _ in range(2)]
    stage.has(account, 4000)
    first = stage.wish(charges[0])
    stage.work()
    assert said(stage, first) == ("succeeded", "small_shortfall")
    stage.has(account, 4500)
    second = stage.wish(charges[1])
    stage.work()
    # 10.00 are owed; 5.00 more would be above 14.00.
    assert said(stage, second) == ("held", "exposure_limit")
    _, elsewhere = short(stage, needs=5000, has=4500)
    assert said(stage, elsewhere) == ("succeeded", "small_shortfall")
    stage.has(account, 4600)
    swept(stage, account)
    assert said(stage, second) == ("succeeded", "small_shortfall")


def test_what_a_person_releases_counts_for_the_limit(stage: Stage) -> None:
    under(stage, small_shortfall={USD: 1_000}, covered_per_day=BIG, exposure_limit={USD: 4_000})
    account = stage.account()
    charges = [stage.paid(account, 5000) for _ in range(2)]
    stage.has(account, 1000)
    first = stage.wish(charges[0])
    stage.work()
    act(stage.services, Action.RELEASE, first, note="a good customer", actor="ada")
    stage.work()
    assert uncovered(stage) == [(4000, False)]
    stage.has(account, 4999)
    second = stage.wish(charges[1])
    stage.work()
    assert said(stage, second) == ("held", "exposure_limit")


def test_a_refused_release_gives_the_cap_back(stage: Stage) -> None:
    under(stage, small_shortfall={USD: 1_000}, covered_per_day={USD: 1_000})
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 4000)
    # The buyer's bank is faster: Stripe refuses the refund of a disputed charge.
    disputed = {"path": "/_sandbox/disputes", "body": {"charge": charge}}
    stage.fault("interlude", after_effect=False, steps=[disputed])
    request = stage.wish(charge)
    stage.work()
    assert stage.view(request)["status"] == "review"
    assert uncovered(stage) == [(0, True)]


def uncovered(stage: Stage) -> list[tuple[int, bool]]:
    """What was released uncovered, and whether by a rule."""
    with stage.services.database.reading() as unit:
        return [(row.amount_minor, row.by_rule) for row in _rows(unit)]


def _rows(unit: Unit) -> list[UncoveredRelease]:
    statement = select(UncoveredRelease).order_by(col(UncoveredRelease.attempt_id))
    return list(unit.exec(statement))


def test_own_pending_money_counts_only_where_the_policy_says_so(stage: Stage) -> None:
    under(stage, count_own_pending=False)
    account = stage.account()
    charge = stage.paid(account, 5000, funds="pending")
    request = stage.wish(charge)
    stage.work()
    assert (said(stage, request), stage.view(request)["spendable"]) == (("held", "cover"), 0)
    under(stage)
    swept(stage, account)
    assert said(stage, request) == ("succeeded", "cover")


def test_the_buffer_for_another_currency_is_the_policys(stage: Stage) -> None:
    stage.sandbox.control(
        "POST", "accounts/platform/balance", {"available": 100_000, "currency": "eur"}
    )
    account = stage.account()
    charge = stage.paid(account, 5000, currency="eur")
    stage.has(account, 6300)  # 50.00 EUR came in as 62.50 USD
    under(stage, fx_buffer_percent=10)
    request = stage.wish(charge)
    stage.work()
    assert stage.view(request)["need"] == {"amount": 6250, "currency": "usd", "fx_buffer": 625}
    assert said(stage, request) == ("held", "cover")
    under(stage, fx_buffer_percent=0)
    swept(stage, account)
    assert said(stage, request) == ("succeeded", "cover")


def test_the_notice_before_a_window_closes_is_the_policys(stage: Stage) -> None:
    keys = {"hold_for": timedelta(days=60), "refund_window": {"card": timedelta(days=20)}}
    under(stage, **keys, refund_window_notice=timedelta(days=2))
    account, request = short(stage, needs=5000, has=0)
    stage.later(days=17)
    swept(stage, account)
    assert said(stage, request) == ("held", "cover")
    under(stage, **keys, refund_window_notice=timedelta(days=4))
    swept(stage, account)
    assert said(stage, request) == ("review", "refund_window")


def test_what_an_account_that_left_would_cost_is_said(stage: Stage) -> None:
    account, request = short(stage, needs=5000, has=0)
    with stage.services.database.unit_of_work() as unit:
        disconnect_account(unit, AccountId(account), stage.now())
    swept(stage, account)
    view = stage.view(request)
    assert view["decision"] is not None
    assert said(stage, request) == ("review", "account_deauthorized")
    assert view["decision"]["why"].endswith(
        "Released all the same, the platform stands in for up to 50.00 USD."
    )
    late = stage.wish(stage.paid(account, 3000))
    view = stage.view(late)
    assert view["decision"] is not None
    assert "up to 30.00 USD" in view["decision"]["why"]
