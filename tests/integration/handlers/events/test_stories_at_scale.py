"""Stories of very many requests: a key that is revoked, and one balance that everybody draws on.

Their payments are real ones at the sandbox; their requests are copies of one that went through
intake, and come with all that books are judged by.
"""

import threading
from collections import Counter
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlmodel import select

from handlers.circuit import closed_until
from handlers.operate import Action, act
from handlers.release import run_due_lane
from handlers.services import Services
from handlers.sweep import sweep
from refunds.decision import Rule
from refunds.ids import AccountId
from refunds.lifecycle import Status
from store.tables.attempts import ReleaseAttempt
from store.tables.lanes import Lane
from store.tables.requests import RefundRequest
from tests.support.alike import hold_alike, pay
from tests.support.event_stage import EventStage

PRICE: Final = 1_000

LANES: Final = 10
HELD: Final = 1_000
"""In all lanes together."""
COVERED: Final = 10
"""In each lane: a refund costs fifty milliseconds, and a thousand of them would prove no more."""

ACCOUNTS: Final = 500
TURNS: Final = 40
"""How many of them have their turn once there is money for all."""


def picture(stage: EventStage) -> list[Any]:
    """Every request as it stands: status, latest decision, and what lies in which bucket."""
    question = text(
        "SELECT r.id, r.status, r.evaluation_id, b.bucket, b.amount_minor FROM refund_request r "
        "JOIN request_bucket b ON b.request_id = r.id ORDER BY r.id, b.bucket"
    )
    with stage.database.reading() as unit:
        return [tuple(row) for row in unit.connection().execute(question)]


def verdicts(stage: EventStage) -> Counter[tuple[Status, Rule, int | None]]:
    """How many requests have which status, latest rule and figure of what was spendable."""
    latest = text(
        "SELECT r.status, e.rule, e.spendable_minor FROM refund_request r "
        "JOIN evaluation e ON e.id = r.evaluation_id"
    )
    with stage.database.reading() as unit:
        return Counter(
            (Status(status), Rule(rule), spendable)
            for status, rule, spendable in unit.connection().execute(latest)
        )


def refunds(stage: EventStage) -> list[dict[str, Any]]:
    """What buyers were refunded; beside them Stripe keeps what left the connected accounts."""
    made = stage.sandbox.control("GET", "state")["objects"].get("refund", [])
    return [each for each in made if each["charge"].startswith("ch_")]


def sweep_and_run(stage: EventStage) -> int:
    """A round of the sweep and all the runs it causes; return how many runs."""
    sweep(stage.services, lambda: None)
    runs = 0
    while run_due_lane(stage.services):
        runs += 1
        assert runs < 10_000
    return runs


@pytest.mark.timeout(240)
def test_the_revoked_key_with_a_thousand_held_requests(stage: EventStage) -> None:
    accounts = [stage.account() for _ in range(LANES)]
    for account in accounts:
        first, *others = [pay(stage, account, PRICE) for _ in range(HELD // LANES)]
        stage.has(account, 0)
        hold_alike(stage, stage.hold(first.charge, PRICE), first, others)
    for account in accounts:
        stage.has(account, COVERED * PRICE + 5)
    before = picture(stage)
    assert len({row[0] for row in before}) == HELD
    assert verdicts(stage) == {(Status.HELD, Rule.COVER, 0): HELD}

    stage.fault("revoked_key", "*", times=None)
    calls = stage.reads()
    opened = []
    for _ in range(5):
        sweep_and_run(stage)
        opened.append(closed_until(stage.services, None))
        stage.later(1)
    assert picture(stage) == before, "no request changes state because a key was revoked"
    assert all(opened)
    assert stage.reads() - calls < 20, "the circuit is open: Stripe is left in peace"
    assert stage.sandbox.control("GET", "calls")["calls"] == []

    # A new key.
    stage.sandbox.control("DELETE", "faults", {})
    stage.later(3_600)
    sweep_and_run(stage)
    assert closed_until(stage.services, None) is None
    # Every request was judged again: ten of each hundred go, and the others know that 0.05 is left.
    assert verdicts(stage)[Status.HELD, Rule.COVER, 5] == HELD - LANES * COVERED
    refunded = refunds(stage)
    assert len(refunded) == LANES * COVERED
    assert {(each["amount"], each["status"]) for each in refunded} == {(PRICE, "succeeded")}
    with stage.database.reading() as unit:
        by_account = Counter(
            unit.exec(select(RefundRequest.account).where(RefundRequest.status == Status.SUCCEEDED))
        )
    assert by_account == dict.fromkeys(accounts, COVERED)


def run_by_four(stage: EventStage, *, lanes: int) -> None:
    """Four workers at once run whatever lane is due, each at most so many."""

    def run(services: Services) -> None:
        for _ in range(lanes):
            if not run_due_lane(services):
                return

    threads = [
        threading.Thread(target=run, args=(replace(stage.services, worker=f"worker-{n}"),))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)


def by_status_and_rule(stage: EventStage) -> Counter[tuple[Status, Rule]]:
    """How many requests have which status and latest rule."""
    counted: Counter[tuple[Status, Rule]] = Counter()
    for (status, rule, _), count in verdicts(stage).items():
        counted[status, rule] += count
    return counted


def due_lanes(stage: EventStage) -> int:
    """How many lanes have been told to run."""
    with stage.database.reading() as unit:
        return sum(due is not None for due in unit.exec(select(Lane.release_due_at)))


def platform_sums(stage: EventStage) -> list[int]:
    """What the platform had after each move of its money."""
    moves = stage.sandbox.control("GET", "accounts/platform/movement")["movement"]
    return [move["sum"] for move in moves]


@pytest.mark.timeout(400)
def test_five_hundred_accounts_one_platform_balance(stage: EventStage) -> None:
    # No account has anything, and a person released every refund: the platform alone pays, and it
    # has 100.05 for five hundred times 10.00. Four workers take from it at once.
    accounts: list[AccountId] = [stage.account() for _ in range(ACCOUNTS)]
    first, *others = [pay(stage, account, PRICE) for account in accounts]
    for account in accounts:
        stage.has(account, 0)
    original = stage.hold(first.charge, PRICE)
    act(stage.services, Action.RELEASE, original, note="all are good customers", actor="ann")
    hold_alike(stage, original, first, others)
    stage.has("platform", 10 * PRICE + 5)
    stage.letters()
    moved = len(platform_sums(stage))
    run_by_four(stage, lanes=ACCOUNTS)
    assert by_status_and_rule(stage) == {
        (Status.SUCCEEDED, Rule.PERSON): 10,
        (Status.HELD, Rule.PLATFORM_SHORT): ACCOUNTS - 10,
    }
    assert len(refunds(stage)) == 10

    # Money for all of them: one event wakes everybody, and all go whose turn comes.
    stage.letters()
    stage.order("accounts/platform/earn", amount=(ACCOUNTS - 10) * PRICE)
    stage.take_in()
    assert due_lanes(stage) == ACCOUNTS - 10
    run_by_four(stage, lanes=TURNS // 4)
    assert due_lanes(stage) == ACCOUNTS - 10 - TURNS
    assert by_status_and_rule(stage) == {
        (Status.SUCCEEDED, Rule.PERSON): 10 + TURNS,
        (Status.HELD, Rule.PLATFORM_SHORT): ACCOUNTS - 10 - TURNS,
    }
    assert Counter(each["status"] for each in refunds(stage)) == {"succeeded": 10 + TURNS}, (
        "Stripe has to queue none"
    )
    assert stage.sandbox.control("GET", "calls")["refused"] == []
    sums = platform_sums(stage)
    assert min(sums[moved:]) == 5, "it was never below zero"
    assert sums[-1] == (ACCOUNTS - 10 - TURNS) * PRICE + 5
    with stage.database.reading() as unit:
        assert len(unit.exec(select(ReleaseAttempt.id)).all()) == 10 + TURNS
