"""Another hand's refund that comes to be known while ours is with Stripe: the person before whom
ours comes is told of both, whatever brought it there.
"""

from dataclasses import replace

from handlers.carry_out import settle_outcome
from handlers.operate import Action, act
from refunds.decision import Rule
from refunds.ids import RequestId
from refunds.lifecycle import Bucket, Status
from refunds.steps import RefusalKind, Refused
from store.requests import latest_evaluation
from tests.support.event_stage import EventStage

NO = Refused(
    kind=RefusalKind.OTHER,
    code="charge_not_refundable",
    message="No.",
    http_status=400,
    stripe_request=None,
)


def why(stage: EventStage, request: RequestId) -> str:
    with stage.database.reading() as unit:
        latest = latest_evaluation(unit, stage.request(request))
    assert latest is not None
    return latest.why


def test_who_approves_a_refused_refund_is_told_of_the_one_made_meanwhile(
    stage: EventStage,
) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 5_000)
    attempt = stage.release(request, "reset")
    other = stage.order("refunds", charge=charge, amount=5_000)["id"]
    stage.take_in()
    settle_outcome(stage.services, attempt, 1, NO)
    assert stage.amounts(request) == {Bucket.REVIEW: 5_000}
    assert stage.rule(request) is Rule.FOREIGN_REFUND
    # Both reasons: what Stripe said, and that the buyer may have the money already.
    assert "charge_not_refundable" in why(stage, request)
    assert other in why(stage, request)


def test_a_second_refund_by_another_hand_is_not_covered_by_the_approval_of_the_first(
    stage: EventStage,
) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 2_000)
    stage.order("refunds", charge=charge, amount=2_000)
    stage.take_in()
    assert stage.rule(request) is Rule.FOREIGN_REFUND
    act(stage.services, Action.APPROVE, request, note="both are owed", actor="ann")
    attempt = stage.release(request, "reset")
    stage.later(1)
    second = stage.order("refunds", charge=charge, amount=2_000)["id"]
    stage.take_in()
    settle_outcome(stage.services, attempt, 1, NO)
    assert stage.rule(request) is Rule.FOREIGN_REFUND
    assert second in why(stage, request)


def test_what_a_person_approved_beside_a_known_refund_is_not_asked_about_again(
    stage: EventStage,
) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 2_000)
    stage.order("refunds", charge=charge, amount=2_000)
    stage.take_in()
    act(stage.services, Action.APPROVE, request, note="both are owed", actor="ann")
    attempt = stage.release(request, "reset")
    settle_outcome(stage.services, attempt, 1, NO)
    assert stage.rule(request) is Rule.STRIPE_REFUSED


def test_a_late_failure_names_the_refund_that_another_hand_made_meanwhile(
    stage: EventStage,
) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 5_000)
    ours = stage.send(request)
    stage.take_in()
    assert stage.status(request) is Status.SUCCEEDED
    other = stage.order("refunds", charge=charge, amount=5_000)["id"]
    stage.take_in()
    stage.order(f"refunds/{ours}/fail")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.REVIEW: 5_000}
    assert stage.rule(request) is Rule.FOREIGN_REFUND
    assert other in why(stage, request)


def test_an_account_that_left_does_not_hide_another_hands_refund(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 3_000)
    attempt = stage.release(request, "reset")
    stage.order("refunds", charge=charge, amount=3_000)
    stage.order(f"accounts/{account}/deauthorize")
    stage.take_in()
    short = replace(NO, kind=RefusalKind.INSUFFICIENT_FUNDS)
    settle_outcome(stage.services, attempt, 1, short)
    # Who releases it past the account would pay the buyer twice otherwise.
    assert stage.rule(request) is Rule.FOREIGN_REFUND
