"""Payments that look split at one time and the platform's own at another: nobody's money is lost
sight of.
"""

from dataclasses import replace
from typing import Any

from handlers.operate import Action, act
from refunds.facts import ChargeFacts, ChargeType, SentFacts
from refunds.ids import AccountId, IdempotencyKey
from refunds.steps import Done, StepKind, StripeCall
from tests.support.split_play import (
    balance,
    calls,
    look_again,
    named,
    reversed_of,
    rule,
    two_sellers,
)
from tests.support.stage import Stage


class GroupUnseen:
    """A Stripe that shows no transfers of a payment's group: an id by which the group is not known,
    or a list that is not up to date.
    """

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    def read_payment(self, payment: str, account: AccountId | None) -> ChargeFacts:
        """Read it as one of which nothing was passed on."""
        charge: ChargeFacts = self._gateway.read_payment(payment, account)
        return replace(charge, charge_type=ChargeType.PLATFORM, transfers=(), open_group=None)


def test_a_group_that_is_not_seen_at_release_changes_nothing(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    stage.has(first, 6000)
    stage.has(second, 3000)
    unseeing: Any = GroupUnseen(stage.services.gateway)
    stage.services = replace(stage.services, gateway=unseeing)
    look_again(stage)
    view = stage.view(request)
    assert (view["status"], view["charge_type"]) == ("succeeded", "separate")
    assert [name for name, _ in calls(stage)] == ["reversals", "reversals", "refunds"]
    assert (balance(stage, first), balance(stage, second)) == (0, 0)


def test_a_group_that_is_not_seen_at_the_second_wish_changes_nothing(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.wish(charge, 5000, transfers=named((one, None), (two, None)))
    stage.has(first, 6000)
    stage.has(second, 3000)
    stage.work()
    unseeing: Any = GroupUnseen(stage.services.gateway)
    stage.services = replace(stage.services, gateway=unseeing)
    rest = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    assert stage.view(rest)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)


def test_a_payment_passed_on_after_its_refund_was_asked_for_comes_before_a_person(
    stage: Stage,
) -> None:
    account = stage.account()
    body = {"amount": 5000, "transfer_group": "order_1"}
    charge = str(stage.sandbox.control("POST", "payments", body)["charge"]["id"])
    stage.has("platform", 1000)
    request = stage.wish(charge)
    stage.work()
    assert rule(stage, request) == "platform_short"
    stage.has("platform", 100_000)
    passed_on = StripeCall(
        kind=StepKind.TRANSFER,
        params={
            "amount": 4000,
            "currency": "usd",
            "destination": account,
            "transfer_group": "order_1",
        },
        target=None,
        account=None,
        idempotency_key=IdempotencyKey("shop-1"),
    )
    done = stage.services.gateway.execute(passed_on)
    assert isinstance(done, Done)
    assert isinstance(done.object, SentFacts)
    look_again(stage)
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "transfers_unclear")
    assert stage.refunds() == []
    act(stage.services, Action.CANCEL, request, note="not at our expense", actor="ada")
    stage.has(account, 4000)
    again = stage.wish(charge, transfers=named((done.object.transfer, 4000)))
    stage.work()
    assert stage.view(again)["status"] == "succeeded"
    assert reversed_of(stage, done.object.transfer) == 4000


def test_a_person_may_let_the_platform_pay_what_was_passed_on(stage: Stage) -> None:
    body = {"amount": 5000, "transfer_group": "order_2"}
    charge = str(stage.sandbox.control("POST", "payments", body)["charge"]["id"])
    stage.has("platform", 1000)
    request = stage.wish(charge)
    stage.work()
    stage.has("platform", 100_000)
    passed_on = StripeCall(
        kind=StepKind.TRANSFER,
        params={
            "amount": 4000,
            "currency": "usd",
            "destination": stage.account(),
            "transfer_group": "order_2",
        },
        target=None,
        account=None,
        idempotency_key=IdempotencyKey("shop-2"),
    )
    assert isinstance(stage.services.gateway.execute(passed_on), Done)
    look_again(stage)
    act(stage.services, Action.APPROVE, request, note="our expense", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
