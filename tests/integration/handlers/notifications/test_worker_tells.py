"""The worker tells beside its work: what receivers do holds up no refund."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from refunds.clock import monotonic_seconds
from refunds.notifications import Kind
from runtime.worker import TELLING_THREADS, THREADS, Worker
from store.outbox import told_of
from tests.support.receivers import HttpReceiver
from tests.support.stage import Stage
from tests.support.telling import held, webhook
from tests.support.waiting import eventually


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(30)


def test_a_receiver_that_hangs_holds_up_no_refund(stage: Stage, http: HttpReceiver) -> None:
    _, _first = held(stage)
    http.gate.clear()
    # More than there are threads, should these be taken from those that work.
    endpoints = [webhook(http, f"shop-{number}") for number in range(THREADS + TELLING_THREADS)]
    with running(Worker(stage.services, endpoints)):
        eventually(lambda: len(http.tries) >= TELLING_THREADS, "receivers say nothing")
        account = stage.account()
        charge = stage.paid(account, 5000)
        stage.has(account, 5000)
        asked = monotonic_seconds()
        request = stage.wish(charge)
        eventually(lambda: stage.view(request)["status"] == "succeeded", "the refund is sent")
        assert monotonic_seconds() - asked < 5
        assert len(http.taken) == 1, "they still hang"
        http.gate.set()
        eventually(lambda: len(http.taken) == 3, "the rest is told")
    assert http.types()[0] == Kind.HELD


def test_what_a_process_writes_is_told_at_once(stage: Stage, http: HttpReceiver) -> None:
    with running(Worker(stage.services, [webhook(http)])):
        _, _request = held(stage)
        eventually(lambda: bool(http.taken), "it is told", within_seconds=10)


def test_once_tells_as_well_and_then_ends(stage: Stage, http: HttpReceiver) -> None:
    _, _request = held(stage)
    assert Worker(stage.services, [webhook(http)]).run_once() > 0
    assert http.types() == [Kind.HELD]
    assert Worker(stage.services, [webhook(http)]).run_once() == 0


def test_without_channels_the_outbox_keeps_it_for_another_worker(
    stage: Stage, http: HttpReceiver
) -> None:
    _, request = held(stage)
    Worker(stage.services).run_once()
    with stage.services.database.reading() as unit:
        assert [row.addressed_at for row in told_of(unit, request)] == [None]
    Worker(stage.services, [webhook(http)]).run_once()
    assert http.types() == [Kind.HELD]
