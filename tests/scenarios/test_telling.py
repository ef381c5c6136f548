"""Workers are killed while they tell: every message arrives, and has its effect once.

Receivers verify each signature and know a message again by its id; they refuse, hang and lose
answers on the way.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from handlers.operate import Action, act
from refunds.ids import RequestId
from refunds.notifications import Kind
from store.database import Database
from store.outbox import told_of
from store.tables.outbox import DispatchState, Notification
from store.told import list_dispatches
from tests.support.processes import Platform
from tests.support.receivers import (
    OLD_SECRET,
    SECRET,
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
)
from tests.support.telling import FINANCE, SUPPORT, held
from tests.support.waiting import eventually

AHEAD_SECONDS = 95
"""A worker that follows another has a clock so far ahead that no lease is sat out. Three times that
is still within the five minutes by which a signature's time may differ.
"""


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver(secret=OLD_SECRET) as receiver:
        yield receiver


@pytest.fixture
def post() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


def listens(platform: Platform, http: HttpReceiver, post: MailReceiver) -> None:
    """Configure the workers that will start."""
    platform.settings |= {
        # Rolling: the receiver knows only the older secret yet.
        "SLUICE_NOTIFY_WEBHOOKS": f"shop:{SECRET}:{OLD_SECRET}:{http.url}",
        "SLUICE_NOTIFY_EMAIL_SERVER": post.url,
        "SLUICE_NOTIFY_EMAIL_FROM": "refunds@shop.example",
        "SLUICE_NOTIFY_EMAIL_FINANCE": FINANCE,
        "SLUICE_NOTIFY_EMAIL_OPERATIONS": SUPPORT,
        "SLUICE_NOTIFY_EMAIL_ACCOUNTS": "on",
    }


def facts(database: Database, requests: list[RequestId]) -> list[Notification]:
    """Everything that is to be told of these requests."""
    with database.reading() as unit:
        return [row for request in requests for row in told_of(unit, request)]


def ended(database: Database, requests: list[RequestId], kinds: int) -> bool:
    """Whether so many facts are there, and all of them were sent wherever they go."""
    with database.reading() as unit:
        all_sent = not list_dispatches(unit, state=DispatchState.PENDING, limit=1)
    rows = facts(database, requests)
    return len(rows) == kinds and all_sent and all(row.addressed_at for row in rows)


@pytest.mark.timeout(240)  # four workers start one after the other: slow on a busy machine
def test_each_message_has_its_effect_once_through_kills_restarts_and_refusals(
    platform: Platform, http: HttpReceiver, post: MailReceiver
) -> None:
    stage, database = platform.stage, platform.stage.services.database
    listens(platform, http, post)
    requests = [held(stage)[1] for _ in range(6)]
    sent = requests[:2]
    for request in sent:
        act(stage.services, Action.RELEASE, request, note="good customers", actor="ada")

    # Killed when both receivers have a message, and neither could say so.
    http.gate.clear()
    post.gate.clear()
    worker = platform.start_worker()
    eventually(lambda: bool(http.taken) and bool(post.letters), "both have a message")
    worker.kill()
    [webhook_at_kill], [letter_at_kill] = list(http.taken), list(post.letters)
    http.gate.set()
    post.gate.set()

    # The next one is refused again and again, and is told to stop in the middle of it.
    http.answers += [503, 500, 404, 503]
    post.answers += ["451 later", "421 busy"]
    worker = platform.start_worker(skew_seconds=AHEAD_SECONDS)
    eventually(lambda: len(http.tries) >= 4 and len(post.tries) >= 2, "it tries")
    worker.terminate()
    assert worker.exit_code() == 0

    # And one more is killed at any moment, while a last one brings all of it to its end.
    worker = platform.start_worker(skew_seconds=2 * AHEAD_SECONDS)
    eventually(lambda: len(http.taken) >= 5, "more arrives")
    worker.kill()
    platform.start_worker(skew_seconds=3 * AHEAD_SECONDS)
    # Six are held; two of them are released, succeed, and are covered by the platform.
    eventually(lambda: ended(database, requests, 6 + 2 * 3), "everything is told")

    rows = facts(database, requests)
    assert Counter(row.kind for row in rows) == {
        Kind.HELD: 6,
        Kind.RELEASED: 2,
        Kind.SUCCEEDED: 2,
        Kind.COVERED: 2,
    }
    ids = {row.id: row.payload for row in rows}
    assert {name: http.taken.get(name) for name in ids} == ids
    assert all(len(http.bodies[name]) == 1 for name in ids), "the same bytes at every try"
    assert http.tries_of()[webhook_at_kill] > 1, "it came again, and was known by its id"
    assert post.tries.count(letter_at_kill) > 1, "so did the letter"
    # Each account hears that its refund waits, two that it was sent; finance of what that cost.
    about_them = [
        letter for name, letter in post.letters.items() if any(each in name for each in ids)
    ]
    assert len(about_them) == 6 + 2 + 2
    assert sum(str(letter["To"]) == FINANCE for letter in about_them) == 2
    with database.reading() as unit:
        given_up = list_dispatches(unit, state=DispatchState.DEAD)
    assert given_up == []
