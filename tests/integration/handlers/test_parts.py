"""A refund that goes out in parts: one request, several refunds, each cent in one place."""

from datetime import timedelta

from handlers.operate import Action, act
from refunds.decision import Rule
from refunds.money import Currency
from refunds.policy import Partial
from store.attempts import attempts_of
from store.requests import evaluations_of
from tests.integration.handlers.test_policy_keys import movement, said, short, swept, under
from tests.support.split_play import named
from tests.support.stage import Stage

USD = Currency("usd")
IN_THREE = Partial(minimum={USD: 1_000}, parts=3)


def test_what_the_account_covers_goes_out_and_the_rest_waits(stage: Stage) -> None:
    under(stage, partial=IN_THREE)
    account, request = short(stage, needs=9000, has=2300)
    view = stage.view(request)
    assert (view["status"], view["amounts"]) == ("held", {"held": 6700, "succeeded": 2300})
    assert (view["released_amount"], view["shortfall"]) == (2300, 6700)
    assert movement(stage, account)[-1] == -2300
    # Not even the least part is there; then exactly it; then the third has to take all the rest.
    stage.has(account, 999)
    swept(stage, account)
    assert stage.view(request)["amounts"] == {"held": 6700, "succeeded": 2300}
    stage.has(account, 1000)
    swept(stage, account)
    assert stage.view(request)["amounts"] == {"held": 5700, "succeeded": 3300}
    stage.has(account, 5699)
    swept(stage, account)
    assert stage.view(request)["amounts"] == {"held": 5700, "succeeded": 3300}
    stage.has(account, 5700)
    swept(stage, account)
    view = stage.view(request)
    assert (view["status"], view["amounts"]) == ("succeeded", {"succeeded": 9000})
    assert [refund["amount"] for refund in stage.refunds()] == [2300, 1000, 5700]
    assert len(view["refunds"]) == 3
    with stage.services.database.reading() as unit:
        rules = [row.rule for row in evaluations_of(unit, request)]
    assert rules.count(Rule.PARTIAL) == 2


def test_without_the_key_it_waits_as_a_whole(stage: Stage) -> None:
    _, request = short(stage, needs=5000, has=2300)
    assert (said(stage, request), stage.refunds()) == (("held", "cover"), [])


def test_a_split_payment_goes_out_whole(stage: Stage) -> None:
    under(stage, partial=IN_THREE)
    first, second = stage.account(), stage.account()
    charge, (one, two) = stage.paid_split(10_000, [(first, 6000), (second, 3000)])
    stage.has(first, 3000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    assert stage.view(request)["amounts"] == {"held": 10_000}
    stage.has(first, 6000)
    swept(stage, first)
    assert stage.view(request)["amounts"] == {"succeeded": 10_000}


def test_no_part_leaves_less_than_the_least(stage: Stage) -> None:
    under(stage, partial=IN_THREE)
    _, request = short(stage, needs=5000, has=4900)
    assert stage.view(request)["amounts"] == {"held": 1000, "succeeded": 4000}


def test_a_part_without_an_outcome_keeps_the_next_one_waiting(stage: Stage) -> None:
    under(stage, partial=IN_THREE)
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 2000)
    stage.fault("lost_response")
    request = stage.wish(charge)
    stage.work()
    assert stage.view(request)["amounts"] == {"held": 3000, "releasing": 2000}
    stage.has(account, 5000)
    swept(stage, account)
    assert stage.view(request)["amounts"] == {"held": 3000, "releasing": 2000}
    stage.later(seconds=3)
    swept(stage, account)
    assert stage.view(request)["amounts"] == {"succeeded": 5000}
    assert [refund["amount"] for refund in stage.refunds()] == [2000, 3000]


def test_stripe_says_no_to_a_part(stage: Stage) -> None:
    under(stage, partial=IN_THREE)
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 2000)
    request = stage.wish(charge)
    stage.fault(
        "interlude",
        after_effect=False,
        steps=[{"path": f"/_sandbox/accounts/{account}/payout", "body": {"amount": 1500}}],
    )
    stage.work()
    assert stage.view(request)["amounts"] == {"held": 5000}
    with stage.services.database.reading() as unit:
        assert [row.amount_minor for row in attempts_of(unit, request)] == [2000]
    stage.has(account, 2000)
    stage.later(minutes=2)
    stage.work()
    # A part that was refused is none: two may still go before the last.
    assert stage.view(request)["amounts"] == {"held": 3000, "succeeded": 2000}


def test_the_rest_can_be_canceled(stage: Stage) -> None:
    under(stage, partial=IN_THREE)
    _, request = short(stage, needs=5000, has=2000)
    act(stage.services, Action.CANCEL, request, note="the buyer keeps it", actor="ada")
    view = stage.view(request)
    assert view["status"] == "partially_refunded"
    assert view["amounts"] == {"canceled": 3000, "succeeded": 2000}


def test_the_rest_of_a_refund_has_the_deadline_of_the_whole(stage: Stage) -> None:
    under(stage, partial=IN_THREE, hold_for=timedelta(days=2))
    account, request = short(stage, needs=5000, has=2000)
    stage.later(days=2)
    swept(stage, account)
    assert stage.view(request)["amounts"] == {"review": 3000, "succeeded": 2000}
    act(stage.services, Action.RELEASE, request, note="we carry it", actor="ada")
    stage.work()
    assert stage.view(request)["amounts"] == {"succeeded": 5000}
