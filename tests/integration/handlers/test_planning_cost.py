"""A run costs what its own account holds, however much others hold: by plan and by statement."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine

from handlers.release import run_due_lane
from refunds.ids import LaneId
from store.database import Database, parse_url
from store.lanes import mark_due
from tests.support.event_stage import EventStage
from tests.support.multiplied import multiply

OTHERS: Final = 20_000
GROWING: Final = ("charge", "refund_request", "request_bucket", "evaluation")
"""Tables that have a row or more for each request."""
EXPLAIN: Final = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}
WHOLE_TABLE: Final = re.compile(
    rf"^SCAN (?:{'|'.join(GROWING)})\b|Seq Scan on (?:{'|'.join(GROWING)})\b", re.MULTILINE
)

Asked = list[tuple[str, Any]]


@contextmanager
def asked() -> Iterator[Asked]:
    """Collect every statement that is sent to a database in the block."""
    seen: Asked = []

    def note(_c: Connection, _k: object, statement: str, parameters: Any, *_more: object) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def stage(database_url: str) -> Iterator[EventStage]:
    database = Database(database_url)
    yield EventStage(database)
    database.dispose()


def plan(stage: EventStage, lane: LaneId) -> Asked:
    with stage.database.unit_of_work() as unit:
        mark_due(unit, lane, stage.now(), "sweep")
    with asked() as statements:
        assert run_due_lane(stage.services)
    stage.later(1)
    return statements


def plans(url: str, statements: Asked) -> list[str]:
    """How the database would answer each question."""
    engine = create_engine(parse_url(url))
    explained = []
    with engine.connect() as connection:
        word = EXPLAIN[connection.dialect.name]
        for statement, parameters in statements:
            if statement.lstrip().startswith(("SELECT", "UPDATE")):
                rows = connection.exec_driver_sql(word + statement, parameters).all()
                explained.append("\n".join(str(row[-1]) for row in rows) + f"\n-- {statement}")
    engine.dispose()
    return explained


def test_twenty_thousand_others_change_no_plan_and_no_number(
    stage: EventStage, database_url: str
) -> None:
    account = stage.account()
    lane = LaneId(account)
    request = stage.hold(stage.pay(account), 5_000)
    stage.run()
    multiply(database_url, request, first=0, count=9, lanes=None)
    multiply(database_url, request, first=10, count=10, lanes=5)
    plan(stage, lane)
    few = plan(stage, lane)
    multiply(database_url, request, first=100, count=OTHERS, lanes=500)
    many = plan(stage, lane)
    assert [statement for statement, _ in many] == [statement for statement, _ in few]
    wasteful = [each for each in plans(database_url, many) if WHOLE_TABLE.search(each)]
    assert wasteful == []
    assert len(many) < 100


def test_a_plan_that_reads_all_of_a_table_would_be_seen(
    stage: EventStage, database_url: str
) -> None:
    request = stage.hold(stage.pay(stage.account()), 5_000)
    multiply(database_url, request, first=0, count=OTHERS, lanes=500)
    question = "SELECT count(*) FROM request_bucket WHERE amount_minor = 7"
    (explained,) = plans(database_url, [(question, ())])
    assert WHOLE_TABLE.search(explained)
