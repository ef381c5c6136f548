"""The inbox keeps each event once, counts its deliveries, pages, counts and forgets in time."""

import threading
from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from refunds.errors import EventNotFoundError
from refunds.ids import AccountId, EventId, LaneId
from store.database import Database, DatabaseUnavailableError
from store.event_claims import claim_due_events, fail_event, finish_event
from store.group_commit import InboxRecorder
from store.inbox import (
    KEEP,
    Delivery,
    caught_up_to,
    counts,
    event_attempts,
    event_before,
    event_deliveries,
    get_event,
    list_events,
    note_caught_up,
    prune,
    record_deliveries,
    record_delivery,
)
from store.tables.inbox import InboxState
from tests.support.inbox import NOON, build_delivery

HOUR = timedelta(hours=1)
EXAMPLES = count()


def record(database: Database, *deliveries: Delivery) -> list[bool]:
    with database.unit_of_work() as unit:
        return record_deliveries(unit, deliveries)


def end_all(database: Database, state: InboxState) -> None:
    with database.unit_of_work() as unit:
        for claim in claim_due_events(unit, worker="w", now=NOON, limit=100, lease=HOUR):
            if state is InboxState.DONE:
                finish_event(unit, claim, now=NOON, state=InboxState.DONE)
            else:
                fail_event(unit, claim, now=NOON, error="BadError: no", next_attempt_at=None)


def test_the_first_delivery_is_new_and_the_others_are_counted(database: Database) -> None:
    later = NOON + HOUR
    assert record(database, build_delivery(body=b"first")) == [True]
    assert record(database, build_delivery(body=b"second", received_at=later, secret_index=1)) == [
        False
    ]
    with database.reading() as unit:
        event = get_event(unit, EventId("evt_1"))
        further = event_deliveries(unit, EventId("evt_1"))
    assert (event.deliveries, event.body, event.secret_index) == (2, b"first", 0)
    assert [(row.received_at, row.secret_index) for row in further] == [(later, 1)]


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(batches=st.lists(st.lists(st.sampled_from("abcde"), max_size=6), max_size=5))
def test_however_deliveries_are_batched_each_event_is_new_once(
    database: Database, batches: list[list[str]]
) -> None:
    example = next(EXAMPLES)  # the database is the same for all examples
    names = [[f"evt_{name}_{example}" for name in batch] for batch in batches]
    new: Counter[str] = Counter()
    for batch in names:
        verdicts = record(database, *map(build_delivery, batch))
        new.update(name for name, first in zip(batch, verdicts, strict=True) if first)
    delivered = Counter(name for batch in names for name in batch)
    assert new == dict.fromkeys(delivered, 1)
    with database.reading() as unit:
        for name, times in delivered.items():
            assert get_event(unit, EventId(name)).deliveries == times
            assert len(event_deliveries(unit, EventId(name))) == times - 1


def test_threads_that_share_a_commit_each_get_their_own_verdict(database: Database) -> None:
    recorder = InboxRecorder(database)
    barrier = threading.Barrier(16)
    verdicts: list[tuple[str, bool]] = []

    def deliver(number: int) -> None:
        barrier.wait(timeout=20)
        events = [f"evt_own_{number}", *(f"evt_shared_{turn}" for turn in range(5))]
        verdicts.extend((event, recorder.record(build_delivery(event))) for event in events)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(verdicts) == 16 * 6
    firsts = Counter(event for event, first in verdicts if first)
    assert firsts == dict.fromkeys({event for event, _ in verdicts}, 1)
    with database.reading() as unit:
        assert get_event(unit, EventId("evt_shared_0")).deliveries == 16


def test_a_row_that_the_database_refuses_does_not_keep_out_its_neighbours(
    database: Database,
) -> None:
    # One writer is busy, so that the others gather in one batch; one of them is refused: no type.
    recorder = InboxRecorder(database)
    bad = build_delivery("evt_bad", type=None)  # type: ignore[arg-type] # what is tested
    outcomes: dict[str, object] = {}

    def deliver(delivery: Delivery) -> None:
        try:
            outcomes[delivery.event.event] = recorder.record(delivery)
        except DatabaseUnavailableError as error:
            outcomes[delivery.event.event] = type(error)

    deliveries = [bad, *(build_delivery(f"evt_good_{number}") for number in range(6))]
    threads = [threading.Thread(target=deliver, args=(one,)) for one in deliveries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert outcomes.pop("evt_bad") is DatabaseUnavailableError
    assert outcomes == {f"evt_good_{number}": True for number in range(6)}


def test_an_unknown_event_is_named(database: Database) -> None:
    with database.reading() as unit, pytest.raises(EventNotFoundError, match="evt_none"):
        get_event(unit, EventId("evt_none"))


def test_pages_run_from_the_newest_to_the_oldest_without_gaps(database: Database) -> None:
    # Three share one instant: the id decides, and none is shown twice or skipped.
    times = [NOON, NOON + HOUR, NOON + HOUR, NOON + HOUR, NOON + 2 * HOUR]
    record(database, *(build_delivery(f"evt_{n}", received_at=at) for n, at in enumerate(times)))
    seen: list[str] = []
    with database.reading() as unit:
        before: EventId | None = None
        while page := list_events(unit, limit=2, before=before):
            seen += [event.event for event in page]
            before = page[-1].event
    assert seen == ["evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]


def test_lists_filter_by_state_and_type(database: Database) -> None:
    record(database, build_delivery("evt_dead", type="payout.failed"))
    end_all(database, InboxState.DEAD)
    record(database, build_delivery("evt_new"), build_delivery("evt_payout", type="payout.failed"))
    with database.reading() as unit:
        dead = list_events(unit, state=InboxState.DEAD)
        payouts = list_events(unit, type="payout.failed")
        both = list_events(unit, type="payout.failed", state=InboxState.PENDING)
    assert [event.event for event in dead] == ["evt_dead"]
    assert dead[0].last_error == "BadError: no"
    assert {event.event for event in payouts} == {"evt_dead", "evt_payout"}
    assert [event.event for event in both] == ["evt_payout"]


def test_counts_name_every_state_and_the_oldest_that_waits(database: Database) -> None:
    with database.reading() as unit:
        assert counts(unit).oldest_pending is None
        assert counts(unit).by_state == dict.fromkeys(InboxState, 0)
    record(database, build_delivery("evt_1"), build_delivery("evt_2"))
    end_all(database, InboxState.DONE)
    record(
        database,
        build_delivery("evt_3", received_at=NOON + 2 * HOUR),
        build_delivery("evt_4", received_at=NOON + HOUR),
    )
    with database.reading() as unit:
        found = counts(unit)
    assert found.by_state == dict.fromkeys(InboxState, 0) | {
        InboxState.DONE: 2,
        InboxState.PENDING: 2,
    }
    assert found.oldest_pending == NOON + HOUR


def test_the_event_before_a_moment_is_the_last_created_until_then(database: Database) -> None:
    record(
        database,
        build_delivery("evt_late", account="acct_1", created=NOON - HOUR, received_at=NOON + HOUR),
        build_delivery("evt_newest", account="acct_1", created=NOON, received_at=NOON),
        build_delivery("evt_platform", created=NOON + HOUR),
    )
    with database.reading() as unit:
        assert event_before(unit, AccountId("acct_1"), NOON) == "evt_newest"
        assert event_before(unit, AccountId("acct_1"), NOON - HOUR) == "evt_late"
        assert event_before(unit, AccountId("acct_1"), NOON - 2 * HOUR) is None
        assert event_before(unit, None, NOON + HOUR) == "evt_platform"
        assert event_before(unit, AccountId("acct_2"), NOON) is None


def test_how_far_an_account_was_read_is_kept_and_never_goes_back(database: Database) -> None:
    scope = LaneId("acct_1")
    with database.unit_of_work() as unit:
        assert caught_up_to(unit, scope) is None
        note_caught_up(unit, scope, NOON)
    with database.unit_of_work() as unit:
        note_caught_up(unit, scope, NOON - HOUR)
    with database.unit_of_work() as unit:
        assert caught_up_to(unit, scope) == NOON
        note_caught_up(unit, scope, NOON + HOUR)
    with database.reading() as unit:
        assert caught_up_to(unit, scope) == NOON + HOUR
        assert caught_up_to(unit, LaneId("acct_2")) is None


def test_pruning_takes_what_is_old_and_finished_in_bounded_bites(database: Database) -> None:
    record(database, build_delivery("evt_dead"))
    end_all(database, InboxState.DEAD)
    record(database, *(build_delivery(f"evt_done_{number}") for number in range(5)))
    record(database, build_delivery("evt_done_0"))
    end_all(database, InboxState.DONE)
    record(database, build_delivery("evt_pending"))
    with database.unit_of_work() as unit:
        assert prune(unit, NOON + KEEP) == 0, "90 days to the second is not yet more than 90 days"
    bites = []
    for _ in range(4):
        with database.unit_of_work() as unit:
            bites.append(prune(unit, NOON + KEEP + timedelta(seconds=1), limit=2))
    assert bites == [2, 2, 1, 0]
    with database.reading() as unit:
        assert {event.event for event in list_events(unit)} == {"evt_dead", "evt_pending"}
        assert event_attempts(unit, EventId("evt_done_0")) == []
        assert unit.connection().execute(text("SELECT count(*) FROM event_delivery")).scalar() == 0


def test_one_delivery_alone(database: Database) -> None:
    with database.unit_of_work() as unit:
        assert record_delivery(unit, build_delivery())
        assert not record_delivery(unit, build_delivery())
