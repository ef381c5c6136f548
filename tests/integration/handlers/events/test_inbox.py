"""The inbox under way: poison events, missing objects, an unwell Stripe, two workers, lost leases.

No story may end with an event stuck, an effect without its "done", or one event in another's way.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from gateway.client import StripeGateway
from handlers.inbox import EVENT_LEASE, NOT_FOUND_TRIES, WAIT_FOR_STRIPE, process_due_events
from handlers.services import Services
from refunds.errors import WrongStateError
from refunds.facts import RefundFacts
from refunds.ids import AccountId, EventId, RefundId
from refunds.lifecycle import Bucket, Status
from refunds.notifications import Kind
from refunds.retry import EVENT_BACKOFF
from sandbox.inprocess import BASE
from store.event_claims import claim_due_events, requeue_event
from store.inbox import event_attempts
from store.outbox import told_of
from store.tables.inbox import AttemptOutcome, InboxState
from tests.support.event_stage import KEY, EventStage

POISON = RefundId("re_poison")
ATTEMPTS = 12


class Brittle(StripeGateway):
    """A gateway with a bug that one refund brings out."""

    def read_refund(self, refund: RefundId, account: AccountId | None = None) -> RefundFacts:
        if refund == POISON:
            raise ZeroDivisionError("a body might stand here")
        return super().read_refund(refund, account)


@pytest.fixture
def brittle(stage: EventStage) -> Iterator[Services]:
    """The stage's services with the bug in them."""
    client = stage.sandbox.http_client()
    with Brittle(KEY, api_base=BASE, http_client=client, clock=stage.now) as gateway:
        yield replace(stage.services, gateway=gateway)


def outcomes(stage: EventStage, event: str) -> list[AttemptOutcome]:
    with stage.database.reading() as unit:
        return [each.outcome for each in event_attempts(unit, EventId(event))]


def exhaust(stage: EventStage, services: Services | None = None) -> None:
    """Let so much time pass that every retry has come."""
    for _ in range(2 * ATTEMPTS):
        stage.work(services)
        stage.later(1_000)


def test_a_poison_event_stops_nobody_and_becomes_a_dead_letter(
    stage: EventStage, brittle: Services
) -> None:
    assert EVENT_BACKOFF.attempts == ATTEMPTS
    poison = stage.put("refund.updated", {"id": POISON, "object": "refund"})
    request = stage.hold(stage.pay(stage.account()), 10_000)
    stage.send(request)
    stage.record(*stage.letters())
    stage.work(brittle)
    assert stage.status(request) is Status.SUCCEEDED
    row = stage.event(poison)
    assert (row.state, row.attempts) == (InboxState.PENDING, 1)
    exhaust(stage, brittle)
    row = stage.event(poison)
    assert (row.state, row.attempts) == (InboxState.DEAD, ATTEMPTS)
    assert row.last_error == "ZeroDivisionError: see the log."
    assert outcomes(stage, poison) == [AttemptOutcome.RETRY] * 11 + [AttemptOutcome.DEAD]
    with stage.database.reading() as unit:
        [told] = told_of(unit, poison)
    assert told.kind is Kind.EVENT_DEAD_LETTERED
    assert told.payload["data"]["last_error"] == row.last_error
    assert "body" not in told.payload["data"]


def test_a_dead_letter_that_a_person_requeues_is_processed(
    stage: EventStage, brittle: Services
) -> None:
    poison = stage.put("refund.updated", {"id": POISON, "object": "refund"})
    exhaust(stage, brittle)
    with stage.database.unit_of_work() as unit:
        requeue_event(unit, poison, now=stage.now())
    # With the bug mended the refund turns out not to exist.
    exhaust(stage)
    assert stage.event(poison).state is InboxState.IGNORED
    done = stage.put("payout.created", {"id": "po_1", "object": "payout"})
    stage.work()
    with (
        pytest.raises(WrongStateError, match="dead or ignored"),
        stage.database.unit_of_work() as unit,
    ):
        requeue_event(unit, done, now=stage.now())


def test_work_that_fails_halfway_leaves_its_error_and_nothing_else(
    stage: EventStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = stage.hold(stage.pay(stage.account()), 10_000)
    stage.send(request)
    letters = [each for each in stage.letters() if each.type == "refund.created"]
    letters = [each for each in letters if each.account is None]
    stage.record(*letters)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise KeyError("after the money moved, before the row was finished")

    with monkeypatch.context() as patched:
        patched.setattr("handlers.inbox.finish_event", fail)
        stage.work()
    assert stage.amounts(request) == {Bucket.RELEASING: 10_000}
    assert stage.event(letters[0].event).last_error == "KeyError: see the log."
    stage.later(10)
    stage.work()
    assert stage.amounts(request) == {Bucket.SUCCEEDED: 10_000}


def test_an_object_that_is_not_there_is_tried_a_few_times(stage: EventStage) -> None:
    event = stage.put("refund.updated", {"id": "re_nowhere", "object": "refund"})
    exhaust(stage)
    row = stage.event(event)
    assert (row.state, row.attempts) == (InboxState.IGNORED, NOT_FOUND_TRIES)


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"id": None},
        {"id": 7},
        {"id": ["re_1"]},
        {"id": "acct_1"},
        {"id": "re_"},
        {"id": "re_1/../../balance"},
        {"id": "re_1?expand[]=charge"},
        {"id": "re_" + "1" * 300},
        {"id": "ré_1"},
        {"id": "re_1\n"},
        "re_1",
        None,
        [],
    ],
    ids=repr,
)
def test_an_event_without_a_usable_id_is_dead_at_once_and_asks_nobody(
    stage: EventStage, subject: object
) -> None:
    reads = stage.reads()
    event = stage.put("refund.updated", subject)
    assert stage.work() == 1
    assert (stage.event(event).state, stage.reads()) == (InboxState.DEAD, reads)
    assert (stage.event(event).last_error or "").startswith("UnusableEventError: ")


def test_a_departure_that_names_no_account_is_dead(stage: EventStage) -> None:
    application = {"id": "ca_1", "object": "application"}
    event = stage.put("account.application.deauthorized", application)
    odd = stage.put("account.application.deauthorized", application, account="acct/../balance")
    stage.work()
    assert {stage.event(each).state for each in (event, odd)} == {InboxState.DEAD}


def test_events_of_the_other_mode_and_unknown_types_are_ignored(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 1_000)
    stage.order(f"accounts/{account}/reject")
    live = stage.put("account.updated", {"id": account, "object": "account"}, livemode=True)
    unknown = stage.put("invoice.paid", {"id": "in_1", "object": "invoice"})
    stage.work()
    assert {stage.event(each).state for each in (live, unknown)} == {InboxState.IGNORED}
    assert stage.status(request) is Status.HELD


@pytest.mark.parametrize("kind", ["http_500", "http_429", "reset", "revoked_key"])
def test_an_unwell_stripe_makes_no_dead_letters(stage: EventStage, kind: str) -> None:
    request = stage.hold(stage.pay(stage.account()), 10_000)
    stage.send(request)
    letters = [each for each in stage.letters() if each.type.startswith("refund.")]
    stage.record(*letters)
    stage.fault(kind, "/v1/refunds/*", times=None)
    quiet = stage.put("payout.created", {"id": "po_1", "object": "payout"})
    # Two hours: without the circuit, twelve attempts are used up after 47 minutes at most.
    for _ in range(24):
        stage.work()
        stage.later(300)
    states = {stage.event(each.event).state for each in letters if each.account is None}
    assert states == {InboxState.PENDING}
    assert stage.event(quiet).state is InboxState.DONE
    stage.sandbox.control("DELETE", "faults")
    stage.later(600)
    stage.work()
    assert stage.status(request) is Status.SUCCEEDED


def test_while_a_circuit_is_open_stripe_is_left_in_peace(stage: EventStage) -> None:
    stage.fault("revoked_key", "/v1/refunds/*", times=None)
    events = [stage.put("refund.updated", {"id": f"re_{n}", "object": "refund"}) for n in range(20)]
    before = stage.reads()
    stage.work()
    # One probe was refused and opened the circuit; the nineteen others didn't ask.
    assert stage.reads() - before <= 1
    rows = [stage.event(each) for each in events]
    assert {(row.state, row.attempts) for row in rows} == {(InboxState.PENDING, 0)}
    assert all(row.next_attempt_at > stage.now() for row in rows)


def test_waiting_for_stripe_has_an_end(stage: EventStage) -> None:
    event = stage.put("refund.updated", {"id": "re_1", "object": "refund"})
    stage.fault("revoked_key", "/v1/refunds/*", times=None)
    stage.work()
    stage.later(int(WAIT_FOR_STRIPE.total_seconds()) + 3_600)
    stage.work()
    assert stage.event(event).state is InboxState.DEAD


def test_an_event_that_kills_its_workers_is_put_aside_unopened(stage: EventStage) -> None:
    event = stage.put("refund.updated", {"id": "re_1", "object": "refund"})
    for _ in range(ATTEMPTS):
        with stage.database.unit_of_work() as unit:
            claims = claim_due_events(
                unit, worker="killed", now=stage.now(), limit=1, lease=EVENT_LEASE
            )
        assert [claim.event for claim in claims] == [event]
        stage.later(int(EVENT_LEASE.total_seconds()) + 1)
    reads = stage.reads()
    stage.work()
    assert (stage.event(event).state, stage.reads()) == (InboxState.DEAD, reads)


def test_a_worker_that_lost_its_lease_changes_nothing(stage: EventStage, brittle: Services) -> None:
    request = stage.hold(stage.pay(stage.account()), 10_000)
    stage.send(request)
    letters = [each for each in stage.letters() if each.type == "refund.created"]
    stage.record(*[each for each in letters if each.account is None])

    class Slow(StripeGateway):
        def read_refund(self, refund: RefundId, account: AccountId | None = None) -> RefundFacts:
            facts = super().read_refund(refund, account)
            stage.later(int(EVENT_LEASE.total_seconds()) + 1)
            with stage.database.unit_of_work() as unit:
                taken = claim_due_events(
                    unit, worker="other", now=stage.now(), limit=5, lease=EVENT_LEASE
                )
            assert len(taken) == 1
            return facts

    client = stage.sandbox.http_client()
    slow = Slow(KEY, api_base=BASE, http_client=client, clock=stage.now)
    assert process_due_events(replace(stage.services, gateway=slow)) == 1
    assert stage.amounts(request) == {Bucket.RELEASING: 10_000}
    stage.later(int(EVENT_LEASE.total_seconds()) + 1)
    stage.work()
    assert stage.status(request) is Status.SUCCEEDED


def test_what_the_lease_leaves_no_time_for_is_handed_back(stage: EventStage) -> None:
    events = [stage.put("payout.created", {"id": f"po_{n}", "object": "payout"}) for n in range(3)]
    ticks = iter(range(0, 1_000, 2))
    hurried = replace(stage.services, clock=lambda: stage.now() + timedelta(seconds=next(ticks)))
    handled = process_due_events(hurried)
    assert 0 < handled < 3
    rows = [stage.event(each) for each in events]
    left = [row for row in rows if row.state is InboxState.PENDING]
    assert [row.attempts for row in left] == [0] * (3 - handled)
    stage.later(60)
    stage.work()
    assert {stage.event(each).state for each in events} == {InboxState.DONE}


def test_a_worker_that_is_told_to_stop_gives_the_rest_back(stage: EventStage) -> None:
    events = [stage.put("payout.created", {"id": f"po_{n}", "object": "payout"}) for n in range(3)]
    told = iter([False, True, True])
    assert process_due_events(stage.services, stopping=lambda: next(told)) == 1
    assert stage.work() == 2
    assert {stage.event(each).state for each in events} == {InboxState.DONE}


def test_two_workers_share_the_inbox_and_no_event_is_handled_twice(stage: EventStage) -> None:
    events = [stage.put("payout.created", {"id": f"po_{n}", "object": "payout"}) for n in range(60)]
    both_there = threading.Barrier(2)
    counted: list[int] = []

    def worker(name: str) -> None:
        services = replace(stage.services, worker=name)
        both_there.wait(10)
        counted.append(stage.work(services))

    threads = [threading.Thread(target=worker, args=(f"worker-{n}",)) for n in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sum(counted) == 60
    assert [outcomes(stage, each) for each in events] == [[AttemptOutcome.DONE]] * 60


def test_the_log_names_the_event_and_never_its_body(stage: EventStage, brittle: Services) -> None:
    subject = {"id": POISON, "object": "refund", "note": "private words"}
    stage.put("refund.updated", subject)
    with capture_logs() as logged:
        stage.work(brittle)
    assert "private words" not in repr(logged)
    ends = [entry for entry in logged if entry["event"] == "event.not_handled"]
    assert [(entry["event_type"], entry["outcome"]) for entry in ends] == [
        ("refund.updated", "retry")
    ]
