"""Caps hold however many workers release at once: PostgreSQL runs units side by side."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from handlers.release import run_due_lane
from refunds.ids import LaneId, RequestId
from refunds.money import Currency
from refunds.policy import PolicyBook
from store.lanes import mark_due
from tests.support.books import books_in_order
from tests.support.stage import Stage, staged

USD = Currency("usd")


@pytest.fixture
def stage(postgres_url: str) -> Iterator[Stage]:
    with staged(postgres_url) as stage, books_in_order(stage.services.database):
        yield stage


def test_two_workers_never_share_what_is_left_of_the_day(stage: Stage) -> None:
    # Both lack 10.00 of a cap of 15.00. One payment is in dollars and one in euros, so that they
    # don't wait for each other at the platform's own balance.
    dollars, euros = stage.account(), stage.account()
    charges = [stage.paid(dollars, 5000), stage.paid(euros, 5000, currency="eur")]
    stage.sandbox.control(
        "POST", "accounts/platform/balance", {"available": 100_000, "currency": "eur"}
    )
    stage.has(euros, 0)
    requests = held(stage, charges)
    # 50.00 needed of 40.00; 50.00 EUR are 62.50 USD and 1.25 of buffer, of 53.75.
    stage.has(dollars, 4000)
    stage.has(euros, 5375)
    under_a_cap(stage, 1_500, dollars, euros)
    with meeting_at("uncovered_release"):
        at_once(stage, workers=2)
    assert sorted(rules(stage, requests)) == ["covered_per_day", "small_shortfall"]


def test_many_workers_together_keep_to_the_cap(stage: Stage) -> None:
    accounts = [stage.account() for _ in range(8)]
    charges = [stage.paid(account, 5000) for account in accounts]
    requests = held(stage, charges)
    for account in accounts:
        stage.has(account, 4000)
    under_a_cap(stage, 3_999, *accounts)
    at_once(stage, workers=4)
    found = rules(stage, requests)
    assert found.count("small_shortfall") == 3  # 10.00 each, of 39.99
    assert found.count("covered_per_day") == 5


def held(stage: Stage, charges: list[str]) -> list[RequestId]:
    """Ask for refunds of these payments while their accounts have nothing."""
    requests = [stage.wish(charge) for charge in charges]
    stage.work()
    assert {stage.view(request)["status"] for request in requests} == {"held"}
    return requests


def under_a_cap(stage: Stage, cap_minor: int, *accounts: str) -> None:
    """Let the policy carry up to 10.00 a refund within this cap, and the accounts be due."""
    keys = {"small_shortfall": {USD: 1_000}, "covered_per_day": {USD: cap_minor}}
    stage.services = replace(stage.services, policies=PolicyBook(default=keys))
    with stage.services.database.unit_of_work() as unit:
        for account in sorted(accounts):
            mark_due(unit, LaneId(account), stage.now(), "sweep")


def at_once(stage: Stage, *, workers: int) -> None:
    """Let several workers run lanes until none is due."""

    def work(number: int) -> None:
        services = stage.another_worker(f"worker-{number}")
        while run_due_lane(services):
            pass

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for done in [pool.submit(work, number) for number in range(workers)]:
            done.result()


@contextmanager
def meeting_at(table: str) -> Iterator[None]:
    """Let two threads that have counted a table in their prepare wait for each other.

    Who holds a lock that the other needs waits in vain, and goes on.
    """
    barrier = threading.Barrier(2)
    locked = threading.local()

    def meet(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM purse" in statement and "FOR UPDATE" in statement:
            locked.any = True
        elif (
            statement.startswith("SELECT") and table in statement and getattr(locked, "any", False)
        ):
            locked.any = False
            try:
                barrier.wait(timeout=2)
            except threading.BrokenBarrierError:
                barrier.reset()

    event.listen(Engine, "after_cursor_execute", meet)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", meet)


def rules(stage: Stage, requests: list[RequestId]) -> list[str]:
    decisions = [stage.view(request)["decision"] for request in requests]
    return [decision["rule"] for decision in decisions if decision is not None]
