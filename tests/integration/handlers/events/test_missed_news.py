"""News that comes while a request is with Stripe, or before anybody asked: it counts."""

import pytest

from handlers.carry_out import settle_outcome
from handlers.circuit import closed_until
from handlers.intake import take_in
from handlers.operate import Action, act
from handlers.undecided import decide_due_request
from handlers.unsettled import recover_due_attempt
from refunds.decision import Rule
from refunds.errors import WrongStateError
from refunds.facts import AccountStanding
from refunds.ids import RequestId
from refunds.lifecycle import Bucket, Status
from refunds.steps import RefusalKind, Refused
from refunds.wish import Wish
from sandbox.delivery.mailbox import Letter
from store.attempts import call_of, steps_of
from store.ledger import exposed_of
from store.observations import standing_of
from tests.support.event_stage import EventStage


def ask(stage: EventStage, payment: str, key: str, **more: object) -> RequestId:
    wish = Wish(payment=payment, **more)  # type: ignore[arg-type]  # fields by name
    return take_in(stage.services, wish, idempotency_key=key, actor="shop").request


def departure(stage: EventStage) -> list[Letter]:
    return [each for each in stage.letters() if each.type.endswith("deauthorized")]


def test_another_hands_refund_is_heeded_when_a_release_comes_back(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 3_000)
    stage.release(request, "reset")
    stage.order("refunds", charge=charge, amount=3_000)
    stage.take_in()
    assert stage.amounts(request) == {Bucket.RELEASING: 3_000}
    stage.has(account, 0)
    stage.later(60)
    recover_due_attempt(stage.services)
    # Refused for want of money: on hold it would go out by itself, besides the other one.
    assert stage.amounts(request) == {Bucket.REVIEW: 3_000}
    assert stage.rule(request) is Rule.FOREIGN_REFUND


def test_a_dispute_lost_meanwhile_closes_what_stripe_refuses(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 6_000)
    stage.release(request, "reset")
    dispute = stage.order("disputes", charge=charge)["id"]
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.RELEASING: 6_000}
    stage.later(60)
    recover_due_attempt(stage.services)
    assert stage.status(request) is Status.CLOSED


def test_a_dispute_won_before_the_refusal_is_settled_keeps_nothing_in_review(
    stage: EventStage,
) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 6_000)
    attempt = stage.release(request, "reset")
    dispute = stage.order("disputes", charge=charge)["id"]
    with stage.database.reading() as unit:
        call = call_of(steps_of(unit, attempt)[0])
    refusal = stage.services.gateway.execute(call)
    assert isinstance(refusal, Refused)
    assert refusal.kind is RefusalKind.CHARGE_DISPUTED
    stage.take_in()
    stage.later(1)
    stage.order(f"disputes/{dispute}/close", status="won")
    stage.take_in()
    settle_outcome(stage.services, attempt, 1, refusal)
    assert stage.amounts(request) == {Bucket.HELD: 6_000}
    stage.run()
    assert stage.status(request) is Status.SUCCEEDED


def test_a_refund_that_fails_after_its_dispute_was_lost_is_not_owed_again(
    stage: EventStage,
) -> None:
    charge = stage.pay(stage.account(), refund_fate="pending")
    request = stage.hold(charge, 6_000)
    stage.send(request)
    stage.take_in()
    assert stage.status(request) is Status.SUBMITTED
    dispute = stage.order("disputes", charge=charge)["id"]
    failed = [each for each in stage.letters() if each.type.startswith("refund.")]
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.status(request) is Status.SUBMITTED
    stage.record(*failed)
    stage.work()
    assert stage.status(request) is Status.CLOSED


def test_an_account_that_left_before_anybody_asked_is_known_to_have_left(
    stage: EventStage,
) -> None:
    account = stage.account()
    charge = stage.pay(account)
    stage.order(f"accounts/{account}/deauthorize")
    stage.take_in()
    with stage.database.reading() as unit:
        assert standing_of(unit, account) is AccountStanding.DEAUTHORIZED
    request = ask(stage, charge, "key-late", amount_minor=4_000)
    assert stage.rule(request) is Rule.ACCOUNT_DEAUTHORIZED
    assert stage.amounts(request) == {Bucket.REVIEW: 4_000}


def test_a_person_can_release_what_an_account_that_left_owes(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 4_000)
    other = stage.hold(stage.pay(account), 1_000)
    stage.order(f"accounts/{account}/deauthorize")
    stage.take_in()
    act(stage.services, Action.RELEASE, request, note="the buyer waits", actor="ann")
    stage.run()
    assert stage.status(request) is Status.SUCCEEDED
    with stage.database.reading() as unit:
        [refund] = stage.sandbox.control("GET", "state")["objects"]["refund"]
        assert refund["transfer_reversal"] is None
        exposed = exposed_of(unit, refund["metadata"]["sluice_attempt"])
    assert exposed is not None
    assert exposed.amount_minor == 4_000
    assert stage.amounts(other) == {Bucket.REVIEW: 1_000}


def test_one_account_that_refuses_us_does_not_stop_the_others(stage: EventStage) -> None:
    account = stage.account()
    charge, own = stage.pay(account), stage.pay(None)
    stage.order(f"accounts/{account}/deauthorize")
    departed = departure(stage)
    first = ask(stage, charge, "key-1")
    assert stage.status(first) is Status.REQUESTED
    assert closed_until(stage.services, None) is None
    second = ask(stage, own, "key-2")
    stage.run()
    assert stage.status(second) is Status.SUCCEEDED
    stage.record(*departed)
    stage.work()
    stage.later(400)
    assert decide_due_request(stage.services)
    assert stage.status(first) is Status.REVIEW


def test_a_wish_decided_later_beside_an_open_one_is_rejected_in_the_books(
    stage: EventStage,
) -> None:
    charge = stage.pay(stage.account())
    stage.fault("reset", "/v1/charges/*")
    second = ask(stage, charge, "key-later", amount_minor=2_000)
    stage.later(1)
    first = ask(stage, charge, "key-first", amount_minor=3_000)
    stage.later(10)
    assert decide_due_request(stage.services)
    assert stage.path(second) == [
        (Bucket.OPENED, Bucket.REQUESTED, 2_000),
        (Bucket.REQUESTED, Bucket.REJECTED, 2_000),
    ]
    assert stage.rule(second) is Rule.REQUEST_OPEN
    assert stage.status(first) is Status.HELD


def test_what_another_hand_left_no_room_for_can_not_be_approved(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 6_000)
    stage.order("refunds", charge=charge, amount=7_000)
    stage.take_in()
    assert stage.rule(request) is Rule.FOREIGN_REFUND
    with pytest.raises(WrongStateError, match=r"more than the 30\.00 USD left"):
        act(stage.services, Action.APPROVE, request, note="owed as well", actor="ann")
    assert stage.amounts(request) == {Bucket.REVIEW: 6_000}


def test_payments_whose_transfers_are_still_to_come_keep_nobody_else(stage: EventStage) -> None:
    # Each is asked about again and again, while Stripe itself is well.
    account = stage.account()
    for number in range(4):
        charge = stage.pay(account)
        stage.sandbox.world.shelves.get(charge).body["transfer"] = None
        request = ask(stage, charge, f"key-early-{number}")
        assert (stage.status(request), stage.rule(request)) == (Status.REQUESTED, None)
    assert closed_until(stage.services, None) is None
    other = stage.hold(stage.pay(account), 1_000)
    assert stage.rule(other) is Rule.COVER
