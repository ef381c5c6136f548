"""Units of work commit whole or not at all, and both databases keep the same promises."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import exc, text

from refunds.ids import EventId
from store.database import Database, DatabaseUnavailableError, DatabaseUrlError, Unit
from store.inbox import Delivery, get_event, list_events, record_delivery
from store.tables.inbox import InboxDoor, InboxEvent, InboxState
from tests.support.inbox import NOON, build_delivery


class WorkFailedError(Exception):
    """Stands for any error in the middle of a unit of work."""


def fail_after(work: Callable[[], object]) -> NoReturn:
    work()
    raise WorkFailedError


def stored(database: Database) -> list[str]:
    with database.reading() as unit:
        return [event.event for event in list_events(unit)]


def test_leaving_the_block_commits(database: Database) -> None:
    with database.unit_of_work() as unit:
        record_delivery(unit, build_delivery())
    assert stored(database) == ["evt_1"]


def test_an_error_rolls_everything_back(database: Database) -> None:
    with pytest.raises(WorkFailedError), database.unit_of_work() as unit:
        fail_after(lambda: record_delivery(unit, build_delivery()))
    assert stored(database) == []


def test_a_failed_unit_leaves_the_database_usable(database: Database) -> None:
    with pytest.raises(WorkFailedError), database.unit_of_work():
        raise WorkFailedError
    with database.unit_of_work() as unit:
        assert record_delivery(unit, build_delivery())


def test_nobody_commits_by_hand(database: Database) -> None:
    with (
        pytest.raises(RuntimeError, match=r"only Database\.unit_of_work"),
        database.unit_of_work() as unit,
    ):
        unit.commit()


def test_units_of_work_do_not_nest(database: Database) -> None:
    with (
        pytest.raises(RuntimeError, match="don't nest"),
        database.unit_of_work(),
        database.unit_of_work(),
    ):
        pass


def test_a_reading_unit_changes_nothing(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError), database.reading() as unit:
        record_delivery(unit, build_delivery())
    assert stored(database) == []
    with database.unit_of_work() as unit:
        assert record_delivery(unit, build_delivery()), "the connection writes again"


def test_a_reading_unit_sees_one_state(database: Database) -> None:
    with database.reading() as reader:
        assert list_events(reader) == []
        with database.unit_of_work() as unit:
            record_delivery(unit, build_delivery())
        assert list_events(reader) == []
    assert stored(database) == ["evt_1"]


def test_callbacks_run_after_the_commit_and_never_after_a_rollback(database: Database) -> None:
    seen: list[list[str]] = []
    with database.unit_of_work() as unit:
        record_delivery(unit, build_delivery())
        unit.after_commit(lambda: seen.append(stored(database)))
        assert seen == []
    assert seen == [["evt_1"]]
    with pytest.raises(WorkFailedError), database.unit_of_work() as unit:
        fail_after(lambda: unit.after_commit(lambda: seen.append(["never"])))
    assert seen == [["evt_1"]]


def test_a_raising_callback_does_not_make_committed_work_look_failed(database: Database) -> None:
    seen: list[str] = []

    def explode() -> None:
        raise WorkFailedError

    with database.unit_of_work() as unit:
        record_delivery(unit, build_delivery())
        unit.after_commit(explode)
        unit.after_commit(lambda: seen.append("next"))
    assert stored(database) == ["evt_1"]
    assert seen == ["next"]


def build_row(**changes: Any) -> InboxEvent:
    fields: dict[str, Any] = {
        "id": "evt_row",
        "type": "balance.available",
        "livemode": False,
        "created": NOON,
        "received_at": NOON,
        "body": b"{}",
        "door": InboxDoor.WEBHOOK,
        "next_attempt_at": NOON,
    }
    return InboxEvent(**(fields | changes))


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    east = datetime(
        2026, 11, 23, 17, 45, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45))
    )
    with database.unit_of_work() as unit:
        unit.add(build_row(created=east))
    with database.reading() as unit:
        created = get_event(unit, EventId("evt_row")).created
    assert created.isoformat() == "2026-11-23T12:00:00.123456+00:00"


def test_naive_times_are_refused(database: Database) -> None:
    with pytest.raises(exc.StatementError, match="timezone"), database.unit_of_work() as unit:
        unit.add(build_row(created=NOON.replace(tzinfo=None)))


def test_enums_are_stored_by_value_and_other_words_refused(database: Database) -> None:
    with database.unit_of_work() as unit:
        unit.add(build_row(door=InboxDoor.CATCH_UP))
    with database.reading() as unit:
        assert (
            unit.connection().execute(text("SELECT door FROM inbox_event")).scalar() == "catch_up"
        )
    with (
        pytest.raises(exc.IntegrityError, match="ck_inbox_event_door"),
        database.unit_of_work() as unit,
    ):
        unit.connection().execute(text("UPDATE inbox_event SET door = 'CATCH_UP'"))


@pytest.mark.parametrize(
    "changes",
    [
        {"deliveries": 0},
        {"attempts": -1},
        {"state": InboxState.DONE},
        {"finished_at": NOON},
    ],
)
def test_rows_that_contradict_themselves_are_refused(
    database: Database, changes: dict[str, object]
) -> None:
    with pytest.raises(exc.IntegrityError, match="ck_inbox_event"), database.unit_of_work() as unit:
        unit.add(build_row(**changes))


def test_references_must_exist(database: Database) -> None:
    with pytest.raises(exc.IntegrityError), database.unit_of_work() as unit:
        unit.connection().execute(
            text(
                "INSERT INTO event_delivery (event_id, received_at) "
                "VALUES ('evt_none', '2026-01-01')"
            )
        )


def test_the_body_is_in_no_repr(database: Database) -> None:
    delivery = build_delivery(body=b"card-number")
    with database.unit_of_work() as unit:
        record_delivery(unit, delivery)
        row = get_event(unit, EventId("evt_1"))
    assert row.body == b"card-number"
    assert "card-number" not in repr(row) + str(row) + repr(delivery)


@pytest.mark.parametrize(
    "url, says",
    [
        ("mysql://root:hunter2@db/sluice", "names mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("not a url: hunter2", "not a database URL"),
        ("postgresql://u:hunter2@host:port/db", "not a database URL"),
    ],
)
def test_an_unusable_url_is_refused_without_repeating_it(url: str, says: str) -> None:
    with pytest.raises(DatabaseUrlError, match=says) as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:hunter2@127.0.0.1:1/sluice",
        "postgresql://127.0.0.1:1/sluice?user=user&password=hunter2",
        "postgresql+psycopg2://user:hunter2@127.0.0.1:1/sluice",
    ],
)
def test_a_password_is_shown_nowhere(url: str) -> None:
    database = Database(url)
    with pytest.raises(DatabaseUnavailableError) as caught, database.reading() as unit:
        list_events(unit)
    assert "hunter2" not in str(caught.value) + repr(database)
    assert "127.0.0.1" in repr(database)


def test_a_database_that_was_never_migrated_is_unavailable(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(DatabaseUnavailableError), database.reading() as unit:
        list_events(unit)
    database.dispose()


def pragma(unit: Unit, name: str) -> object:
    return unit.connection().execute(text(f"PRAGMA {name}")).scalar()


def test_sqlite_is_durable_and_strict_on_every_connection(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.unit_of_work() as first, database.reading() as second:
        for unit in (first, second):
            assert pragma(unit, "journal_mode") == "wal"
            assert pragma(unit, "synchronous") == 2, "FULL"
            assert pragma(unit, "foreign_keys") == 1
            assert pragma(unit, "recursive_triggers") == 1
    database.dispose()


def test_postgres_sessions_run_in_utc_with_limits(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.unit_of_work() as unit:
        settings = {
            name: unit.connection().execute(text(f"SHOW {name}")).scalar()
            for name in ("timezone", "lock_timeout", "statement_timeout", "transaction_isolation")
        }
    database.dispose()
    assert settings == {
        "timezone": "UTC",
        "lock_timeout": "5s",
        "statement_timeout": "30s",
        "transaction_isolation": "read committed",
    }


COUNT_UP = """
import sys
from sqlalchemy import text
from store.database import Database
database = Database(sys.argv[1])
for _ in range(100):
    with database.unit_of_work() as unit:
        read = unit.connection().execute(
            text("SELECT deliveries FROM inbox_event WHERE id = 'evt_1' " + sys.argv[2])
        ).scalar()
        unit.connection().execute(
            text("UPDATE inbox_event SET deliveries = :next WHERE id = 'evt_1'"), {"next": read + 1}
        )
"""


def test_processes_that_read_and_then_write_lose_nothing(
    database: Database, database_url: str
) -> None:
    with database.unit_of_work() as unit:
        record_delivery(unit, build_delivery())
    lock = "FOR UPDATE" if database.dialect == "postgresql" else ""
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNT_UP, database_url, lock]) for _ in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    with database.reading() as unit:
        assert get_event(unit, EventId("evt_1")).deliveries == 301  # 1 + 3 * 100


def record_on_full_disk(unit: Unit, delivery: Delivery, pages: object) -> None:
    assert pragma(unit, f"max_page_count={pages}") == pages
    record_delivery(unit, delivery)


def test_a_full_disk_keeps_nothing_and_passes(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.unit_of_work() as unit:
        pages = pragma(unit, "page_count")
    big = build_delivery("evt_big", body=b"x" * 1_000_000)
    with pytest.raises(DatabaseUnavailableError, match="full"), database.unit_of_work() as unit:
        record_on_full_disk(unit, big, pages)
    assert stored(database) == []
    with database.unit_of_work() as unit:
        pragma(unit, "max_page_count=1000000")
        assert record_delivery(unit, big)
    database.dispose()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/missing/sluice.db")
    with pytest.raises(DatabaseUnavailableError, match="missing"), database.unit_of_work() as unit:
        list_events(unit)
