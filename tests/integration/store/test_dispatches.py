"""Dispatches: claims are served by their index, one worker has each, and the old give way."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from refunds.errors import LeaseLostError
from refunds.notifications import Kind
from store.database import Database
from store.dispatches import (
    address,
    claim_dispatches,
    end_dispatch,
    postpone_dispatch,
    something_to_tell,
    take_unaddressed,
)
from store.outbox import tell
from store.receivers import disable, enable, note_well, pause
from store.tables.outbox import DispatchState
from store.told import dispatch_counts
from tests.support.facts import NOON

LEASE = timedelta(seconds=10)


def told(database: Database, count: int, *receivers: str) -> None:
    """So many notifications, addressed to these receivers."""
    with database.unit_of_work() as unit:
        for number in range(count):
            subject = f"evt_{number}"
            tell(unit, Kind.MONEY_UNEXPECTED, at=NOON, subject=subject, why="A story.", data={})
    with database.unit_of_work() as unit:
        for row in take_unaddressed(unit, count):
            address(unit, row, [(receiver, "") for receiver in receivers], NOON)


@pytest.mark.parametrize("pending", [0, 5, 300])
def test_a_claim_is_served_by_the_index_of_due_work_whatever_the_statistics_say(
    sqlite_url: str, pending: int
) -> None:
    database = Database(sqlite_url)
    told(database, 300, "log")
    with database.unit_of_work() as unit:
        done = text(
            "UPDATE outbox_dispatch SET state = 'done', finished_at = since WHERE id > :pending"
        )
        unit.connection().execute(done, {"pending": pending})
        unit.connection().execute(text("ANALYZE"))
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "outbox_dispatch" in statement:
            rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(str(row[3]) for row in rows if "outbox_dispatch" in row[3])

    event.listen(database._engine, "before_cursor_execute", explain)
    with database.reading() as unit:
        assert something_to_tell(unit, ("log",), NOON) == bool(pending)
    with database.unit_of_work() as unit:
        claims = claim_dispatches(unit, "log", "w", NOON, lease=LEASE, limit=10)
        assert len(claims) == min(pending, 10)
    database.dispose()
    assert len(plans) >= 2
    assert all("ix_outbox_dispatch_due" in plan for plan in plans[:2]), plans


def test_a_claim_is_one_workers_until_its_lease_ends(database: Database) -> None:
    told(database, 2, "log")

    def claims(seconds: int) -> list[Any]:
        now = NOON + timedelta(seconds=seconds)
        with database.unit_of_work() as unit:
            return claim_dispatches(unit, "log", "w", now, lease=LEASE, limit=5)

    first = claims(0)
    assert [claim.attempts for claim in first] == [1, 1]
    assert claims(9) == []
    second = claims(10)
    assert [claim.attempts for claim in second] == [2, 2]
    for late in (first[0], first[1]):
        with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
            end_dispatch(unit, late, DispatchState.DONE, NOON, "late")
        with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
            postpone_dispatch(unit, late, NOON, "late")
    with database.unit_of_work() as unit:
        end_dispatch(unit, second[0], DispatchState.DONE, NOON, "in time")
    with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
        end_dispatch(unit, second[0], DispatchState.DONE, NOON, "twice")
    with database.reading() as unit:
        assert dispatch_counts(unit)[DispatchState.PENDING] == 1


def test_a_receiver_that_rests_or_is_disabled_keeps_its_own_and_no_other(
    database: Database,
) -> None:
    told(database, 1, "webhook:a", "webhook:b")
    later = NOON + timedelta(seconds=5)

    def due(receiver: str, seconds: int = 0) -> bool:
        now = NOON + timedelta(seconds=seconds)
        with database.unit_of_work() as unit:
            claims = claim_dispatches(unit, receiver, "w", now, lease=LEASE, limit=1)
            unit.flush()
            found = something_to_tell(unit, (receiver,), now)
            for claim in claims:
                postpone_dispatch(unit, claim, NOON, "for the next look")
        assert found is False
        return bool(claims)

    with database.unit_of_work() as unit:
        pause(unit, "webhook:a", later, "no answer")
    assert (due("webhook:a"), due("webhook:b"), due("webhook:a", 5)) == (False, True, True)
    with database.unit_of_work() as unit:
        note_well(unit, "webhook:a")
    assert due("webhook:a")
    with database.unit_of_work() as unit:
        disable(unit, "webhook:a", NOON, "gone")
    assert (due("webhook:a", 86_400), due("webhook:b")) == (False, True)
    with database.unit_of_work() as unit:
        assert enable(unit, "webhook:a")
        assert not enable(unit, "webhook:a")
        assert not enable(unit, "webhook:nobody")
    assert due("webhook:a")


def test_addressing_again_addresses_nobody_twice(database: Database) -> None:
    told(database, 1, "log")
    with database.unit_of_work() as unit:
        assert take_unaddressed(unit, 10) == []
        unit.connection().execute(text("UPDATE outbox_notification SET addressed_at = NULL"))
    with database.unit_of_work() as unit:
        [row] = take_unaddressed(unit, 10)
        address(unit, row, [("log", ""), ("email", "finance:a@b.example")], NOON)
    with database.reading() as unit:
        assert dispatch_counts(unit)[DispatchState.PENDING] == 2
