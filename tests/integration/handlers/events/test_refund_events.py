"""Stories of refunds told by events alone: ours without an answer, late failures, other hands.

Stripe's side is the sandbox behind the real gateway; nothing may be settled but by an event.
"""

import pytest

from refunds.decision import Rule
from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST
from refunds.lifecycle import Bucket, Status
from store.attempts import steps_of
from store.tables.inbox import InboxState
from tests.support.event_stage import EventStage

OUR_WAY = [
    (Bucket.OPENED, Bucket.REQUESTED, 10_000),
    (Bucket.REQUESTED, Bucket.HELD, 10_000),
    (Bucket.HELD, Bucket.RELEASING, 10_000),
    (Bucket.RELEASING, Bucket.SUBMITTED, 10_000),
    (Bucket.SUBMITTED, Bucket.SUCCEEDED, 10_000),
]


def test_an_event_settles_a_refund_whose_answer_was_lost(stage: EventStage) -> None:
    request = stage.hold(stage.pay(stage.account()), 10_000)
    stage.send(request)
    stage.take_in()
    assert stage.status(request) is Status.SUCCEEDED
    assert stage.path(request) == OUR_WAY


def test_the_same_events_again_change_nothing(stage: EventStage) -> None:
    request = stage.hold(stage.pay(stage.account()), 10_000)
    stage.send(request)
    letters = [each for each in stage.letters() if "refund" in each.type]
    assert "refund.created" in {each.type for each in letters}
    for _ in range(3):
        stage.record(*letters)
        stage.work()
    assert stage.path(request) == OUR_WAY


def test_a_late_failure_comes_back_before_a_person(stage: EventStage) -> None:
    request = stage.hold(stage.pay(stage.account()), 10_000)
    refund = stage.send(request)
    stage.take_in()
    stage.order(f"refunds/{refund}/fail", reason="expired_or_canceled_card")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.REVIEW: 10_000}
    assert stage.rule(request) is Rule.REFUND_FAILED
    assert stage.path(request)[len(OUR_WAY) :] == [
        (Bucket.SUCCEEDED, Bucket.FAILED, 10_000),
        (Bucket.FAILED, Bucket.REVIEW, 10_000),
    ]


def test_a_failure_refills_the_platform_that_others_wait_for(stage: EventStage) -> None:
    failing = stage.hold(stage.pay(stage.account()), 6_000)
    refund = stage.send(failing)
    stage.take_in()
    account = stage.account()
    waiting = stage.short_of_platform(account, 4_000)
    assert stage.due(account) is None
    stage.order(f"refunds/{refund}/fail")
    stage.take_in()
    assert stage.due(account) in ("refund.failed", "refund.updated", "charge.refund.updated")
    assert stage.status(waiting) is Status.HELD


def test_another_hands_refund_puts_what_we_hold_before_a_person(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    held = stage.hold(charge, 5_000)
    stage.order("refunds", charge=charge, amount=5_000)
    stage.take_in()
    # 5,000 + 5,000 of 10,000: both fit, but only a person knows whether both are owed.
    assert stage.amounts(held) == {Bucket.REVIEW: 5_000}
    assert stage.rule(held) is Rule.FOREIGN_REFUND


@pytest.mark.parametrize("forged", ["amount", "request", "charge", "attempt"])
def test_metadata_alone_makes_no_refund_ours(stage: EventStage, forged: str) -> None:
    charge = stage.pay(stage.account(), 20_000)
    request = stage.hold(charge, 8_000)
    attempt = stage.release(request, "reset")
    elsewhere = stage.pay(stage.account(), 20_000)
    other = stage.hold(elsewhere, 1_000)
    stage.order(
        "refunds",
        charge=elsewhere if forged == "charge" else charge,
        amount=7_000 if forged == "amount" else 8_000,
        metadata={
            METADATA_REQUEST: other if forged == "request" else request,
            METADATA_ATTEMPT: "ra_nobody" if forged == "attempt" else attempt,
        },
    )
    stage.take_in()
    # Only the whole truth settles an attempt: this one still waits for its own outcome.
    assert stage.amounts(request) == {Bucket.RELEASING: 8_000}
    with stage.database.reading() as unit:
        assert steps_of(unit, attempt)[0].object_id is None
    assert stage.status(other) is (Status.REVIEW if forged == "charge" else Status.HELD)


def test_a_second_refund_under_one_attempts_name_is_observed(stage: EventStage) -> None:
    charge = stage.pay(stage.account(), 20_000)
    request = stage.hold(charge, 8_000)
    refund = stage.send(request)
    stage.take_in()
    waiting = stage.hold(charge, 1_000)
    metadata = dict(stage.services.gateway.read_refund(refund).metadata)
    stage.order("refunds", charge=charge, amount=8_000, metadata=metadata)
    stage.take_in()
    assert stage.status(request) is Status.SUCCEEDED
    assert stage.rule(waiting) is Rule.FOREIGN_REFUND


def test_a_refund_of_a_payment_nobody_asked_us_about_is_ignored(stage: EventStage) -> None:
    stage.order("refunds", charge=stage.pay(stage.account()), amount=5_000)
    letters = [each for each in stage.letters() if each.type == "refund.created"]
    stage.record(*letters)
    stage.work()
    assert {stage.event(each.event).state for each in letters} == {InboxState.IGNORED}


def test_the_mirror_of_a_reversal_is_ignored_without_a_call(stage: EventStage) -> None:
    mirror = {"id": "pyr_1", "object": "refund"}
    event = stage.put("refund.created", mirror, account=stage.account())
    reads = stage.reads()
    stage.work()
    assert stage.event(event).state is InboxState.IGNORED
    assert stage.reads() == reads


def test_an_old_payload_with_the_charge_in_it_leads_to_its_refunds(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 10_000)
    stage.send(request)
    event = stage.put("charge.refund.updated", {"id": charge, "object": "charge"})
    stage.work()
    assert stage.event(event).state is InboxState.DONE
    assert stage.path(request) == OUR_WAY


def test_a_buyer_who_must_act_and_then_does(stage: EventStage) -> None:
    charge = stage.pay(stage.account(), refund_fate="requires_action")
    request = stage.hold(charge, 10_000)
    refund = stage.send(request)
    stage.take_in()
    assert stage.rule(request) is Rule.REQUIRES_ACTION
    assert stage.amounts(request) == {Bucket.REVIEW: 10_000}
    stage.order(f"refunds/{refund}/succeed")
    stage.take_in()
    assert stage.status(request) is Status.SUCCEEDED
