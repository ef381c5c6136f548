"""Payments split over several accounts: taken back from all of them or from none."""

from typing import Any

import pytest

from handlers.operate import Action, act
from refunds.errors import InvalidWishError, TransfersUnclearError
from refunds.facts import AccountStanding, SentFacts
from refunds.ids import AccountId, AttemptId, IdempotencyKey
from refunds.money import Money
from refunds.steps import Done, StepKind, StripeCall
from store.attempts import attempts_of
from store.ledger import exposures_of
from tests.support.split_play import (
    USD,
    balance,
    calls,
    look_again,
    named,
    path,
    promised,
    reversed_of,
    rule,
    two_sellers,
)
from tests.support.stage import Stage


def test_what_each_account_got_is_taken_back_and_then_the_buyer_is_paid(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    before = balance(stage, None)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    view = stage.view(request)
    assert (view["charge_type"], view["account"]) == ("separate", first)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert calls(stage) == [("reversals", 200), ("reversals", 200), ("refunds", 200)]
    assert (balance(stage, first), balance(stage, second)) == (0, 0)
    assert balance(stage, None) == before - 10_000 + 9000
    assert path(stage, request) == [
        "requested",
        "held",
        "releasing",
        "reversed",
        "submitted",
        "succeeded",
    ]
    assert promised(stage) == {}


def test_one_account_short_and_nothing_is_taken_from_any(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 2999)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    view = stage.view(request)
    assert (view["status"], view["need"], view["spendable"], view["shortfall"]) == (
        "held",
        {"amount": 3000, "currency": "usd", "fx_buffer": 0},
        2999,
        1,
    )
    assert view["decision"] is not None
    assert f"0.01 USD short in {second}" in view["decision"]["why"]
    assert stage.calls() == []


def test_money_arriving_in_any_of_its_accounts_wakes_it(stage: Stage) -> None:
    from handlers.due import money_came_in

    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    stage.has(second, 3000)
    with stage.services.database.unit_of_work() as unit:
        money_came_in(unit, AccountId(second), now=stage.now(), cause="balance.available")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_only_what_was_named_is_taken_back(stage: Stage) -> None:
    _first, second, charge, one, two = two_sellers(stage)
    stage.has(second, 3000)
    request = stage.wish(charge, 2500, transfers=named((two, 2000)))
    assert stage.view(request)["account"] == second
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (0, 2000)
    assert balance(stage, second) == 1000


def test_a_share_that_was_not_named_fills_up_the_refund_and_no_more(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, 5000, transfers=named((one, 3500), (two, None)))
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (3500, 1500)


def grouped(stage: Stage, amount: int, group: str) -> str:
    paid = stage.sandbox.control("POST", "payments", {"amount": amount, "transfer_group": group})
    return str(paid["charge"]["id"])


def passed_on(stage: Stage, account: str, amount: int, group: str) -> str:
    """A transfer of an order's money that is tied to none of the order's charges."""
    call = StripeCall(
        kind=StepKind.TRANSFER,
        params={
            "amount": amount,
            "currency": "usd",
            "destination": account,
            "transfer_group": group,
        },
        target=None,
        account=None,
        idempotency_key=IdempotencyKey(f"shop-{group}"),
    )
    done = stage.services.gateway.execute(call)
    assert isinstance(done, Done)
    assert isinstance(done.object, SentFacts)
    stage.has(account, amount)
    return done.object.transfer


def test_a_transfer_of_an_order_with_several_charges_may_be_another_ones(stage: Stage) -> None:
    stage.has("platform", 100_000)
    charge, other = grouped(stage, 5000, "order_1"), grouped(stage, 8000, "order_1")
    transfer = passed_on(stage, stage.account(), 4000, "order_1")
    for asked in (charge, other):
        with pytest.raises(TransfersUnclearError, match=f"order_1 .*{transfer}"):
            stage.wish(asked)
    request = stage.wish(other, transfers=named((transfer, None)))
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert reversed_of(stage, transfer) == 4000


def test_a_transfer_of_an_order_with_one_charge_is_that_ones(stage: Stage) -> None:
    stage.has("platform", 100_000)
    charge = grouped(stage, 5000, "order_1")
    grouped(stage, 5000, "order_2")
    transfer = passed_on(stage, stage.account(), 4000, "order_1")
    request = stage.wish(charge)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert reversed_of(stage, transfer) == 4000


def test_a_single_transfer_is_taken_without_asking(stage: Stage) -> None:
    account = stage.account()
    charge, (one,) = stage.paid_split(10_000, [(account, 8775)])
    stage.has(account, 8775)
    request = stage.wish(charge, 3333)
    # 3333 · 8775 / 10000 = 2924.7 → 2925
    assert stage.view(request)["need"] == {"amount": 2925, "currency": "usd", "fx_buffer": 0}
    stage.work()
    assert reversed_of(stage, one) == 2925
    rest = stage.wish(charge, additional=True)
    stage.work()
    assert stage.view(rest)["status"] == "succeeded"
    assert reversed_of(stage, one) == 8775


@pytest.mark.parametrize(
    "pick, error, words",
    [
        (lambda one, two: (), TransfersUnclearError, "split over 2 transfers"),
        (lambda one, two: named(("tr_nobodys", None)), InvalidWishError, "carried nothing of"),
        (lambda one, two: named((one, 6001)), InvalidWishError, "60.01 USD is more than the 60.00"),
        (lambda one, two: named((one, 6000), (two, 3000)), InvalidWishError, "for a refund of 50"),
        # 5000 · 3000 / 10000 = 1500 of the second one by itself: 65.00 altogether.
        (lambda one, two: named((one, 5000), (two, None)), InvalidWishError, "65.00 USD would be"),
        (lambda one, two: named((one, 3501), (two, None)), InvalidWishError, "50.01 USD would be"),
    ],
)
def test_a_wish_that_leaves_open_whose_money_it_is_records_nothing(
    stage: Stage, pick: Any, error: type[Exception], words: str
) -> None:
    _, _, charge, one, two = two_sellers(stage)
    with pytest.raises(error, match=words):
        stage.wish(charge, 5000, transfers=pick(one, two))


def test_transfers_are_named_only_where_a_payment_was_split(stage: Stage) -> None:
    charge = stage.paid(stage.account(), 5000)
    with pytest.raises(InvalidWishError, match="leave out transfers"):
        stage.wish(charge, transfers=named(("tr_1", None)))


def test_what_somebody_reversed_before_is_not_taken_again(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    by_hand = StripeCall(
        kind=StepKind.REVERSAL,
        params={"amount": 4500},
        target=one,
        account=None,
        idempotency_key=IdempotencyKey("dashboard"),
    )
    assert isinstance(stage.services.gateway.execute(by_hand), Done)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)
    assert balance(stage, first) == 0


def test_a_person_releases_it_uncovered_and_each_account_owes_its_own(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 2000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert [name for name, _ in calls(stage)] == ["refunds", "reversals"]
    with stage.services.database.reading() as unit:
        (attempt,) = attempts_of(unit, request)
        assert exposures_of(unit, AttemptId(attempt.id)) == {
            first: Money(4000, USD),
            second: Money(3000, USD),
        }
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (2000, 0)


def test_an_account_that_left_stops_it_whichever_it_is(stage: Stage) -> None:
    from store.observations import disconnect_account

    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 1)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    with stage.services.database.unit_of_work() as unit:
        disconnect_account(unit, AccountId(second), stage.now())
    look_again(stage)
    assert (stage.view(request)["status"], rule(stage, request)) == (
        "review",
        f"account_{AccountStanding.DEAUTHORIZED}",
    )


def test_a_wish_made_while_stripe_was_away_keeps_its_transfers(stage: Stage) -> None:
    _first, second, charge, one, two = two_sellers(stage)
    stage.has(second, 3000)
    stage.fault("reset", path="/v1/charges/*", method="GET")
    request = stage.wish(charge, 2500, transfers=named((two, 2000)))
    assert stage.view(request)["decision"] is None
    stage.later(minutes=1)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (0, 2000)
