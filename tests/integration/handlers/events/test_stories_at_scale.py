"""Stories of very many requests: a key that is revoked, and one balance that everybody draws on."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlmodel import select

from handlers.circuit import closed_until
from handlers.operate import Action, act
from handlers.release import run_due_lane
from handlers.services import Services
from handlers.sweep import sweep
from refunds.decision import Rule
from refunds.ids import AccountId, RequestId
from refunds.lifecycle import Status
from store.database import Database
from store.tables.attempts import ReleaseAttempt
from store.tables.requests import RefundRequest
from tests.support.event_stage import EventStage
from tests.support.multiplied import multiply

HELD: Final = 1_000
ACCOUNTS: Final = {"sqlite": 500, "postgresql": 100}
"""Five hundred take a minute: once is enough for the number, and both are there for the locks."""
PRICE: Final = 1_000


@pytest.fixture
def crowded(database_url: str) -> Iterator[EventStage]:
    """A stage whose books nobody judges: most of its requests are copies without a ledger."""
    database = Database(database_url)
    yield EventStage(database)
    database.dispose()


def picture(stage: EventStage) -> list[Any]:
    """Every request as it stands: status, latest decision, and what lies in which bucket."""
    question = text(
        "SELECT r.id, r.status, r.evaluation_id, b.bucket, b.amount_minor FROM refund_request r "
        "JOIN request_bucket b ON b.request_id = r.id ORDER BY r.id, b.bucket"
    )
    with stage.database.reading() as unit:
        return [tuple(row) for row in unit.connection().execute(question)]


def sweep_and_run(stage: EventStage) -> int:
    """A round of the sweep and all the runs it causes; return how many runs."""
    sweep(stage.services, lambda: None)
    runs = 0
    while run_due_lane(stage.services):
        runs += 1
        assert runs < 10_000
    return runs


@pytest.mark.timeout(240)
def test_the_revoked_key_with_a_thousand_held_requests(
    crowded: EventStage, database_url: str
) -> None:
    stage = crowded
    accounts = [stage.account() for _ in range(10)]
    requests = [stage.hold(stage.pay(account), 1_000) for account in accounts]
    sweep_and_run(stage)
    for number, request in enumerate(requests):
        first = number * HELD // len(requests)
        multiply(database_url, request, first=first, count=HELD // 10 - 1, lanes=None)
    before = picture(stage)
    assert len({row[0] for row in before}) == HELD
    for account in accounts:
        stage.has(account, 1_000)

    stage.fault("revoked_key", "*", times=None)
    calls = stage.reads()
    opened = []
    for _ in range(5):
        sweep_and_run(stage)
        opened.append(closed_until(stage.services, None))
        stage.later(1)
    assert picture(stage) == before, "no request changes state because a key was revoked"
    assert all(opened)
    assert stage.reads() - calls < 20, "the circuit is open: Stripe is left in peace"
    assert stage.sandbox.control("GET", "calls")["calls"] == []

    # A new key.
    stage.sandbox.control("DELETE", "faults", {})
    stage.later(3_600)
    sweep_and_run(stage)
    stage.later(3_600)
    sweep_and_run(stage)
    assert closed_until(stage.services, None) is None
    # Each account has enough for one of its hundred. Copies have no payment to refund, and go to
    # review; what counts is that every lane goes on.
    moved = [row for row in picture(stage) if row not in before]
    assert len({row[0] for row in moved}) >= len(accounts)


def run_by_four(stage: EventStage, *, lanes: int) -> None:
    """Four workers at once run whatever lane is due, each at most so many."""

    def run(services: Services) -> None:
        for _ in range(lanes):
            if not run_due_lane(services):
                return

    threads = [
        threading.Thread(target=run, args=(replace(stage.services, worker=f"worker-{n}"),))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)


def counted(stage: EventStage, status: Status) -> int:
    with stage.database.reading() as unit:
        rows = unit.exec(select(RefundRequest.status)).all()
    return sum(each is status for each in rows)


@pytest.mark.timeout(400)
def test_five_hundred_accounts_one_platform_balance(stage: EventStage) -> None:
    # No account has anything, and a person released every refund: the platform alone pays, and it
    # has 100.05 for five hundred times 10.00. Four workers take from it at once.
    accounts = ACCOUNTS[stage.database.dialect]
    requests: list[tuple[AccountId, RequestId]] = []
    for _ in range(accounts):
        account = stage.account()
        requests.append((account, stage.hold(stage.pay(account, PRICE), PRICE)))
    stage.has("platform", 10 * PRICE + 5)
    for _, request in requests:
        act(stage.services, Action.RELEASE, request, note="all are good customers", actor="ann")
    run_by_four(stage, lanes=accounts)
    assert counted(stage, Status.SUCCEEDED) == 10
    waiting = [request for _, request in requests if stage.status(request) is Status.HELD]
    assert len(waiting) == accounts - 10
    assert {stage.rule(request) for request in waiting} == {Rule.PLATFORM_SHORT}
    assert stage.sandbox.control("GET", "calls")["refused"] == []
    refunds = stage.sandbox.control("GET", "state")["objects"]["refund"]
    assert {refund["status"] for refund in refunds} == {"succeeded"}, "Stripe has to queue none"

    # Money for seven more: one event wakes everybody who waits for it.
    stage.order("accounts/platform/earn", amount=7 * PRICE)
    stage.take_in()
    run_by_four(stage, lanes=10)
    assert counted(stage, Status.SUCCEEDED) == 17
    with stage.database.reading() as unit:
        assert len(unit.exec(select(ReleaseAttempt.id)).all()) == 17
