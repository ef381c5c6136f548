"""Taken back for a refund that fails late: the account has it again once nobody is refunded."""

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.recovery import collect
from refunds.ids import RequestId
from tests.support.split_play import balance, calls, named, promised
from tests.support.stage import Stage


def recovered(stage: Stage) -> tuple[str, RequestId]:
    """50.00 released with 10.00 at hand, of which 15.00 came back later; then the refund fails."""
    account, request = uncovered(stage)
    stage.has(account, 1500)
    assert collect(stage.services, lambda: None) == "1 reversal"
    fails(stage)
    assert (stage.view(request)["status"], balance(stage, account)) == ("review", 0)
    return account, request


def uncovered(stage: Stage) -> tuple[str, RequestId]:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    request = stage.wish(charge)
    stage.work()
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    return account, request


def fails(stage: Stage) -> None:
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[-1]['id']}/fail", {})
    reconcile(stage.services)


def test_closing_gives_back_what_was_taken_with_the_refund_and_since(stage: Stage) -> None:
    account, request = recovered(stage)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.work()
    # 10.00 with the refund and 15.00 since: one transfer of 25.00, made once.
    assert (stage.view(request)["status"], balance(stage, account)) == ("closed", 2500)
    stage.later(hours=30)
    stage.work()
    assert (balance(stage, account), promised(stage)) == (2500, {})
    assert calls(stage).count(("transfers", 200)) == 1
    assert collect(stage.services, lambda: None) == "0 reversals"


def test_a_transfer_whose_answer_is_lost_is_made_once(stage: Stage) -> None:
    account, request = recovered(stage)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.fault("lost_response", path="/v1/transfers")
    stage.work()
    assert balance(stage, account) == 2500
    stage.later(hours=30)
    stage.work()
    assert (balance(stage, account), promised(stage)) == (2500, {})


def test_a_next_try_takes_only_what_is_missing(stage: Stage) -> None:
    account, request = recovered(stage)
    stage.has(account, 9000)
    act(stage.services, Action.APPROVE, request, note="another bank", actor="ada")
    stage.work()
    # 50.00 less the 25.00 that were taken for the first try.
    assert (stage.view(request)["status"], balance(stage, account)) == ("succeeded", 6500)
    # It fails as well: all 50.00 that the two tries took is given back.
    fails(stage)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.work()
    assert balance(stage, account) == 11_500


def test_each_account_of_a_split_payment_has_its_own_back(stage: Stage) -> None:
    first, second = stage.account(), stage.account()
    charge, (one, two) = stage.paid_split(10_000, [(first, 6000), (second, 3000)])
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    stage.has(second, 1000)
    assert collect(stage.services, lambda: None) == "1 reversal"
    fails(stage)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.work()
    assert (balance(stage, first), balance(stage, second)) == (0, 1000)
