"""The worker: finds what is due, takes each round of a chore once, drains when told to."""

import threading
from collections.abc import Callable
from datetime import timedelta

from handlers.chores import CHORES, mark_round, run_due_chore
from refunds.clock import monotonic_seconds
from refunds.ids import RequestId
from runtime.worker import DRAIN_SECONDS, Worker
from store.chores import claim_chore, list_chores
from store.due import anything_due
from store.inbox import counts
from store.tables.inbox import InboxState
from store.workers import live_workers
from tests.support.stage import Stage


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until it is so; fail at the deadline."""
    deadline = monotonic_seconds() + seconds
    waiting = threading.Event()
    while not true():
        assert monotonic_seconds() < deadline, "it never came about"
        waiting.wait(0.02)


def held(stage: Stage) -> tuple[str, RequestId]:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    request = stage.wish(charge)
    assert stage.view(request)["status"] == "held"
    return account, request


def test_an_event_that_was_never_delivered_is_caught_up_with(stage: Stage) -> None:
    account, request = held(stage)
    worker = Worker(stage.services)
    worker.run_once()
    # No endpoint is registered: the event exists at Stripe only.
    stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": 5000})
    worker.run_once()
    assert stage.view(request)["status"] == "held"

    assert mark_round(stage.services, "catch_up")
    worker.run_once()
    assert stage.view(request)["status"] == "succeeded"

    with stage.services.database.reading() as unit:
        before = counts(unit).by_state
    assert before[InboxState.DONE] > 0
    assert before[InboxState.PENDING] == 0
    stage.later(hours=1)
    assert mark_round(stage.services, "catch_up")
    worker.run_once()
    assert len(stage.refunds()) == 1


def test_an_account_that_cannot_be_read_is_read_from_the_same_place_later(stage: Stage) -> None:
    account, request = held(stage)
    worker = Worker(stage.services)
    mark_round(stage.services, "catch_up")
    worker.run_once()
    stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": 5000})
    stage.sandbox.control(
        "POST",
        "faults",
        {"kind": "http_500", "path": "/v1/events", "account": account, "times": None},
    )
    # Six hours of trouble with that account's list: far beyond the overlap of one hour.
    for _ in range(3):
        stage.later(hours=2)
        mark_round(stage.services, "catch_up")
        worker.run_once()
    assert stage.view(request)["status"] == "held"
    stage.sandbox.control("DELETE", "faults")
    stage.later(hours=2)
    mark_round(stage.services, "catch_up")
    worker.run_once()
    assert stage.view(request)["status"] == "succeeded"


def test_a_reconcile_that_stripe_cut_short_is_due_again_soon(stage: Stage) -> None:
    held(stage)
    stage.sandbox.control("POST", "faults", {"kind": "revoked_key", "path": "*", "times": None})
    mark_round(stage.services, "reconcile")
    for _ in range(3):
        assert run_due_chore(stage.services)
        stage.offset += timedelta(seconds=31)
    stage.sandbox.control("DELETE", "faults")
    stage.offset += timedelta(minutes=6)
    assert run_due_chore(stage.services)
    with stage.services.database.reading() as unit:
        [chore] = [chore for chore in list_chores(unit) if chore.name == "reconcile"]
    assert (chore.note, chore.due_at) == ("1 charges compared, 0 corrections", None)


def test_the_sweep_releases_without_any_event(stage: Stage) -> None:
    account, request = held(stage)
    worker = Worker(stage.services)
    worker.run_once()
    stage.has(account, 5000)
    assert mark_round(stage.services, "sweep")
    worker.run_once()
    assert stage.view(request)["status"] == "succeeded"


def test_reconcile_finds_a_failure_nobody_told_us_about(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    worker = Worker(stage.services)
    worker.run_once()
    refund = stage.view(request)["refunds"][0]
    stage.sandbox.control("POST", f"refunds/{refund}/fail", {})
    assert mark_round(stage.services, "reconcile")
    worker.run_once()
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("review", "refund_failed")


def test_a_round_is_marked_once_however_many_workers_tick(stage: Stage) -> None:
    others = [stage.another_worker(f"worker-{n}") for n in range(3)]
    assert [mark_round(services, "sweep") for services in others] == [True, False, False]
    assert run_due_chore(stage.services)
    assert not run_due_chore(others[1])
    stage.later(seconds=CHORES["sweep"].every.total_seconds())
    assert [mark_round(services, "sweep") for services in others] == [True, False, False]


def test_a_chore_of_a_dead_worker_is_taken_up_again(stage: Stage) -> None:
    mark_round(stage.services, "sweep")
    with stage.services.database.unit_of_work() as unit:
        assert claim_chore(unit, "dead", stage.now()) is not None
    assert not run_due_chore(stage.services)
    stage.offset += timedelta(seconds=61)
    assert run_due_chore(stage.services)
    with stage.services.database.reading() as unit:
        assert [chore.note for chore in list_chores(unit)] == ["0 lanes marked due"]


def test_a_running_worker_is_seen_works_and_drains(stage: Stage) -> None:
    account, request = held(stage)
    worker = Worker(stage.services)
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(worker.run()))
    thread.start()
    try:
        until(lambda: alive(stage) == 1)
        until(lambda: not due(stage))
        stage.fault("delay", seconds=1.5)
        stage.has(account, 5000)
        mark_round(stage.services, "sweep")
        stage.later(minutes=5)
        mark_round(stage.services, "sweep")
        until(lambda: stage.view(request)["status"] == "releasing")
    finally:
        asked = monotonic_seconds()
        worker.stop()
        thread.join(30)
    assert ended == [True], "what was under way was finished"
    assert monotonic_seconds() - asked < DRAIN_SECONDS + 1
    assert stage.view(request)["status"] == "succeeded"
    assert alive(stage) == 0


def alive(stage: Stage) -> int:
    with stage.services.database.reading() as unit:
        return live_workers(unit, stage.now(), within=timedelta(seconds=30))


def due(stage: Stage) -> bool:
    with stage.services.database.reading() as unit:
        return anything_due(unit, stage.now())
