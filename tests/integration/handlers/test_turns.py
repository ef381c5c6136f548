"""Whose turn it is: one run per lane, the platform's own balance, deadlines, people, being
passed over.
"""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.operate import Action, act
from handlers.release import run_due_lane
from handlers.sweep import sweep
from refunds.errors import InvalidWishError, WrongStateError
from refunds.policy import PolicyBook
from store.lanes import claim_due_lane
from tests.support.stage import Stage


def swept(stage: Stage) -> None:
    sweep(stage.services, lambda: None)
    stage.work()


def test_the_platforms_own_payment_is_refunded_in_its_own_lane(stage: Stage) -> None:
    charge = stage.paid(None, 2500)
    request = stage.wish(charge)
    view = stage.view(request)
    assert (view["account"], view["need"], view["charge_type"]) == (None, None, "platform")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_what_the_platform_cannot_pay_is_held(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    stage.has("platform", 4999)
    request = stage.wish(charge)
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("held", "platform_short")
    stage.work()
    assert stage.refunds() == []
    stage.has("platform", 5000)
    swept(stage)
    assert stage.view(request)["status"] == "succeeded"


def test_many_accounts_one_platform_balance(stage: Stage) -> None:
    # The platform has 12,000: two refunds of 5,000 go out at once, the third finds 2,000.
    requests = []
    for _ in range(3):
        account = stage.account()
        charge = stage.paid(account, 5000)
        stage.has(account, 5000)
        requests.append(stage.wish(charge))
    stage.has("platform", 12_000)
    workers = [stage.another_worker(f"worker-{n}") for n in range(3)]
    barrier = threading.Barrier(3)

    def run(number: int) -> None:
        barrier.wait(10)
        run_due_lane(workers[number])

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # Reversals come back to the platform (5,000 each), so the third may fit once they are seen;
    # what must never happen is that Stripe has to refuse or to queue one.
    state = stage.sandbox.control("GET", "state")
    assert state["refused"] == []
    assert all(refund["status"] == "succeeded" for refund in stage.refunds())
    swept(stage)
    assert [stage.view(r)["status"] for r in requests] == ["succeeded"] * 3


def test_two_workers_one_account(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, 3000) for _ in range(4)]
    stage.has(account, 6000)
    for charge in charges:
        stage.wish(charge)
    barrier = threading.Barrier(2)
    workers = [stage.another_worker(f"worker-{n}") for n in range(2)]

    def run(number: int) -> None:
        barrier.wait(10)
        while run_due_lane(workers[number]):
            pass

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(stage.refunds()) == 2
    assert stage.sandbox.control("GET", "state")["refused"] == []


def test_a_deadline_brings_it_before_a_person_and_approval_lets_it_wait(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    request = stage.wish(charge)
    stage.later(days=7, seconds=1)
    swept(stage)
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("review", "deadline")
    act(stage.services, Action.APPROVE, request, note="the seller promised", actor="ada")
    swept(stage)
    assert stage.view(request)["status"] == "held", "approved means approved"
    stage.has(account, 5000)
    swept(stage)
    assert stage.view(request)["status"] == "succeeded"


def test_the_passed_over_goes_first_in_the_end(stage: Stage) -> None:
    stage.services = replace(stage.services, policies=PolicyBook(default={"starve_after": 2}))
    account = stage.account()
    big = stage.wish(stage.paid(account, 9000))
    small = []
    for _ in range(3):
        charge = stage.paid(account, 1000)
        stage.has(account, 1000)
        small.append(stage.wish(charge))
        swept(stage)
    # Two runs passed the big one over; the third small one has to wait for it.
    assert [stage.view(r)["status"] for r in small] == ["succeeded", "succeeded", "held"]
    assert stage.view(small[2])["decision"]["rule"] == "older_first"  # type: ignore[index]
    stage.has(account, 10_000)
    swept(stage)
    assert stage.view(big)["status"] == "succeeded"
    assert stage.view(small[2])["status"] == "succeeded"


def test_own_pending_money_counts_for_its_own_refund_only(stage: Stage) -> None:
    account = stage.account()
    fresh = stage.paid(account, 5000, funds="pending")
    old = stage.paid(account, 5000)
    stage.has(account, 0)
    # `has` sets the available part only: the 5,000 of the fresh purchase are still pending.
    assert stage.view(stage.wish(old))["status"] == "held"
    request = stage.wish(fresh)
    assert stage.view(request)["status"] == "requested"
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_people_need_a_reason_and_the_right_state(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    request = stage.wish(charge)
    with pytest.raises(InvalidWishError, match="say why"):
        act(stage.services, Action.CANCEL, request, note=" ", actor="ada")
    with pytest.raises(WrongStateError, match="it is held; approve needs review"):
        act(stage.services, Action.APPROVE, request, note="x", actor="ada")
    act(stage.services, Action.CANCEL, request, note="wrong buyer", actor="ada")
    assert stage.view(request)["status"] == "canceled"
    stage.has(account, 5000)
    swept(stage)
    assert stage.refunds() == []


def test_a_lane_is_run_by_one_worker_until_its_lease_ends(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    stage.wish(charge)
    with stage.services.database.unit_of_work() as unit:
        first = claim_due_lane(unit, "worker-1", stage.now())
    with stage.services.database.unit_of_work() as unit:
        assert claim_due_lane(unit, "worker-2", stage.now()) is None
    stage.offset += timedelta(seconds=11)
    with stage.services.database.unit_of_work() as unit:
        second = claim_due_lane(unit, "worker-2", stage.now())
    assert first is not None
    assert second is not None
    assert second.fence == first.fence + 1


def test_an_overdue_request_that_a_person_released_waits_for_the_platform(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    request = stage.wish(charge)
    stage.later(days=8)
    swept(stage)
    assert stage.view(request)["status"] == "review"
    stage.has("platform", 0)
    act(stage.services, Action.RELEASE, request, note="the buyer waits", actor="ada")
    swept(stage)
    view = stage.view(request)
    assert view["decision"] is not None
    # Its person knew that it was overdue: asking them again would never end.
    assert (view["status"], view["decision"]["rule"]) == ("review", "platform_short")
    stage.has("platform", 100_000)
    swept(stage)
    assert stage.view(request)["status"] == "succeeded"
