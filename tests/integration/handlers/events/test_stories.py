"""Whole stories of one payment and several hands, told from the wish to the end.

Each has its single scenes elsewhere; here they follow one another, as they do for a platform.
"""

from handlers.operate import Action, act
from handlers.unsettled import recover_due_attempt
from refunds.decision import Rule
from refunds.facts import AccountStanding
from refunds.ids import AccountId, RequestId, lane_of
from refunds.lifecycle import Bucket, Status
from store.lanes import mark_due
from store.ledger import exposed_of
from store.observations import standing_of
from tests.support.event_stage import EventStage

H = Bucket.HELD
R = Bucket.REVIEW


def earn(stage: EventStage, account: AccountId, available: int) -> None:
    """Money comes in, Stripe says so, and whoever waits for it gets a run."""
    stage.order(f"accounts/{account}/earn", amount=available)
    stage.take_in()
    stage.run()
    stage.take_in()


def swept(stage: EventStage, account: AccountId) -> None:
    with stage.database.unit_of_work() as unit:
        mark_due(unit, lane_of(account), stage.now(), "sweep")
    stage.run()


def buckets(stage: EventStage, request: RequestId) -> list[Bucket]:
    """Where the amount went, one after the other."""
    return [target for _, target, _ in stage.path(request)]


def test_the_dashboard_refund_while_we_hold_half(stage: EventStage) -> None:
    # 100.00 paid. 50.00 are wished for and held. Somebody refunds 50.00 in the Dashboard.
    account = stage.account()
    same, owed = stage.pay(account), stage.pay(account)
    wishes = [stage.hold(charge, 5_000) for charge in (same, owed)]
    stage.run()
    for charge in (same, owed):
        stage.order("refunds", charge=charge, amount=5_000)
    stage.take_in()
    assert {stage.rule(each) for each in wishes} == {Rule.FOREIGN_REFUND}
    assert {stage.status(each) for each in wishes} == {Status.REVIEW}
    # Money alone releases nothing that a person has to answer first.
    earn(stage, account, 20_000)
    assert {stage.status(each) for each in wishes} == {Status.REVIEW}
    # One was the same wish, done by hand; the other half of the second payment is owed as well.
    act(stage.services, Action.CLOSE, wishes[0], note="done in the Dashboard", actor="ann")
    act(stage.services, Action.APPROVE, wishes[1], note="both lamps broke", actor="ann")
    swept(stage, account)
    stage.take_in()
    assert [stage.status(each) for each in wishes] == [Status.CLOSED, Status.SUCCEEDED]
    assert len(stage.sandbox.control("GET", "calls")["calls"]) == 1


def test_the_approved_request_stays_approved(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 5_000)
    stage.run()
    stage.order(f"accounts/{account}/reject")
    stage.take_in()
    assert (stage.status(request), stage.rule(request)) == (Status.REVIEW, Rule.ACCOUNT_REJECTED)
    act(stage.services, Action.APPROVE, request, note="their lawyer paid", actor="ann")
    # The same news again, sweeps and a week of waiting ask nobody a second time about that rule.
    stage.order(f"accounts/{account}/update", business_profile={"name": "The Lamp Shop"})
    for _ in range(3):
        stage.later(3_600)
        stage.take_in()
        swept(stage, account)
    assert stage.status(request) is Status.HELD
    stage.later(8 * 86_400)
    swept(stage, account)
    assert (stage.status(request), stage.rule(request)) == (Status.REVIEW, Rule.DEADLINE)
    act(stage.services, Action.APPROVE, request, note="a few days more", actor="ann")
    for _ in range(3):
        stage.later(86_400)
        swept(stage, account)
    assert stage.status(request) is Status.HELD
    earn(stage, account, 5_000)
    assert stage.status(request) is Status.SUCCEEDED
    assert buckets(stage, request)[1:6] == [H, R, H, R, H]


def test_an_inquiry_becomes_a_chargeback_that_is_won(stage: EventStage) -> None:
    account = stage.account()
    disputed, other = stage.pay(account), stage.pay(account)
    older = stage.hold(other, 5_000)
    stage.later(1)
    request = stage.hold(disputed, 5_000)
    stage.run()
    # The buyer's bank asks: a refund now may avert the chargeback, so it goes before the older one.
    inquiry = stage.order("disputes", charge=disputed, kind="inquiry")["id"]
    stage.take_in()
    assert (stage.status(request), stage.request(request).urgent) == (Status.HELD, True)
    stage.order(f"disputes/{inquiry}/escalate")
    stage.take_in()
    assert (stage.status(request), stage.rule(request)) == (Status.REVIEW, Rule.DISPUTED)
    # What comes in now is for the other one.
    earn(stage, account, 5_000)
    assert [stage.status(each) for each in (older, request)] == [Status.SUCCEEDED, Status.REVIEW]
    stage.order(f"disputes/{inquiry}/close", status="won")
    stage.take_in()
    assert stage.status(request) is Status.HELD
    earn(stage, account, 5_000)
    assert stage.status(request) is Status.SUCCEEDED


def test_a_chargeback_that_is_lost_pays_the_buyer_without_us(stage: EventStage) -> None:
    account = stage.account()
    charge = stage.pay(account)
    request = stage.hold(charge, 5_000)
    stage.run()
    dispute = stage.order("disputes", charge=charge)["id"]
    stage.take_in()
    stage.order(f"disputes/{dispute}/close", status="lost")
    stage.take_in()
    assert stage.status(request) is Status.CLOSED
    earn(stage, account, 10_000)
    assert stage.sandbox.control("GET", "calls")["calls"] == []


def test_deauthorized_with_an_unknown_outcome(stage: EventStage) -> None:
    # One refund is with Stripe, unanswered; another waits; then the account leaves.
    account = stage.account()
    sent = stage.hold(stage.pay(account), 5_000)
    stage.later(1)
    waiting = stage.hold(stage.pay(account), 5_000)
    stage.has(account, 0)
    stage.release(sent, "lost_response")
    stage.order(f"accounts/{account}/deauthorize")
    stage.take_in()
    with stage.database.reading() as unit:
        assert standing_of(unit, account) is AccountStanding.DEAUTHORIZED
    assert (stage.status(waiting), stage.rule(waiting)) == (
        Status.REVIEW,
        Rule.ACCOUNT_DEAUTHORIZED,
    )
    # The refund is the platform's own call: it can be asked for again, and is found made.
    stage.later(30)
    while recover_due_attempt(stage.services):
        stage.later(30)
    stage.take_in()
    assert stage.status(sent) is Status.SUCCEEDED
    # The other one only a person can send, at the platform's expense.
    act(stage.services, Action.RELEASE, waiting, note="the buyer waits", actor="ann")
    stage.run()
    stage.take_in()
    assert stage.status(waiting) is Status.SUCCEEDED
    refunds = stage.sandbox.control("GET", "state")["objects"]["refund"]
    with stage.database.reading() as unit:
        owed = [
            exposed_of(unit, each["metadata"]["sluice_attempt"])
            for each in refunds
            if each["metadata"].get("sluice_request") == waiting
        ]
    assert [money and money.amount_minor for money in owed] == [5_000]
