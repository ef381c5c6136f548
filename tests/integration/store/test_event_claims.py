"""A claim belongs to one worker until its lease ends, and costs the same in a full inbox."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from refunds.errors import EventNotFoundError, LeaseLostError, WrongStateError
from refunds.ids import EventId
from store.database import Database, Unit
from store.event_claims import (
    EventClaim,
    claim_due_events,
    fail_event,
    finish_event,
    postpone_event,
    requeue_event,
)
from store.inbox import KEEP, event_attempts, get_event, prune, record_deliveries
from store.tables.inbox import AttemptOutcome, InboxState
from tests.support.inbox import NOON, build_delivery

LEASE = timedelta(seconds=10)
SECOND = timedelta(seconds=1)
EVENT = EventId("evt_1")


def record(database: Database, *events: str) -> None:
    with database.unit_of_work() as unit:
        record_deliveries(unit, [build_delivery(event) for event in events])


def claim(
    database: Database, worker: str = "ann", after: timedelta = timedelta(0)
) -> list[EventClaim]:
    with database.unit_of_work() as unit:
        return claim_due_events(unit, worker=worker, now=NOON + after, limit=10, lease=LEASE)


def state_of(database: Database, event: str = EVENT) -> InboxState:
    with database.reading() as unit:
        return get_event(unit, EventId(event)).state


def test_a_claimed_event_is_nobody_elses_until_its_lease_ends(database: Database) -> None:
    record(database, "evt_1")
    assert [(one.event, one.attempts, one.fence) for one in claim(database)] == [("evt_1", 1, 1)]
    assert claim(database, "bob") == []
    assert claim(database, "bob", LEASE - SECOND) == []
    assert [(one.event, one.attempts, one.fence) for one in claim(database, "bob", LEASE)] == [
        ("evt_1", 2, 2)
    ]


def test_the_first_worker_can_do_nothing_once_another_took_over(database: Database) -> None:
    record(database, "evt_1")
    (late,) = claim(database, "ann")
    (current,) = claim(database, "bob", LEASE)
    with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
        finish_event(unit, late, now=NOON + LEASE, state=InboxState.DONE)
    with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
        fail_event(unit, late, now=NOON + LEASE, error="x", next_attempt_at=None)
    assert state_of(database) is InboxState.PENDING
    with database.unit_of_work() as unit:
        finish_event(unit, current, now=NOON + LEASE, state=InboxState.DONE)
    assert state_of(database) is InboxState.DONE
    with database.reading() as unit:
        assert [row.worker for row in event_attempts(unit, EVENT)] == ["bob"]


def test_a_finished_event_is_not_finished_twice(database: Database) -> None:
    record(database, "evt_1")
    (held,) = claim(database)
    with database.unit_of_work() as unit:
        finish_event(unit, held, now=NOON, state=InboxState.IGNORED, note="unknown type")
    with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
        finish_event(unit, held, now=NOON, state=InboxState.DONE)
    assert state_of(database) is InboxState.IGNORED


def test_a_failed_event_comes_back_when_told_and_keeps_its_story(database: Database) -> None:
    record(database, "evt_1")
    (first,) = claim(database)
    with database.unit_of_work() as unit:
        fail_event(
            unit,
            first,
            now=NOON + SECOND,
            error="StripeDown: 500",
            next_attempt_at=NOON + 5 * SECOND,
        )
    assert claim(database, after=4 * SECOND) == []
    (second,) = claim(database, after=5 * SECOND)
    with database.unit_of_work() as unit:
        fail_event(unit, second, now=NOON + 6 * SECOND, error="Bug: again", next_attempt_at=None)
    assert state_of(database) is InboxState.DEAD
    assert claim(database, after=timedelta(days=30)) == [], "a dead letter comes back by hand only"
    with database.reading() as unit:
        story = event_attempts(unit, EVENT)
        assert get_event(unit, EVENT).last_error == "Bug: again"
    assert [(row.number, row.outcome, row.note) for row in story] == [
        (1, AttemptOutcome.RETRY, "StripeDown: 500"),
        (2, AttemptOutcome.DEAD, "Bug: again"),
    ]


def test_requeuing_takes_dead_and_ignored_events_only(database: Database) -> None:
    record(database, "evt_1")
    with pytest.raises(WrongStateError, match="pending"), database.unit_of_work() as unit:
        requeue_event(unit, EVENT, now=NOON)
    (held,) = claim(database)
    with database.unit_of_work() as unit:
        fail_event(unit, held, now=NOON, error="x", next_attempt_at=None)
    with database.unit_of_work() as unit:
        requeue_event(unit, EVENT, now=NOON + SECOND)
    (again,) = claim(database, after=SECOND)
    assert (again.attempts, again.fence) == (1, 2), "attempts start anew, the fence never does"
    with database.unit_of_work() as unit:
        finish_event(unit, again, now=NOON, state=InboxState.DONE)
    with pytest.raises(WrongStateError, match="done"), database.unit_of_work() as unit:
        requeue_event(unit, EVENT, now=NOON)
    with pytest.raises(EventNotFoundError), database.unit_of_work() as unit:
        requeue_event(unit, EventId("evt_none"), now=NOON)
    with database.reading() as unit:
        assert [row.number for row in event_attempts(unit, EVENT)] == [1, 2]


def test_a_lease_must_last(database: Database) -> None:
    with pytest.raises(ValueError, match="lease"), database.unit_of_work() as unit:
        claim_due_events(unit, worker="w", now=NOON, limit=1, lease=timedelta(0))


def test_the_longest_due_come_first_and_no_more_than_asked_for(database: Database) -> None:
    with database.unit_of_work() as unit:
        deliveries = [build_delivery(f"evt_{n}", received_at=NOON - n * SECOND) for n in range(5)]
        record_deliveries(unit, deliveries)
    with database.unit_of_work() as unit:
        taken = claim_due_events(unit, worker="w", now=NOON, limit=3, lease=LEASE)
    assert [one.event for one in taken] == ["evt_4", "evt_3", "evt_2"]


WORKER = """
import sys
from datetime import datetime, timedelta
from store.database import Database
from store.event_claims import claim_due_events, finish_event
from store.tables.inbox import InboxState
database, worker, now = Database(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3])
lease = timedelta(hours=1)
while True:
    with database.unit_of_work() as unit:
        claims = claim_due_events(unit, worker=worker, now=now, limit=7, lease=lease)
    if not claims:
        break
    for claim in claims:
        with database.unit_of_work() as unit:
            finish_event(unit, claim, now=now, state=InboxState.DONE)
        sys.stdout.write(claim.event + "\\n")
"""


def test_workers_in_several_processes_share_the_events_out(
    database: Database, database_url: str
) -> None:
    events = [f"evt_{number:03}" for number in range(200)]
    record(database, *events)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, database_url, name, NOON.isoformat()],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("ann", "bob", "cleo")
    ]
    outputs = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(event for output in outputs for event in output) == events


def test_a_worker_does_not_wait_for_a_claim_that_is_not_committed_yet(postgres_url: str) -> None:
    ann, bob = Database(postgres_url), Database(postgres_url)
    record(ann, "evt_1", "evt_2")
    with ann.unit_of_work() as unit:
        first = claim_due_events(unit, worker="ann", now=NOON, limit=1, lease=LEASE)
        # Waiting for the row would end in the lock timeout.
        second = claim(bob, "bob")
    assert [one.event for one in (*first, *second)] == ["evt_1", "evt_2"]
    ann.dispose()
    bob.dispose()


PLANS = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}
FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
        INSERT INTO inbox_event {columns} SELECT {values} FROM n""",
    "postgresql": """
        INSERT INTO inbox_event {columns} SELECT {values} FROM generate_series(1, :rows) AS n(i)""",
}
COLUMNS = (
    "(id, type, livemode, created, received_at, body, door, deliveries, state, attempts, "
    "next_attempt_at, fence, finished_at)"
)
VALUES = (
    "'evt_' || :state || i, 't', false, {at}, {at}, {body}, 'webhook', 1, "
    "CAST(:state AS VARCHAR(40)), 0, {at}, 0, "
    "CASE WHEN CAST(:state AS VARCHAR(40)) = 'pending' THEN NULL ELSE {at} END"
)
AT = {
    "sqlite": "datetime('2026-11-01', '+' || i || ' seconds') || '.000000'",
    "postgresql": "timestamptz '2026-11-01' + i * interval '1 second'",
}
BODY = {"sqlite": "x'7b7d'", "postgresql": "'\\x7b7d'::bytea"}


def fill(unit: Unit, state: str, rows: int) -> None:
    dialect = unit.connection().dialect.name
    values = VALUES.format(at=AT[dialect], body=BODY[dialect])
    statement = FILL[dialect].format(columns=COLUMNS, values=values)
    unit.connection().execute(text(statement.replace("\\:", ":")), {"state": state, "rows": rows})


def plan_of(database: Database, work: Callable[[Unit], object]) -> str:
    """How the database would run what `work` really sends, with the parameters it sends."""
    sent: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, statement: str, params: Any, _x: object, _m: object) -> None:
        sent.append((statement, params))

    with database.unit_of_work() as unit:
        connection = unit.connection()
        event.listen(connection, "before_cursor_execute", note)
        work(unit)
        event.remove(connection, "before_cursor_execute", note)
        plans = [
            connection.exec_driver_sql(PLANS[database.dialect] + statement, params)
            for statement, params in sent
        ]
        return "\n".join(str(tuple(row)) for plan in plans for row in plan)


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param([("pending", 3_000), ("done", 30_000)], id="no statistics"),
        pytest.param(["analyze", ("pending", 3_000), ("done", 30_000)], id="statistics of nothing"),
        pytest.param(
            [("pending", 3_000), "analyze", ("done", 30_000)], id="statistics: all pending"
        ),
        pytest.param([("done", 30_000), "analyze", ("pending", 3_000)], id="statistics: all done"),
        pytest.param([("pending", 3_000), ("done", 30_000), "analyze"], id="statistics up to date"),
    ],
)
def test_a_claim_is_served_by_the_index_of_due_work_whatever_the_statistics_say(
    database: Database, stages: Sequence[str | tuple[str, int]]
) -> None:
    for stage in stages:
        with database.unit_of_work() as unit:
            if isinstance(stage, str):
                unit.connection().execute(text(stage))
            else:
                fill(unit, *stage)
    plan = plan_of(
        database,
        lambda unit: claim_due_events(unit, worker="w", now=NOON, limit=20, lease=LEASE),
    )
    assert "ix_inbox_event_due" in plan
    assert "SCAN inbox_event" not in plan
    assert "Seq Scan on inbox_event" not in plan


def test_pruning_walks_the_index_of_finished_events(database: Database) -> None:
    for state, rows in (("done", 20_000), ("pending", 20_000)):
        with database.unit_of_work() as unit:
            fill(unit, state, rows)
    with database.unit_of_work() as unit:
        unit.connection().execute(text("ANALYZE"))
    plan = plan_of(database, lambda unit: prune(unit, NOON + KEEP))
    assert "ix_inbox_event_finished" in plan
    assert "SCAN" not in plan


def test_a_claim_given_back_is_due_when_said_and_counts_for_nothing(database: Database) -> None:
    record(database, "evt_1")
    for _ in range(3):
        (held,) = claim(database)
        assert held.attempts == 1
        with database.unit_of_work() as unit:
            postpone_event(unit, held, until=NOON, note="Stripe can't be asked.")
    (held,) = claim(database)
    with database.unit_of_work() as unit:
        postpone_event(unit, held, until=NOON + 60 * SECOND, note=None)
    assert claim(database, after=59 * SECOND) == []
    assert [one.attempts for one in claim(database, after=60 * SECOND)] == [1]
    with database.reading() as unit:
        assert event_attempts(unit, EVENT) == []


def test_a_claim_lost_to_another_worker_cannot_be_given_back(database: Database) -> None:
    record(database, "evt_1")
    (late,) = claim(database, "ann")
    (current,) = claim(database, "bob", LEASE)
    with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
        postpone_event(unit, late, until=NOON, note=None)
    with database.unit_of_work() as unit:
        finish_event(unit, current, now=NOON + LEASE, state=InboxState.DONE)
