"""What must be true of a platform that came to rest, whatever happened to it before.

It may not repair anything or look away from a part: our books, Stripe's books, and both together.
"""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from refunds.attempt import AttemptState, Purpose
from refunds.facts import METADATA_ATTEMPT
from refunds.invariants import violations
from refunds.lifecycle import Bucket
from store.database import Database
from store.inbox import counts
from store.reports import load_books
from store.tables.attempts import ReleaseAttempt, Reservation
from store.tables.inbox import InboxEvent, InboxState
from store.tables.requests import RequestBucket
from tests.support.stage import Stage
from tests.support.waiting import eventually


def unfinished(database: Database) -> list[str]:
    """Return what a worker still has to do, in words; requests on hold are not work."""
    with database.reading() as unit:
        prepared = unit.exec(
            select(ReleaseAttempt.id).where(col(ReleaseAttempt.state) == AttemptState.PREPARED)
        ).all()
        requested = unit.exec(
            select(RequestBucket.request_id).where(
                col(RequestBucket.bucket) == Bucket.REQUESTED, col(RequestBucket.amount_minor) > 0
            )
        ).all()
        pending = counts(unit).by_state[InboxState.PENDING]
    return [
        *(f"attempt {attempt} has no outcome" for attempt in prepared),
        *(f"request {request} waits for its first run" for request in requested),
        *([f"{pending} events are pending"] if pending else []),
    ]


def settled_at(database: Database) -> list[datetime]:
    """Return when each attempt got its outcome."""
    with database.reading() as unit:
        rows = unit.exec(select(ReleaseAttempt.settled_at)).all()
    return [at for at in rows if at is not None]


def assert_sound(stage: Stage) -> None:
    """Wait until a platform comes to rest in good order; fail with everything that is wrong.

    News of what was done still comes in for a while, and is work itself.
    """
    with suppress(AssertionError):
        eventually(lambda: not unfinished(stage.services.database), "it comes to rest")
        eventually(lambda: not unsound(stage), "everything is in order", within_seconds=30)
    assert unsound(stage) == []


def unsound(stage: Stage) -> list[str]:
    """Return everything that is wrong with a platform at rest, in words; nothing, if all is well.

    Refunds at Stripe must be as many as attempts that were carried out, each for its own attempt,
    amount for amount; nothing may be promised that is not under way.
    """
    database = stage.services.database
    with database.reading() as unit:
        wrong = [each for books in load_books(unit) for each in violations(books)]
        attempts = {row.id: row for row in unit.exec(select(ReleaseAttempt))}
        kept = unit.exec(select(Reservation).where(col(Reservation.closed_at).is_(None))).all()
        dead = counts(unit).by_state[InboxState.DEAD]
    wrong += unfinished(database)
    wrong += [f"{row.amount_minor} of {row.holder} still reserved" for row in kept]
    wrong += [f"{dead} dead letters"] if dead else []
    books = stage.sandbox.control("GET", "books")
    wrong += [f"the sandbox's books: {problem}" for problem in books["problems"]]
    return wrong + _differences(attempts, stage.refunds())


def _differences(attempts: dict[str, ReleaseAttempt], refunds: list[dict[str, Any]]) -> list[str]:
    named = Counter(str(refund["metadata"].get(METADATA_ATTEMPT)) for refund in refunds)
    wrong = [f"{count} refunds at Stripe for {name}" for name, count in named.items() if count > 1]
    for refund in refunds:
        attempt = attempts.get(str(refund["metadata"].get(METADATA_ATTEMPT)))
        if attempt is None:
            wrong.append(f"{refund['id']} belongs to no attempt")
        elif (refund["amount"], refund["currency"]) != (attempt.amount_minor, attempt.currency):
            wrong.append(f"{refund['id']} is over {refund['amount']}, not {attempt.amount_minor}")
    done = {
        name
        for name, row in attempts.items()
        if row.state is AttemptState.DONE and row.purpose is Purpose.RELEASE
    }
    wrong += [f"attempt {name} is done, but not at Stripe" for name in sorted(done - set(named))]
    return wrong


def debits(stage: Stage, account: str) -> int:
    """Return what an account lost to reversals, in minor units of its only currency."""
    state = stage.sandbox.control("GET", "state")["objects"]
    transfers: list[dict[str, Any]] = state.get("transfer", [])
    return sum(
        int(transfer["amount_reversed"])
        for transfer in transfers
        if transfer["destination"] == account
    )


def states_of(database: Database, events: Collection[str]) -> Counter[InboxState]:
    """Return how many of these events are in which state; those not stored are in none."""
    with database.reading() as unit:
        rows = unit.exec(select(InboxEvent.id, InboxEvent.state)).all()
    return Counter([InboxState(state) for event, state in rows if event in events])
