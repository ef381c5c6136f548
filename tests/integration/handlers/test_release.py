"""The main job as stories: held while the account can't cover it, released once when it can."""

import pytest
import stripe

from handlers.operate import Action, act
from refunds.errors import KeyReusedError, RequestOpenError
from refunds.ids import LaneId
from store.lanes import mark_due
from tests.support.stage import KEY, Stage


def test_a_covered_refund_goes_out_at_the_next_run(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)

    request = stage.wish(charge)
    assert stage.view(request)["status"] == "requested"
    assert stage.view(request)["decision"]["outcome"] == "release"  # type: ignore[index]
    stage.work()

    view = stage.view(request)
    assert view["status"] == "succeeded"
    assert view["amounts"] == {"succeeded": 5000}
    assert view["released_amount"] == 5000
    assert [refund["amount"] for refund in stage.refunds()] == [5000]
    assert view["refunds"] == [refund["id"] for refund in stage.refunds()]


def test_a_short_refund_is_held_and_released_when_the_balance_covers_it(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)

    request = stage.wish(charge)
    view = stage.view(request)
    assert view["status"] == "held"
    assert view["need"] == {"amount": 5000, "currency": "usd", "fx_buffer": 0}
    assert (view["spendable"], view["shortfall"]) == (1000, 4000)
    stage.work()
    assert stage.view(request)["status"] == "held"
    assert stage.refunds() == []

    stage.has(account, 5000)
    due(stage, account)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert len(stage.refunds()) == 1


def test_no_more_is_promised_than_there_is(stage: Stage) -> None:
    # 9,000 available; needs 5,000, 5,000, 4,000: the first and the third fit (9,000).
    account = stage.account()
    charges = [stage.paid(account, amount) for amount in (5000, 5000, 4000)]
    stage.has(account, 0)
    requests = [stage.wish(charge) for charge in charges]
    stage.work()
    stage.has(account, 9000)
    due(stage, account)
    stage.work()
    assert [stage.view(r)["status"] for r in requests] == ["succeeded", "held", "succeeded"]
    assert stage.sandbox.control("GET", "calls")["refused"] == []


def test_the_answer_is_lost_after_the_effect(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    stage.fault("lost_response")
    stage.work()
    view = stage.view(request)
    assert view["status"] == "releasing"
    assert view["amounts"] == {"releasing": 5000}

    stage.later(seconds=3)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert len(stage.refunds()) == 1
    keys = [call["idempotency_key"] for call in stage.calls() if call["path"] == "/v1/refunds"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_stripe_says_no_for_want_of_money(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    # Somebody draws on the balance between our read and Stripe's own look at it.
    stage.fault(
        "interlude",
        after_effect=False,
        steps=[{"path": f"/_sandbox/accounts/{account}/payout", "body": {"amount": 4000}}],
    )
    stage.work()
    view = stage.view(request)
    assert view["status"] == "held"
    assert view["decision"]["rule"] == "stripe_short"  # type: ignore[index]

    stage.has(account, 5000)
    stage.later(minutes=2)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    keys = [call["idempotency_key"] for call in stage.calls() if call["path"] == "/v1/refunds"]
    assert len(set(keys)) == 2


def test_a_key_that_was_revoked_changes_nothing(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    request = stage.wish(charge)
    stage.work()
    before = stage.view(request)
    stage.sandbox.control("POST", "faults", {"kind": "revoked_key", "path": "*", "times": None})
    due(stage, account)
    stage.work()
    assert stage.view(request) == before
    stage.sandbox.control("DELETE", "faults")
    stage.has(account, 5000)
    stage.later(minutes=6)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_a_wish_that_comes_while_stripe_is_away_is_decided_later(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    stage.sandbox.control("POST", "faults", {"kind": "http_500", "path": "*", "times": 1})
    taken = stage.taken(charge, None, key="k")
    assert not taken.decided
    assert stage.view(taken.request)["decision"] is None
    stage.later(seconds=5)
    stage.work()
    assert stage.view(taken.request)["status"] == "succeeded"


def test_a_wish_for_a_payment_nobody_paid_is_no_question_of_its_amount(stage: Stage) -> None:
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    intent = client.v1.payment_intents.create(params={"amount": 5000, "currency": "usd"})
    stage.sandbox.control("POST", "faults", {"kind": "http_500", "path": "*", "times": 1})
    unpaid = stage.taken(intent.id, None, key="k1")
    stage.sandbox.control("POST", "faults", {"kind": "http_500", "path": "*", "times": 1})
    too_much = stage.taken(stage.paid(None, 5000), 5001, key="k2")
    stage.later(seconds=5)
    stage.work()
    decisions = [stage.view(taken.request)["decision"] for taken in (unpaid, too_much)]
    assert [(d["outcome"], d["rule"]) for d in decisions if d is not None] == [
        ("reject", "not_refundable"),
        ("reject", "over_remaining"),
    ]


def test_one_wish_per_key_and_one_open_request_per_charge(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    first = stage.taken(charge, 3000, key="k1")
    again = stage.taken(charge, 3000, key="k1")
    assert (again.request, again.replayed) == (first.request, True)
    with pytest.raises(KeyReusedError, match="other parameters"):
        stage.taken(charge, 2000, key="k1")
    with pytest.raises(RequestOpenError, match=first.request):
        stage.taken(charge, 2000, key="k2")
    more = stage.taken(charge, 2000, key="k3", additional=True)
    assert stage.view(more.request)["status"] == "held"
    # 3,000 + 2,000 of 5,000 are claimed: nothing is left for a third.
    third = stage.taken(charge, 1, key="k4", additional=True)
    assert stage.view(third.request)["status"] == "rejected"


def test_a_person_releases_what_the_account_cannot_cover(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    request = stage.wish(charge)
    stage.work()
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    view = stage.view(request)
    assert view["status"] == "succeeded"
    # 5,000 refunded by the platform, 1,000 of it taken back at once, 4,000 exposed.
    movement = stage.sandbox.control("GET", f"accounts/{account}/movement")
    assert movement["movement"][-1]["amount"] == -1000


def due(stage: Stage, account: str) -> None:
    """What a `balance.available` event does."""
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "balance.available")
