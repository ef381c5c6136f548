"""Everybody locks in one order, requests by id and lanes last, or two workers wait for each other.

What a unit locks is read off the statements it sends; PostgreSQL is where rows are locked.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from handlers.inbox import process_due_events
from handlers.operate import Action, act
from handlers.release import run_due_lane
from refunds.ids import LaneId, RefundId
from refunds.policy import PayoutGuard, PolicyBook
from store.database import Database
from store.lanes import mark_due
from store.requests import lock_request
from tests.support.event_stage import EventStage
from tests.support.stage import Stage, staged

_LOCKS = re.compile(r"FROM (\w+).*FOR UPDATE", re.DOTALL)
_MARKS = re.compile(r"UPDATE lane SET release_due_at")


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Every statement any engine sends, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def stage(postgres_url: str) -> Iterator[Stage]:
    with staged(postgres_url) as stage:
        yield stage


def test_verdicts_are_stored_by_id_though_urgent_ones_are_judged_first(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, 5000) for _ in range(3)]
    stage.has(account, 0)
    requests = [stage.wish(charge) for charge in charges]
    stage.work()
    with stage.services.database.unit_of_work() as unit:
        lock_request(unit, requests[2]).urgent = True
        mark_due(unit, LaneId(account), stage.now(), "sweep")
    stage.has(account, 1000)
    with statements() as seen:
        assert run_due_lane(stage.services)
    locked = [
        str(next(iter(parameters.values())))
        for statement, parameters in seen
        if (found := _LOCKS.search(statement)) and found.group(1) == "refund_request"
    ]
    assert locked == sorted(requests)


def test_those_passed_over_are_locked_by_id_before_they_are_counted(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, amount) for amount in (5000, 5000, 1000)]
    stage.has(account, 0)
    for charge in charges:
        stage.wish(charge)
    stage.work()
    stage.has(account, 1000)
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "sweep")
    with statements() as seen:
        assert run_due_lane(stage.services)
    counting = next(
        n for n, (s, _) in enumerate(seen) if s.startswith("UPDATE") and "skipped_runs +" in s
    )
    assert "ORDER BY refund_request.id FOR UPDATE" in seen[counting - 1][0]


def test_an_event_marks_lanes_after_the_last_of_its_refunds(postgres_url: str) -> None:
    database = Database(postgres_url)
    try:
        stage = EventStage(database)
        account = stage.account()
        charge = stage.pay(account, refund_fate="pending")
        refunds: list[RefundId] = []
        for amount in (4_000, 3_000):
            refunds.append(stage.send(stage.hold(charge, amount)))
            stage.take_in()
        stage.hold(stage.pay(account), 1_000)
        for refund in refunds:
            stage.order(f"refunds/{refund}/succeed")
        stage.put("charge.refund.updated", {"id": charge, "object": "charge"})
        with statements() as seen:
            assert process_due_events(stage.services) == 1
        assert stage.due(account) is not None
    finally:
        database.dispose()
    marks = [n for n, (s, _) in enumerate(seen) if _MARKS.match(s)]
    moves = [n for n, (s, _) in enumerate(seen) if "INSERT INTO ledger" in s]
    assert len(moves) >= 2
    assert marks
    assert min(marks) > max(moves)


def test_guards_are_marked_last_of_all(stage: Stage) -> None:
    book = PolicyBook(default={"payout_guard": PayoutGuard.ON})
    stage.services = replace(stage.services, policies=book)
    account = stage.account(payouts="daily")
    with statements() as taken:
        request = stage.wish(stage.paid(account, 5000))
    with statements() as ended:
        act(stage.services, Action.CANCEL, request, note="never mind", actor="ann")
    for seen in (taken, ended):
        said = [s for s, _ in seen if not s.lstrip().startswith("SELECT") or "FOR UPDATE" in s]
        guards = [n for n, s in enumerate(said) if re.search(r"(UPDATE|INTO) payout_guard\b", s)]
        others = [n for n, s in enumerate(said) if _MARKS.match(s) or _LOCKS.search(s)]
        assert guards
        assert others
        assert min(guards) > max(others)
