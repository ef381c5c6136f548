"""The outbox: written with the fact or not at all, once, as things stood at the commit."""

from datetime import timedelta

import pytest

from refunds.exposure import ExposureBucket
from refunds.ids import AttemptId
from refunds.lifecycle import TRANSITIONS, Bucket, Transition
from refunds.money import Money
from refunds.notifications import STANDING, TOLD_OF_BUCKET, Kind
from store.attempts import add_run
from store.charges import save_charge
from store.database import Database, Telling, Unit
from store.ledger import Because, move, move_along, move_exposure
from store.outbox import tell, tell_of_deadline, told_of
from store.requests import add_request, get_request
from store.tables.attempts import ReleaseAttempt, ReleaseRun
from store.tables.outbox import Notification
from store.tables.requests import RefundRequest
from tests.support.facts import NOON, USD, charged

BECAUSE = Because(at=NOON, cause="test", why="A story.")


def opened(unit: Unit) -> RefundRequest:
    """A request whose amount is nowhere yet."""
    facts = charged(10_000, USD)
    save_charge(unit, facts)
    row = RefundRequest(
        id="rr_told",
        created=NOON,
        idempotency_key="key",
        wish_digest="digest",
        actor="test",
        payment=facts.charge,
        livemode=False,
        charge_id=facts.charge,
        lane="acct_shop",
        account="acct_shop",
        amount_minor=5000,
        currency=USD,
        deadline=NOON + timedelta(days=7),
        meta={"order": "7"},
    )
    add_request(unit, row)
    return get_request(unit, row.id)


def way_to(bucket: Bucket) -> tuple[Bucket, ...]:
    """A shortest way through the lifecycle."""
    ways: dict[Bucket, tuple[Bucket, ...]] = {Bucket.OPENED: (Bucket.OPENED,)}
    while bucket not in ways:
        for step in TRANSITIONS:
            if step.source in ways and step.target not in ways:
                ways[step.target] = (*ways[step.source], step.target)
    return ways[bucket]


def told(database: Database, subject: str = "rr_told") -> list[Notification]:
    with database.reading() as unit:
        return told_of(unit, subject)


@pytest.mark.parametrize("step", TRANSITIONS, ids=lambda move: f"{move.source}-{move.target}")
def test_every_move_writes_what_is_to_be_told_of_it(database: Database, step: Transition) -> None:
    with database.unit_of_work() as unit:
        move_along(unit, opened(unit), way_to(step.source), 5000, BECAUSE)
    before = told(database)
    with database.unit_of_work() as unit:
        row = get_request(unit, "rr_told")
        move(unit, row, step.source, step.target, 5000, BECAUSE)
    new = told(database)[len(before) :]
    kind = TOLD_OF_BUCKET[step.target]
    everybody_believes_so = kind is Kind.HELD and bool(before) and before[-1].kind is Kind.HELD
    assert [row.kind for row in new] == ([kind] if kind and not everybody_believes_so else [])
    for each in new:
        assert each.id.startswith("ntf_")
        assert each.payload["type"] == each.kind
        assert each.payload["timestamp"] == "2026-11-23T12:00:00Z"
        assert each.payload["why"] == "A story."
        assert each.payload["data"]["id"] == "rr_told"
        assert each.payload["data"]["metadata"] == {"order": "7"}
        assert each.payload["data"]["amounts"] == {str(step.target): 5000}


def test_what_is_rolled_back_was_never_told(database: Database) -> None:
    def fail_after_moving() -> None:
        with database.unit_of_work() as unit:
            move_along(unit, opened(unit), way_to(Bucket.HELD), 5000, BECAUSE)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail_after_moving()
    assert told(database) == []


def test_what_cannot_be_told_undoes_the_fact(database: Database) -> None:
    def broken(_unit: Unit, _request: str) -> dict[str, object]:
        raise ValueError("no words")

    database.tell_with(Telling(describe=broken, announce=lambda _kinds: None))

    def move_it() -> None:
        with database.unit_of_work() as unit:
            move_along(unit, opened(unit), way_to(Bucket.HELD), 5000, BECAUSE)

    with pytest.raises(ValueError, match="no words"):
        move_it()
    with database.reading() as unit:
        assert unit.get(RefundRequest, "rr_told") is None


def test_a_database_without_words_refuses_to_move_money_in_silence(database_url: str) -> None:
    database = Database(database_url)

    def move_it() -> None:
        with database.unit_of_work() as unit:
            move_along(unit, opened(unit), way_to(Bucket.HELD), 5000, BECAUSE)

    with pytest.raises(RuntimeError, match="that services use"):
        move_it()
    database.dispose()


@pytest.mark.parametrize("kind", STANDING)
def test_a_bucket_that_is_only_passed_through_is_not_told(database: Database, kind: Kind) -> None:
    through = {Kind.HELD: Bucket.HELD, Kind.REVIEW: Bucket.REVIEW}[kind]
    way = (Bucket.OPENED, Bucket.REQUESTED, through, Bucket.RELEASING)
    with database.unit_of_work() as unit:
        move_along(unit, opened(unit), way, 5000, BECAUSE)
    assert told(database) == []


def test_several_facts_of_one_unit_keep_their_order(database: Database) -> None:
    way = (Bucket.REVIEW, Bucket.SUBMITTED, Bucket.SUCCEEDED, Bucket.FAILED, Bucket.REVIEW)
    with database.unit_of_work() as unit:
        row = opened(unit)
        move_along(unit, row, way_to(Bucket.REVIEW), 5000, BECAUSE)
    for _ in range(5):
        with database.unit_of_work() as unit:
            move_along(unit, get_request(unit, "rr_told"), way, 5000, BECAUSE)
    kinds = [row.kind.removeprefix("refund_request.") for row in told(database)]
    # `review` was drafted when the amount got there first, and is true in the end.
    assert kinds == ["review", *(["released", "succeeded", "failed", "review"] * 5)]


def test_parts_that_move_together_are_told_once(database: Database) -> None:
    with database.unit_of_work() as unit:
        row = opened(unit)
        move(unit, row, Bucket.OPENED, Bucket.REQUESTED, 5000, BECAUSE)
        move(unit, row, Bucket.REQUESTED, Bucket.HELD, 2000, BECAUSE)
        move(unit, row, Bucket.REQUESTED, Bucket.HELD, 3000, BECAUSE)
    [held] = told(database)
    assert held.payload["data"]["amounts"] == {"held": 5000}


def test_exposure_is_told_with_its_amount_each_time(database: Database) -> None:
    with database.unit_of_work() as unit:
        row = opened(unit)
        move(unit, row, Bucket.OPENED, Bucket.REQUESTED, 5000, BECAUSE)
        run = ReleaseRun(
            id="run_1", lane="acct_shop", cause="test", worker="w", fence=1, started_at=NOON
        )
        add_run(unit, run)
        unit.flush()
        unit.add(
            ReleaseAttempt(
                id="ra_1",
                request_id=row.id,
                run_id="run_1",
                charge_id=str(row.charge_id),
                lane="acct_shop",
                amount_minor=5000,
                currency=USD,
                prepared_at=NOON,
                next_try_at=NOON,
            )
        )
        unit.flush()
        because = Because(at=NOON, cause="test", why="Short.", attempt=AttemptId("ra_1"))
        bucket = ExposureBucket
        move_exposure(unit, row, bucket.PLATFORM, bucket.EXPOSED, Money(900, USD), because)
        move_exposure(unit, row, bucket.EXPOSED, bucket.RECOVERED, Money(300, USD), because)
        move_exposure(unit, row, bucket.EXPOSED, bucket.RECOVERED, Money(400, USD), because)
        move_exposure(unit, row, bucket.EXPOSED, bucket.PLATFORM, Money(200, USD), because)
    assert [(row.kind, row.payload["exposure"]["amount"]) for row in told(database)] == [
        (Kind.COVERED, 900),
        (Kind.RECOVERY_STEP, 300),
        (Kind.RECOVERY_STEP, 400),
    ]


def test_a_deadline_is_told_once_and_a_new_one_once_more(database: Database) -> None:
    with database.unit_of_work() as unit:
        opened(unit)
    for deadline in (NOON, NOON, NOON + timedelta(days=1)):
        with database.unit_of_work() as unit:
            row = get_request(unit, "rr_told")
            row.deadline = deadline
            unit.add(row)
            tell_of_deadline(unit, Kind.DEADLINE_NEAR, row, at=NOON, why="Soon.")
    with database.unit_of_work() as unit:
        row = get_request(unit, "rr_told")
        tell_of_deadline(unit, Kind.DEADLINE_PASSED, row, at=NOON, why="Late.")
    assert [row.kind for row in told(database)] == [
        Kind.DEADLINE_NEAR,
        Kind.DEADLINE_NEAR,
        Kind.DEADLINE_PASSED,
    ]


def test_what_is_told_is_announced_after_the_commit(database: Database) -> None:
    heard: list[list[str]] = []
    database.tell_with(
        Telling(describe=lambda *_: {}, announce=lambda kinds: heard.append(list(kinds)))
    )
    for already in ([], [[Kind.GUARD_CHANGED]]):
        with database.unit_of_work() as unit:
            tell(
                unit,
                Kind.GUARD_CHANGED,
                at=NOON,
                subject="acct_shop",
                why="Set.",
                data={"id": "acct_shop"},
                occasion="first",
            )
            assert heard == already
    # The second time it was told already.
    assert heard == [[Kind.GUARD_CHANGED]]
