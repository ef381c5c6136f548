"""Other hands on one payment: a refund nobody asked us for is a question to a person."""

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from refunds.ids import LaneId
from store.lanes import mark_due
from tests.support.stage import Stage


def elsewhere(stage: Stage, charge: str, amount: int) -> None:
    """Somebody refunds in the Dashboard, and we hear of it from Stripe's list."""
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": amount})
    reconcile(stage.services)


def due(stage: Stage, account: str) -> None:
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "sweep")


def rule(stage: Stage, request: str) -> object:
    decision = stage.view(request)["decision"]  # type: ignore[arg-type]
    assert decision is not None
    return decision["rule"]


def test_a_release_granted_before_another_hands_refund_is_void(stage: Stage) -> None:
    # Of 10,000 the buyer is owed 4,000. A person released it, but the platform is short; before it
    # goes out, somebody else refunds the 4,000: sending ours as well would pay the buyer twice.
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 0)
    request = stage.wish(charge, 4000)
    stage.has("platform", 0)
    act(stage.services, Action.RELEASE, request, note="let it go", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "held"

    stage.has("platform", 100_000)
    elsewhere(stage, charge, 4000)
    due(stage, account)
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")
    assert len(stage.refunds()) == 1

    # Told of it, a person may release it all the same.
    act(stage.services, Action.RELEASE, request, note="both are owed", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_a_request_in_review_for_another_reason_is_asked_about_too(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 0)
    request = stage.wish(charge, 4000)
    stage.later(days=8)
    due(stage, account)
    stage.work()
    assert rule(stage, request) == "deadline"
    elsewhere(stage, charge, 4000)
    # Whoever opens it now must not take it for a matter of patience alone.
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")


def test_a_request_that_was_under_way_is_asked_about_when_it_is_put_back(stage: Stage) -> None:
    # Ours is on its way when another hand refunds; Stripe then refuses ours for want of money.
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 4000)
    request = stage.wish(charge, 4000)
    stage.fault("reset")
    run_due_lane(stage.services)
    assert stage.view(request)["status"] == "releasing"
    elsewhere(stage, charge, 4000)
    stage.has(account, 0)
    stage.later(seconds=5)
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")
    stage.has(account, 9000)
    due(stage, account)
    stage.later(hours=1)
    stage.work()
    assert len(stage.refunds()) == 1


def test_a_refund_that_nobody_told_us_of_is_found_before_a_new_key_is_taken(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 9000)
    request = stage.wish(charge, 4000)
    stage.fault("reset", times=None)
    stage.work()
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 4000})
    stage.sandbox.control("DELETE", "faults")
    stage.later(hours=25)
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")
    assert len(stage.refunds()) == 1


def test_a_refund_whose_event_is_late_is_found_before_ours_is_sent(stage: Stage) -> None:
    # Somebody refunds 4,000 of 10,000 in the Dashboard while we hold 4,000 of it; nobody tells us.
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 0)
    request = stage.wish(charge, 4000)
    made = stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 4000})
    stage.has(account, 10_000)
    due(stage, account)
    stage.work()
    view = stage.view(request)
    assert (view["status"], rule(stage, request)) == ("review", "foreign_refund")
    assert view["decision"] is not None
    assert made["id"] in view["decision"]["why"]
    assert stage.calls() == []
    # Owed as well: what its person has seen is not asked about again when the event comes.
    act(stage.services, Action.APPROVE, request, note="two lamps were broken", actor="ada")
    reconcile(stage.services)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_a_persons_release_is_void_when_a_refund_is_found_under_way(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 0)
    request = stage.wish(charge, 4000)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 4000})
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")
    assert stage.calls() == []


def test_a_refund_from_before_the_wish_is_no_question(stage: Stage) -> None:
    # 1,000 of 10,000 went back three days ago. Whoever asks for 4,000 now knows, and so did intake.
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 1000})
    stage.later(days=3)
    stage.has(account, 0)
    request = stage.wish(charge, 4000)
    reconcile(stage.services)
    assert stage.view(request)["status"] == "held"
    stage.has(account, 4000)
    due(stage, account)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
