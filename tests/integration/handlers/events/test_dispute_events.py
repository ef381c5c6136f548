"""`charge.dispute.*`: an inquiry makes haste, a chargeback stops, won goes on, lost closes.

What is being released is never touched by a dispute.
"""

from dataclasses import replace

from gateway.client import StripeGateway
from refunds.decision import Rule
from refunds.facts import DisputeFacts
from refunds.ids import AccountId, ChargeId, DisputeId
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency
from refunds.policy import Partial, PolicyBook
from sandbox.inprocess import BASE
from store.charges import lock_charge
from store.observations import save_dispute
from store.tables.inbox import InboxState
from tests.support.event_stage import KEY, EventStage

THERE_AND_BACK = [
    (Bucket.OPENED, Bucket.REQUESTED, 6_000),
    (Bucket.REQUESTED, Bucket.HELD, 6_000),
    (Bucket.HELD, Bucket.REVIEW, 6_000),
]


def disputed(stage: EventStage, charge: ChargeId) -> bool:
    with stage.database.unit_of_work() as unit:
        row = lock_charge(unit, charge)
        assert row is not None
        return row.disputed


def another_dispute(charge: ChargeId) -> DisputeFacts:
    """A second dispute of one charge, which the sandbox doesn't make."""
    return DisputeFacts(
        dispute=DisputeId("dp_second"),
        charge=charge,
        status="needs_response",
        charge_refundable=False,
    )


def test_a_chargeback_stops_and_a_won_one_goes_on(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 6_000)
    stage.run()
    dispute = stage.order("disputes", charge=charge)["id"]
    stage.take_in()
    assert stage.path(request) == THERE_AND_BACK
    assert (stage.rule(request), disputed(stage, charge)) == (Rule.DISPUTED, True)
    assert stage.due(account) is None
    stage.order(f"disputes/{dispute}/close", status="won")
    stage.take_in()
    assert stage.path(request) == [*THERE_AND_BACK, (Bucket.REVIEW, Bucket.HELD, 6_000)]
    assert disputed(stage, charge) is False
    assert stage.due(account) == "charge.dispute.closed"
    stage.has(account, 6_000)
    stage.run()
    assert stage.status(request) is Status.SUCCEEDED


def test_a_lost_one_closes_for_the_buyer_has_the_money(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 6_000)
    dispute = stage.order("disputes", charge=charge)["id"]
    stage.take_in()
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.path(request) == [*THERE_AND_BACK, (Bucket.REVIEW, Bucket.CLOSED, 6_000)]
    assert stage.status(request) is Status.CLOSED
    assert disputed(stage, charge) is True


def test_an_inquiry_makes_haste(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 6_000)
    stage.run()
    inquiry = stage.order("disputes", charge=charge, kind="inquiry")["id"]
    stage.take_in()
    assert stage.status(request) is Status.HELD
    assert stage.request(request).urgent
    assert (stage.due(account), disputed(stage, charge)) == ("charge.dispute.created", False)
    stage.order(f"disputes/{inquiry}/close", status="warning_closed")
    stage.take_in()
    assert stage.path(request) == THERE_AND_BACK[:2]


def test_a_release_under_way_is_left_to_its_own_outcome(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 6_000)
    stage.release(request, "reset")
    dispute = stage.order("disputes", charge=charge)["id"]
    stage.take_in()
    assert stage.amounts(request) == {Bucket.RELEASING: 6_000}
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.RELEASING: 6_000}


def test_a_refund_that_waits_for_its_buyer_is_never_closed(stage: EventStage) -> None:
    charge = stage.pay(stage.account(), refund_fate="requires_action")
    request = stage.hold(charge, 6_000)
    refund = stage.send(request)
    stage.take_in()
    assert stage.rule(request) is Rule.REQUIRES_ACTION
    lost = stage.order("disputes", charge=charge, amount=1_000)["id"]
    stage.order(f"disputes/{lost}/close", status="lost")
    stage.take_in()
    # The sandbox fails pending refunds with a chargeback, not those that wait for the buyer.
    assert stage.services.gateway.read_refund(refund).live
    assert stage.amounts(request) == {Bucket.REVIEW: 6_000}


def test_a_lost_one_closes_the_rest_of_what_was_partly_refunded(stage: EventStage) -> None:
    partial = Partial(minimum={Currency("usd"): 1_000}, parts=3)
    book = PolicyBook(default={"partial": partial})
    stage.services = replace(stage.services, policies=book)
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 6_000)
    stage.has(account, 2_000)
    stage.run()
    assert stage.amounts(request) == {Bucket.SUCCEEDED: 2_000, Bucket.HELD: 4_000}
    dispute = stage.order("disputes", charge=charge, amount=4_000)["id"]
    stage.take_in()
    assert stage.amounts(request) == {Bucket.SUCCEEDED: 2_000, Bucket.REVIEW: 4_000}
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.SUCCEEDED: 2_000, Bucket.CLOSED: 4_000}
    assert stage.status(request) is Status.PARTIALLY_REFUNDED


def test_a_lost_one_closes_the_rest_and_leaves_what_waits_for_the_buyer(
    stage: EventStage,
) -> None:
    partial = Partial(minimum={Currency("usd"): 1_000}, parts=3)
    book = PolicyBook(default={"partial": partial})
    stage.services = replace(stage.services, policies=book)
    account = stage.account()
    charge = stage.pay(account, refund_fate="requires_action")
    request = stage.hold(charge, 6_000)
    stage.has(account, 2_000)
    stage.run()
    assert stage.amounts(request) == {Bucket.REVIEW: 2_000, Bucket.HELD: 4_000}
    dispute = stage.order("disputes", charge=charge, amount=4_000)["id"]
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.REVIEW: 2_000, Bucket.CLOSED: 4_000}


def test_won_does_not_release_what_another_reason_keeps(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 3_000)
    stage.order("refunds", charge=charge, amount=3_000)
    foreign = [each for each in stage.letters() if "refund" in each.type]
    dispute = stage.order("disputes", charge=charge, amount=4_000)["id"]
    stage.take_in()
    assert stage.rule(request) is Rule.DISPUTED
    # The news of the other refund comes while the request is in review already …
    stage.record(*foreign)
    stage.work()
    stage.order(f"disputes/{dispute}/close", status="won")
    stage.take_in()
    # … and must not be forgotten when the dispute is over.
    assert stage.amounts(request) == {Bucket.REVIEW: 3_000}
    assert stage.rule(request) is Rule.FOREIGN_REFUND


def test_won_leaves_alone_what_another_rule_sent_to_review(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 3_000)
    stage.order(f"refunds/{stage.send(request)}/fail")
    stage.take_in()
    assert stage.rule(request) is Rule.REFUND_FAILED
    dispute = stage.order("disputes", charge=charge, amount=4_000)["id"]
    stage.take_in()
    stage.order(f"disputes/{dispute}/close", status="won")
    stage.take_in()
    assert stage.amounts(request) == {Bucket.REVIEW: 3_000}
    assert stage.rule(request) is Rule.REFUND_FAILED


def test_one_won_of_two_disputes_is_not_enough(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 3_000)
    with stage.database.unit_of_work() as unit:
        save_dispute(unit, another_dispute(charge), stage.now())
    first = stage.order("disputes", charge=charge, amount=4_000)["id"]
    stage.take_in()
    stage.order(f"disputes/{first}/close", status="won")
    stage.take_in()
    assert stage.rule(request) is Rule.DISPUTED
    assert disputed(stage, charge) is True


def test_a_reading_older_than_another_workers_is_not_applied(stage: EventStage) -> None:
    charge = stage.pay(stage.account())
    request = stage.hold(charge, 3_000)
    stage.order("disputes", charge=charge)
    stage.record(*[each for each in stage.letters() if "dispute" in each.type])

    class Slow(StripeGateway):
        def read_dispute(
            self, dispute: DisputeId, account: AccountId | None = None
        ) -> DisputeFacts:
            answer = super().read_dispute(dispute, account)
            # While this answer is under way, another worker reads "won" and takes it in.
            stage.order(f"disputes/{dispute}/close", status="won")
            stage.later(1)
            with stage.database.unit_of_work() as unit:
                save_dispute(unit, super().read_dispute(dispute, account), stage.now())
            return answer

    slow = Slow(KEY, api_base=BASE, http_client=stage.sandbox.http_client(), clock=stage.now)
    stage.work(replace(stage.services, gateway=slow))
    assert stage.status(request) is Status.HELD
    stage.later(60)
    stage.take_in()
    assert stage.status(request) is Status.HELD
    assert disputed(stage, charge) is False


def test_a_dispute_of_a_payment_nobody_asked_us_about_is_ignored(stage: EventStage) -> None:
    stage.order("disputes", charge=stage.pay(stage.account()))
    letters = [each for each in stage.letters() if each.type == "charge.dispute.created"]
    stage.record(*letters)
    stage.work()
    assert stage.event(letters[0].event).state is InboxState.IGNORED
