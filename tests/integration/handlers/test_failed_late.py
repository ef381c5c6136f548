"""A refund fails after its transfer was reversed with it: the account pays for one refund, once."""

import pytest

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from refunds.ids import RequestId
from refunds.lifecycle import Status
from refunds.policy import Partial
from tests.integration.handlers.test_policy_keys import under
from tests.integration.handlers.test_recovery import exposure
from tests.support.split_play import USD, balance
from tests.support.stage import Stage

PARTS = Partial(minimum={USD: 1_000}, parts=3)


def test_approved_again_it_takes_nothing_a_second_time(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 10_000)
    request = stage.wish(charge, 5000)
    stage.work()
    failed(stage)
    assert (status(stage, request), reversed_of(stage)) == (Status.REVIEW, [5000])
    do(stage, Action.APPROVE, request)
    assert (status(stage, request), reversed_of(stage)) == (Status.SUCCEEDED, [5000])
    # And once more: what is at hand serves whichever refund counts in the end.
    failed(stage)
    do(stage, Action.APPROVE, request)
    assert (status(stage, request), reversed_of(stage)) == (Status.SUCCEEDED, [5000])
    assert [call["path"] for call in stage.calls()] == ["/v1/refunds"] * 3


def test_an_account_that_is_empty_by_now_covers_what_is_at_hand(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 5000)
    request = stage.wish(charge, 5000)
    stage.work()
    failed(stage)
    assert balance(stage, account) == 0
    do(stage, Action.APPROVE, request)
    assert (status(stage, request), balance(stage, account)) == (Status.SUCCEEDED, 0)


@pytest.mark.parametrize("action", [Action.CLOSE, Action.CANCEL])
def test_let_go_it_is_given_back(stage: Stage, action: Action) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 10_000)
    request = stage.wish(charge)
    stage.work()
    failed(stage)
    assert balance(stage, account) == 0
    do(stage, action, request)
    assert balance(stage, account) == 10_000
    # 100.00 stand reversed, and a transfer of its own made up for them.
    assert reversed_of(stage) == [0, 10_000]
    assert stage.calls()[-1]["path"] == "/v1/transfers"


def test_what_was_reversed_after_an_uncovered_refund_is_given_back_too(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 1000)
    request = stage.wish(charge, 5000)
    stage.work()
    do(stage, Action.RELEASE, request)
    assert balance(stage, account) == 0
    failed(stage)
    do(stage, Action.CLOSE, request)
    assert balance(stage, account) == 1000


def test_a_part_that_failed_goes_with_the_rest(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 4000)
    under(stage, partial=PARTS)
    request = stage.wish(charge)
    stage.work()
    assert reversed_of(stage) == [4000]
    failed(stage)
    stage.has(account, 7000)
    under(stage)
    do(stage, Action.APPROVE, request)
    # 40.00 were at hand, 60.00 of 70.00 are taken now.
    assert (status(stage, request), reversed_of(stage)) == (Status.SUCCEEDED, [10_000])
    assert balance(stage, account) == 1000


def test_a_rest_that_stripe_does_not_reverse_is_owed(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 4000)
    under(stage, partial=PARTS)
    request = stage.wish(charge)
    stage.work()
    failed(stage)
    stage.has(account, 7000)
    under(stage)
    stage.fault(
        "interlude",
        path="/v1/transfers/*/reversals",
        after_effect=False,
        steps=[{"path": f"/_sandbox/accounts/{account}/payout", "body": {"amount": 7000}}],
    )
    do(stage, Action.APPROVE, request)
    assert (status(stage, request), reversed_of(stage)) == (Status.SUCCEEDED, [4000])
    assert exposure(stage, account) == 6000


def failed(stage: Stage) -> None:
    """The one refund that counts fails at the buyer's bank, and we hear of it."""
    [live] = [refund for refund in stage.refunds() if refund["status"] != "failed"]
    stage.sandbox.control("POST", f"refunds/{live['id']}/fail", {})
    reconcile(stage.services)


def do(stage: Stage, action: Action, request: RequestId) -> None:
    act(stage.services, action, request, note="the bank sent it back", actor="ada")
    stage.work()


def reversed_of(stage: Stage) -> list[int]:
    """What stands reversed of each transfer, the least first."""
    transfers = stage.sandbox.control("GET", "state")["objects"]["transfer"]
    return sorted(int(transfer["amount_reversed"]) for transfer in transfers)


def status(stage: Stage, request: RequestId) -> str:
    return str(stage.view(request)["status"])
