"""Whatever happens while a guard is on, the operator's own settings stand there afterwards."""

from dataclasses import replace

import pytest

from gateway.client import StripeGateway
from handlers.intake import take_in
from handlers.operate import Action, act
from handlers.release import run_due_lane
from refunds.guard import GuardState
from refunds.ids import RequestId, TransferId
from refunds.lifecycle import Status
from refunds.policy import PayoutGuard
from refunds.steps import StepOutcome, StripeCall
from refunds.wish import TransferWish, Wish
from sandbox.inprocess import BASE
from tests.support.event_stage import KEY
from tests.support.guard_stage import GuardStage

OWN = {"usd": 1_000}


def ended(stage: GuardStage, request: RequestId, action: Action) -> None:
    act(stage.services, action, request, note="settled otherwise", actor="ann")
    stage.settle()


def test_two_requests_overlap_and_the_own_value_outlasts_both(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    first = stage.owed(account, 5_000)
    assert stage.minimum(account) == {"usd": 6_000}
    second = stage.owed(account, 3_000)
    # 1,000 of the operator's own + 5,000 + 3,000, and never own twice
    assert stage.minimum(account) == {"usd": 9_000}
    ended(stage, first, Action.CANCEL)
    assert stage.minimum(account) == {"usd": 4_000}
    third = stage.owed(account, 700)
    assert stage.minimum(account) == {"usd": 4_700}
    ended(stage, second, Action.CANCEL)
    ended(stage, third, Action.CANCEL)
    assert stage.minimum(account) == OWN


@pytest.mark.parametrize("how", [Action.CLOSE, Action.CANCEL])
def test_a_request_in_review_keeps_its_money_and_its_end_there_gives_it_back(
    stage: GuardStage, how: Action
) -> None:
    account = stage.shop(own=OWN)
    request = stage.owed(account, 5_000)
    # The deadline passes: a person has to decide, which may take them days.
    for _ in range(8):
        stage.day()
        stage.put("account.updated", {"id": account, "object": "account"}, account=account)
        stage.settle()
    assert stage.status(request) is Status.REVIEW
    assert stage.minimum(account) == {"usd": 6_000}
    ended(stage, request, how)
    assert stage.minimum(account) == OWN
    assert stage.guard(account)["state"] is GuardState.OFF


def test_an_approval_goes_on_guarding(stage: GuardStage) -> None:
    account = stage.shop()
    request = stage.owed(account, 5_000)
    stage.later(8 * 86_400)
    stage.put("account.updated", {"id": account, "object": "account"}, account=account)
    stage.settle()
    assert stage.status(request) is Status.REVIEW
    ended(stage, request, Action.APPROVE)
    assert stage.status(request) is Status.HELD
    assert stage.minimum(account) == {"usd": 5_000}


def test_a_covered_refund_changes_nobodys_settings(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    charge = stage.pay(account, 10_000)
    stage.has(account, 10_000)
    request = stage.hold(charge, 5_000)
    stage.settle()
    assert stage.status(request) is Status.SUCCEEDED
    assert [len(call["params"]) for call in stage.writes(account)] == [1]  # by its operator
    assert stage.history(account) == []


def test_a_release_that_is_under_way_is_waited_for(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    charge = stage.pay(account, 10_000)
    stage.has(account, 10_000)
    looked = []

    class Slow(StripeGateway):
        """Another worker looks between prepare and call, when the money is still to be taken."""

        def execute(self, call: StripeCall) -> StepOutcome:
            looked.append(stage.guard_once())
            return super().execute(call)

    slow = Slow(KEY, api_base=BASE, http_client=stage.sandbox.http_client(), clock=stage.now)
    request = stage.hold(charge, 5_000)
    assert run_due_lane(replace(stage.services, gateway=slow, worker="slow"))
    assert stage.status(request) is Status.SUCCEEDED
    assert looked == [False]


def test_an_unknown_outcome_keeps_its_money_there(stage: GuardStage) -> None:
    account = stage.shop()
    request = stage.owed(account, 5_000)
    stage.fault("reset", "/v1/refunds", method="POST", times=None)
    stage.earn(account, 5_000)
    assert stage.status(request) is Status.RELEASING
    assert stage.minimum(account) == {"usd": 5_000}
    stage.sandbox.control("DELETE", "faults")
    stage.later(600)
    stage.settle()
    assert stage.status(request) is Status.SUCCEEDED
    assert stage.minimum(account) is None


def test_each_currency_is_guarded_for_itself(stage: GuardStage) -> None:
    account = stage.shop(own={"eur": 300})
    request = stage.owed(account, 5_000)
    assert stage.minimum(account) == {"eur": 300, "usd": 5_000}
    ended(stage, request, Action.CANCEL)
    assert stage.minimum(account) == {"eur": 300}


def test_payouts_are_stopped_and_started_again_by_their_own_schedule(stage: GuardStage) -> None:
    stage.policy(PayoutGuard.MANUAL)
    account = stage.shop()
    weekly = {"interval": "weekly", "weekly_payout_days": ["monday", "friday"]}
    stage.set_by_hand(account, schedule=weekly)
    request = stage.owed(account, 5_000)
    assert stage.shown(account)["schedule"] == {"interval": "manual"}
    assert stage.guard(account)["settings"][0]["own"] == "weekly monday friday"
    for _ in range(3):
        stage.earn(account, 1_500)
        stage.day()
    assert stage.status(request) is Status.HELD
    stage.earn(account, 500)
    assert stage.status(request) is Status.SUCCEEDED
    assert stage.shown(account)["schedule"] == weekly


def test_a_policy_that_changes_is_followed(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    stage.owed(account, 5_000)
    stage.policy(payout_guard_limit={"usd": 2_000})
    stage.sweep()
    assert stage.minimum(account) == {"usd": 3_000}
    stage.policy(PayoutGuard.MANUAL)
    stage.sweep()
    assert stage.minimum(account) == OWN
    assert stage.shown(account)["schedule"] == {"interval": "manual"}
    stage.policy(PayoutGuard.OFF)
    stage.sweep()
    assert stage.minimum(account) == OWN
    assert stage.shown(account)["schedule"] == {"interval": "daily"}
    stage.policy(minimum_balance={"usd": 70})
    stage.sweep()
    assert stage.minimum(account) == {"usd": 6_070}


def test_a_guard_ends_with_its_time(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    request = stage.owed(account, 5_000)
    stage.later(30 * 86_400)
    stage.sweep()
    assert stage.minimum(account) == OWN
    assert stage.status(request) in (Status.HELD, Status.REVIEW)
    assert "payout_guard_for (30d)" in stage.guard(account)["why"]


def test_the_sweep_guards_what_was_there_before_the_policy(stage: GuardStage) -> None:
    stage.policy(PayoutGuard.OFF)
    account = stage.shop()
    stage.owed(account, 5_000)
    stage.policy()
    stage.sweep()
    assert stage.minimum(account) == {"usd": 5_000}


def test_every_account_of_a_split_payment_is_guarded(stage: GuardStage) -> None:
    first, second = stage.shop(own=OWN), stage.shop()
    shares = [{"destination": first, "amount": 6_000}, {"destination": second, "amount": 3_000}]
    paid = stage.order("payments", amount=10_000, charge_type="separate", transfers=shares)
    for account in (first, second):
        stage.has(account, 0)
    wish = Wish(
        payment=paid["charge"]["id"],
        amount_minor=None,
        transfers=tuple(
            TransferWish(transfer=TransferId(each["id"]), amount_minor=None)
            for each in paid["transfers"]
        ),
    )
    request = take_in(stage.services, wish, idempotency_key="split", actor="shop").request
    stage.settle()
    # Each keeps what its own transfer brought: 1,000 + 6,000, and 3,000.
    assert stage.minimum(first) == {"usd": 7_000}
    assert stage.minimum(second) == {"usd": 3_000}
    ended(stage, request, Action.CANCEL)
    assert stage.minimum(first) == OWN
    assert stage.minimum(second) is None

    # Those that a policy guards later are found by the sweep.
    stage.policy(PayoutGuard.OFF)
    wish = replace(wish, additional=True)
    take_in(stage.services, wish, idempotency_key="again", actor="shop")
    stage.settle()
    stage.policy()
    stage.sweep()
    assert stage.minimum(second) == {"usd": 3_000}
