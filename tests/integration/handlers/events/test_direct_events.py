"""Direct charges' events come from the account the payment lives in, and are read there."""

import json

from sqlmodel import col, select

from handlers.due import money_came_in
from refunds.decision import Rule
from refunds.lifecycle import Bucket, Status
from store.tables.attempts import Reservation
from store.tables.observations import Refund
from tests.support.event_stage import EventStage


def test_stripe_sends_what_it_queued_and_what_was_promised_is_free(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay_direct(account), 6_000, account=account)
    stage.run()
    assert stage.amounts(request) == {Bucket.SUBMITTED: 6_000}
    stage.take_in()
    assert stage.amounts(request) == {Bucket.SUBMITTED: 6_000}
    stage.order(f"accounts/{account}/earn", amount=9_000)
    stage.take_in()
    assert stage.status(request) is Status.SUCCEEDED
    with stage.database.reading() as unit:
        rows = unit.exec(select(Reservation).where(col(Reservation.closed_at).is_(None))).all()
    assert rows == []


def test_after_45_days_stripe_fails_what_it_queued_and_a_person_is_asked(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay_direct(account), 6_000, account=account)
    stage.run()
    stage.later(46 * 86_400)
    stage.take_in()
    assert (stage.status(request), stage.rule(request)) == (Status.REVIEW, Rule.REFUND_FAILED)


def test_another_hands_refund_in_the_account_sends_it_to_review(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay_direct(account, payment_method="pm_usBankAccount_success")
    request = stage.hold(charge, 6_000, account=account)
    stage.has(account, 3_000)
    # A bank payment's refund has the prefix of a reversal's mirror, and is a buyer's all the same.
    foreign = stage.order("refunds", charge=charge, amount=3_000)["id"]
    assert foreign.startswith("pyr_")
    stage.take_in()
    assert (stage.status(request), stage.rule(request)) == (Status.REVIEW, Rule.FOREIGN_REFUND)


def test_what_stripe_queues_for_another_hand_is_not_spendable(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay_direct(account)
    first = stage.hold(charge, 1_000, account=account)
    stage.run()
    stage.order("refunds", charge=charge, amount=4_000)
    stage.take_in()
    held = stage.hold(stage.pay(account), 2_000)
    stage.has(account, 6_500)
    stage.run()
    # 6500 - 1000 of ours and 4000 of theirs that Stripe has queued: 1500, not enough for 2000.
    assert stage.amounts(held) == {Bucket.HELD: 2_000}
    stage.has(account, 7_000)
    with stage.database.unit_of_work() as unit:
        money_came_in(unit, account, now=stage.now(), cause="test")
    stage.run()
    assert stage.status(held) is Status.SUCCEEDED
    assert stage.amounts(first) == {Bucket.SUBMITTED: 1_000}


def test_a_reversals_mirror_is_told_from_a_buyers_refund_without_asking_stripe(
    stage: EventStage,
) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 6_000)
    stage.has(account, 6_000)
    with stage.database.unit_of_work() as unit:
        money_came_in(unit, account, now=stage.now(), cause="test")
    stage.run()
    assert stage.status(request) is Status.SUCCEEDED
    mirrors = [
        letter
        for letter in stage.letters()
        if json.loads(letter.body)["data"]["object"]["id"].startswith("pyr_")
    ]
    assert mirrors
    stage.record(*mirrors)
    reads = stage.reads()
    stage.work()
    assert stage.reads() == reads
    with stage.database.reading() as unit:
        assert [row.id[:3] for row in unit.exec(select(Refund))] == ["re_"]


def test_a_dispute_in_the_account_stops_and_won_goes_on(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay_direct(account, payment_method="pm_usBankAccount_success")
    request = stage.hold(charge, 6_000, account=account)
    dispute = stage.order("disputes", charge=charge)["id"]
    stage.take_in()
    assert (stage.status(request), stage.rule(request)) == (Status.REVIEW, Rule.DISPUTED)
    stage.order(f"disputes/{dispute}/close", status="won")
    stage.take_in()
    assert stage.status(request) is Status.HELD
    assert stage.due(account) == "charge.dispute.closed"
