"""What an account owes for one payment is owed once, whichever refunds and hands were at it."""

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from refunds.ids import RequestId
from tests.integration.handlers.test_recovery import collected, exposure, reverse
from tests.support.split_play import look_again
from tests.support.stage import Stage


def test_a_refund_that_takes_all_that_is_left_pays_for_an_earlier_one(stage: Stage) -> None:
    account, charge, _ = half_uncovered(stage)
    rest = stage.wish(charge, 5000)
    stage.work()
    stage.has(account, 10_000)
    look_again(stage)
    # Stripe has reversed all 100.00 of the transfer with the second 50.00.
    assert stage.view(rest)["status"] == "succeeded"
    assert reversed_of(stage) == 10_000
    assert collected(stage) == "0 reversals"
    assert exposure(stage, account) == 0


def test_two_uncovered_refunds_owe_no_more_than_the_transfer(stage: Stage) -> None:
    account, charge, _ = half_uncovered(stage)
    release(stage, stage.wish(charge, 5000))
    assert exposure(stage, account) == 10_000
    stage.has(account, 50_000)
    assert collected(stage) == "2 reversals"
    assert (exposure(stage, account), reversed_of(stage)) == (0, 10_000)
    assert collected(stage) == "0 reversals"


def test_what_another_hand_reversed_is_not_taken_again(stage: Stage) -> None:
    account, _, transfer = half_uncovered(stage)
    stage.has(account, 9000)
    reverse(stage, transfer, 3000)
    # 50.00 were owed, 30.00 came from the Dashboard: 20.00 are left.
    assert collected(stage) == "1 reversal"
    assert (exposure(stage, account), reversed_of(stage)) == (0, 5000)


def test_what_is_at_hand_for_a_failed_refund_pays_no_debt(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 4000)
    stage.wish(charge, 4000)
    stage.work()
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    release(stage, stage.wish(charge, 3000, additional=True))
    # 40.00 stand reversed, all for a refund that failed; 30.00 are owed for the one that counts.
    assert (exposure(stage, account), reversed_of(stage)) == (3000, 4000)
    assert collected(stage) == "0 reversals"
    assert exposure(stage, account) == 3000
    stage.has(account, 9000)
    assert collected(stage) == "1 reversal"
    assert (exposure(stage, account), reversed_of(stage)) == (0, 7000)


def test_while_another_refund_is_under_way_nothing_is_concluded(stage: Stage) -> None:
    account, charge, transfer = half_uncovered(stage)
    stage.has(account, 9000)
    reverse(stage, transfer, 3000)
    stage.fault("lost_response", path="/v1/refunds")
    stage.wish(charge, 1000, additional=True)
    stage.work()
    assert collected(stage) == "0 reversals"
    assert exposure(stage, account) == 5000


def half_uncovered(stage: Stage) -> tuple[str, str, str]:
    """100.00 were paid and sent on; of them 50.00 went back to the buyer at our expense."""
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 0)
    release(stage, stage.wish(charge, 5000))
    assert exposure(stage, account) == 5000
    [transfer] = transfers(stage)
    return account, charge, str(transfer["id"])


def release(stage: Stage, request: RequestId) -> None:
    stage.work()
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()


def reversed_of(stage: Stage) -> int:
    [transfer] = transfers(stage)
    return int(str(transfer["amount_reversed"]))


def transfers(stage: Stage) -> list[dict[str, object]]:
    return list(stage.sandbox.control("GET", "state")["objects"]["transfer"])
