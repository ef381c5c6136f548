"""What may not hold a request up: an odd payment beside it, figures from before, its own past."""

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from refunds.ids import LaneId
from store.lanes import mark_due
from tests.support.stage import Stage


def due(stage: Stage, account: str) -> None:
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "balance.available")


def test_a_payment_that_cannot_be_read_keeps_nobody_else(stage: Stage) -> None:
    account = stage.account()
    odd, plain = stage.paid(account, 1000), stage.paid(account, 1000)
    stage.has(account, 0)
    first, second = stage.wish(odd), stage.wish(plain)
    stage.has(account, 5000)
    due(stage, account)
    rule = {"kind": "http_500", "path": f"/v1/charges/{odd}", "method": "GET", "times": None}
    stage.sandbox.control("POST", "faults", rule)
    stage.work()
    assert stage.view(first)["status"] == "held"
    assert stage.view(second)["status"] == "succeeded"

    stage.sandbox.control("DELETE", "faults")
    stage.later(seconds=11)
    stage.work()
    assert stage.view(first)["status"] == "succeeded"


def test_what_was_under_way_at_intake_is_not_needed_twice(stage: Stage) -> None:
    # 10,000 paid; 6,000 on its way, unanswered. The other 4,000 need 4,000, then and later.
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 6000)
    first = stage.wish(charge, 6000)
    stage.fault("reset")
    run_due_lane(stage.services)
    second = stage.wish(charge, 4000, additional=True)
    assert stage.view(second)["need"] == {"amount": 4000, "currency": "usd", "fx_buffer": 0}
    stage.later(seconds=5)
    stage.work()
    assert [stage.view(r)["status"] for r in (first, second)] == ["succeeded", "held"]
    stage.has(account, 4000)
    due(stage, account)
    stage.work()
    assert stage.view(second)["status"] == "succeeded"


def test_a_late_failure_has_taken_the_accounts_share_already(stage: Stage) -> None:
    # The first refund reversed the transfer and failed later. The second one asks nothing of the
    # account, so that its debt of 50 from other business is no reason to wait.
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    stage.work()
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    assert stage.view(request)["status"] == "review"
    stage.has(account, -50)
    act(stage.services, Action.APPROVE, request, note="still owed", actor="ada")
    stage.work()
    view = stage.view(request)
    assert view["status"] == "succeeded"
    assert (view["need"], view["shortfall"]) == (
        {"amount": 0, "currency": "usd", "fx_buffer": 0},
        0,
    )


def test_money_kept_for_a_lost_answer_is_free_once_it_is_found(stage: Stage) -> None:
    # 5,000 for two refunds of 5,000: the first goes out, its answer lost. 5,000 more come in, and
    # are deducted once more until the first is settled; then nobody else brings news.
    account = stage.account()
    charges = [stage.paid(account, 5000) for _ in range(2)]
    stage.has(account, 0)
    first, second = (stage.wish(charge) for charge in charges)
    stage.has(account, 5000)
    due(stage, account)
    stage.fault("lost_response")
    run_due_lane(stage.services)
    stage.has(account, 5000)
    due(stage, account)
    run_due_lane(stage.services)
    assert [stage.view(r)["status"] for r in (first, second)] == ["releasing", "held"]
    stage.later(seconds=5)
    stage.work()
    assert [stage.view(r)["status"] for r in (first, second)] == ["succeeded"] * 2
