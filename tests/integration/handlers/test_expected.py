"""When a held refund will be covered: from the account's pending money, older requests first."""

from dataclasses import replace
from datetime import timedelta

from handlers.sweep import sweep
from refunds.ids import RequestId
from refunds.policy import PayoutGuard, PolicyBook
from tests.support.stage import Stage

DAY_SECONDS = 86_400


def pending(stage: Stage, account: str, amount: int, days: int) -> int:
    """Let money be on its way to the account; return when it arrives, seconds since 1970."""
    now = int(stage.sandbox.control("GET", "clock")["now"])
    on = now + days * DAY_SECONDS
    body = {"amount": amount, "funds": "pending", "available_on": on}
    stage.sandbox.control("POST", f"accounts/{account}/earn", body)
    return on


def held(stage: Stage, account: str, amount: int) -> RequestId:
    charge = stage.paid(account, amount)
    stage.has(account, 1000)
    request = stage.wish(charge)
    assert stage.view(request)["status"] == "held"
    return request


def test_a_held_request_says_when_it_will_be_covered(stage: Stage) -> None:
    account = stage.account()
    pending(stage, account, 2500, days=2)
    enough = pending(stage, account, 2000, days=4)
    # 1,000 there, 5,000 needed: 4,000 short. 2,500 on day 2, 4,500 on day 4.
    view = stage.view(held(stage, account, 5000))
    assert (view["shortfall"], view["eta"], view["eta_confidence"]) == (4000, enough, "likely")


def test_older_requests_are_served_first(stage: Stage) -> None:
    account = stage.account()
    first_day = pending(stage, account, 4000, days=2)
    third_day = pending(stage, account, 5000, days=3)
    older = held(stage, account, 5000)
    younger = held(stage, account, 5000)
    assert stage.view(older)["eta"] == first_day
    # The younger one has the same 1,000 before it, and the older one's 5,000: 9,000 on day 3.
    view = stage.view(younger)
    assert (view["eta"], view["eta_confidence"]) == (third_day, "possible")


def test_what_daily_payouts_sweep_away_is_unlikely_to_cover(stage: Stage) -> None:
    account = stage.account(payouts="daily")
    on = pending(stage, account, 9000, days=2)
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    view = stage.view(stage.wish(charge))
    assert (view["eta"], view["eta_confidence"]) == (on, "unlikely")


def test_nothing_pending_is_no_estimate(stage: Stage) -> None:
    account = stage.account()
    view = stage.view(held(stage, account, 5000))
    assert (view["eta"], view["eta_confidence"]) == (None, None)


def test_a_run_estimates_anew_when_the_figures_change_and_only_then(stage: Stage) -> None:
    account = stage.account()
    request = held(stage, account, 5000)
    stage.work()
    on = pending(stage, account, 4000, days=3)
    sweep(stage.services, lambda: None)
    stage.work()
    assert stage.view(request)["eta"] == on

    reads = listings(stage)
    for _ in range(3):
        sweep(stage.services, lambda: None)
        stage.work()
    assert listings(stage) == reads, "nothing changed, so Stripe was not asked again"
    stage.offset += timedelta(days=3, minutes=1)
    stage.has(account, 5000)
    sweep(stage.services, lambda: None)
    stage.work()
    view = stage.view(request)
    assert (view["status"], view["eta"]) == ("succeeded", None)


def listings(stage: Stage) -> int:
    reads: dict[str, int] = stage.sandbox.control("GET", "calls")["reads"]
    return sum(count for path, count in reads.items() if "balance_transactions" in path)


def test_a_guard_makes_what_daily_payouts_would_sweep_away_believable(stage: Stage) -> None:
    guarding(stage, PayoutGuard.ON)
    account = stage.account(payouts="daily")
    on = pending(stage, account, 9000, days=2)
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    request = stage.wish(charge)
    assert (stage.view(request)["eta"], stage.view(request)["eta_confidence"]) == (on, "likely")

    # The policy changes: nothing keeps the money there, though no figure is another one.
    guarding(stage, PayoutGuard.OFF)
    sweep(stage.services, lambda: None)
    stage.work()
    assert stage.view(request)["eta_confidence"] == "unlikely"
    guarding(stage, PayoutGuard.ON)
    sweep(stage.services, lambda: None)
    stage.work()
    assert stage.view(request)["eta_confidence"] == "likely"


def test_a_guard_that_cant_work_is_not_counted_on(stage: Stage) -> None:
    guarding(stage, PayoutGuard.ON)
    account = stage.account(payouts="daily", country="BR", default_currency="usd")
    pending(stage, account, 9000, days=2)
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    request = stage.wish(charge)
    stage.later(seconds=3)
    # The guard finds out, and lets the request be judged anew.
    stage.work()
    assert stage.view(request)["eta_confidence"] == "unlikely"


def guarding(stage: Stage, guard: PayoutGuard) -> None:
    book = PolicyBook(default={"payout_guard": guard})
    stage.services = replace(stage.services, policies=book)
