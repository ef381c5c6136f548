"""Claims of lanes beside units of work that mark them due at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from refunds.errors import LeaseLostError
from refunds.ids import AccountId, LaneId, lane_of
from store.database import Database, Unit
from store.lanes import (
    LANE_LEASE,
    LaneClaim,
    claim_due_lane,
    finish_lane,
    mark_due,
    postpone_lane,
    renew_lane,
)

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUSY, OTHER = lane_of(AccountId("acct_busy")), lane_of(AccountId("acct_other"))


def mark(database: Database, lane: LaneId) -> None:
    with database.unit_of_work() as unit:
        mark_due(unit, lane, NOW, "event")


def claim(database: Database, worker: str) -> LaneClaim | None:
    with database.unit_of_work() as unit:
        return claim_due_lane(unit, worker, NOW)


def test_a_lane_that_is_marked_without_pause_gets_its_run_all_the_same(
    database: Database,
) -> None:
    mark(database, BUSY)
    marked, go_on = threading.Event(), threading.Event()

    def keep_marking() -> None:
        with database.unit_of_work() as unit:
            mark_due(unit, BUSY, NOW, "event")
            marked.set()
            go_on.wait(timeout=1)

    with ThreadPoolExecutor(2) as pool:
        marking = pool.submit(keep_marking)
        assert marked.wait(timeout=20)
        claimed = pool.submit(claim, database, "worker").result(timeout=20)
        marking.result(timeout=20)
    assert claimed is not None
    assert (claimed.lane, claimed.due_count) == (BUSY, 2)
    assert claim(database, "another") is None, "one run at a time"


def test_of_two_due_lanes_the_free_one_is_taken_without_waiting(postgres_url: str) -> None:
    # On SQLite one unit writes at a time: there is nobody to pass by.
    database = Database(postgres_url)
    mark(database, BUSY)
    mark(database, OTHER)
    with database.unit_of_work() as unit:
        mark_due(unit, BUSY, NOW, "event")
        with ThreadPoolExecutor(1) as pool:
            claimed = pool.submit(claim, database, "worker").result(timeout=3)
    assert claimed is not None
    assert claimed.lane == OTHER
    database.dispose()


ENDINGS: Final[dict[str, Callable[[Unit, LaneClaim], None]]] = {
    "goes on": lambda unit, claimed: renew_lane(unit, claimed, NOW + LANE_LEASE),
    "ends": finish_lane,
    "gives up": lambda unit, claimed: postpone_lane(unit, claimed, NOW, failed=True),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_worker_that_woke_up_too_late_can_do_nothing_to_the_run_of_another(
    database: Database, ending: str
) -> None:
    mark(database, BUSY)
    late = claim(database, "late")
    assert late is not None
    after_the_lease = NOW + LANE_LEASE + timedelta(seconds=1)
    with database.unit_of_work() as unit:
        present = claim_due_lane(unit, "present", after_the_lease)
    assert present is not None
    with pytest.raises(LeaseLostError), database.unit_of_work() as unit:
        ENDINGS[ending](unit, late)
    with database.unit_of_work() as unit:
        renew_lane(unit, present, after_the_lease)
