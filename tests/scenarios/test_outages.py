"""The web, the database, the network and the clock fail while work goes on: nothing is lost."""

import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from refunds.ids import RequestId
from store.database import Database
from store.migrate import upgrade
from store.tables.inbox import InboxState
from tests.scenarios.conftest import NewPlatform
from tests.support.deliveries import Load
from tests.support.postgres import PostgresServer
from tests.support.processes import Platform, running_platform
from tests.support.soundness import assert_sound, debits, states_of
from tests.support.waiting import eventually
from tests.support.wire import Mishap

AMOUNT = 5_000
BACK_AT_WORK_SECONDS = 20
"""A lease of 10 seconds or a circuit of 8, and what a start takes on a busy machine."""


def held(platform: Platform) -> tuple[str, str, RequestId]:
    """An account without money, its payment, and the refund that waits for the money."""
    account = platform.stage.account()
    charge = platform.stage.paid(account, AMOUNT)
    request = platform.stage.wish(charge)
    assert platform.stage.view(request)["status"] == "held"
    return account, charge, request


def earn(platform: Platform, account: str) -> None:
    """Money comes in, and Stripe tells so."""
    platform.stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": AMOUNT})


def succeeded(platform: Platform, request: RequestId) -> bool:
    return platform.stage.view(request)["status"] == "succeeded"


def assert_refunded_once(platform: Platform, account: str, request: RequestId) -> None:
    assert_sound(platform.stage)
    assert [refund["amount"] for refund in platform.stage.refunds()] == [AMOUNT]
    assert debits(platform.stage, account) == AMOUNT
    assert succeeded(platform, request)


def assert_all_processed(database: Database, acknowledged: set[str]) -> None:
    def processed() -> bool:
        found = states_of(database, acknowledged)
        return found[InboxState.DONE] + found[InboxState.IGNORED] == len(acknowledged)

    eventually(processed, f"all of {len(acknowledged)} acknowledged events are processed")


def test_killing_the_web_under_load_loses_no_event_and_no_refund(platform: Platform) -> None:
    account, _, request = held(platform)
    platform.start_worker()
    web = platform.start_web()
    load = Load(web, account)
    load.start()
    eventually(lambda: load.count > 100, "the web is under load")
    web.kill()
    earn(platform, account)  # the sandbox's courier finds nobody there, and comes back
    before = load.count
    platform.start_web()
    eventually(lambda: load.count > before + 50, "the web is back", within_seconds=30)
    acknowledged = load.stop()
    assert_all_processed(platform.stage.services.database, acknowledged)
    eventually(lambda: succeeded(platform, request), "the refund is made")
    assert_refunded_once(platform, account, request)


def test_a_database_crash_under_web_and_worker(
    durable_postgres: PostgresServer, tmp_path: Path
) -> None:
    url = durable_postgres.url()
    upgrade(url)
    with running_platform(url, tmp_path) as platform:
        account, charge, request = held(platform)
        worker = platform.start_worker()
        load = Load(platform.start_web(), account)
        load.start()
        eventually(lambda: load.count > 50, "the web is under load")
        answer = platform.wire.snare(Mishap.ANSWER_HELD, "/v1/refunds", charge)
        earn(platform, account)
        assert answer.sprung.wait(timeout=30)
        durable_postgres.crash()
        answer.let_go()  # the money has moved, and there is nowhere to write it down
        eventually(lambda: worker.said("worker.database_unavailable"), "the worker notices")
        before = load.count
        durable_postgres.start()
        eventually(lambda: load.count > before + 20, "the web is back", within_seconds=30)
        acknowledged = load.stop()
        assert worker.process.poll() is None, "a database that is away ends no worker"
        assert_all_processed(platform.stage.services.database, acknowledged)
        assert_refunded_once(platform, account, request)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_sigterm_drains_what_is_under_way_and_leaves_the_rest(platform: Platform) -> None:
    stage = platform.stage
    worker = platform.start_worker()
    answered, silent = held(platform), held(platform)
    answer = platform.wire.snare(Mishap.ANSWER_HELD, "/v1/refunds", answered[1])
    silence = platform.wire.snare(Mishap.SWALLOWED, "/v1/refunds", silent[1])
    platform.start_web()
    for account, _, _ in (answered, silent):
        earn(platform, account)
    assert answer.sprung.wait(timeout=30)
    assert silence.sprung.wait(timeout=30)

    asked = time.monotonic()
    worker.terminate()
    later = held(platform)
    earn(platform, later[0])
    answer.let_go()
    assert worker.exit_code() == 0
    assert time.monotonic() - asked < 10
    assert succeeded(platform, answered[2]), "its answer came while the worker drained"
    assert stage.view(silent[2])["status"] == "releasing", (
        "nobody knows, and it stays known as that"
    )
    assert stage.view(later[2])["status"] == "held", "nothing new was begun"

    restarted = time.monotonic()
    platform.start_worker()
    for _, _, request in (silent, later):
        eventually(partial(succeeded, platform, request), "the rest is done")
    assert time.monotonic() - restarted < BACK_AT_WORK_SECONDS
    assert_sound(stage)
    assert len(stage.refunds()) == 3


@pytest.mark.parametrize("kind", ["sqlite"])
def test_while_stripe_is_away_requests_stay_held_and_go_out_afterwards(platform: Platform) -> None:
    account, _, request = held(platform)
    worker = platform.start_worker()
    platform.start_web()
    platform.wire.cut()
    earn(platform, account)
    eventually(lambda: worker.said("circuit.opened"), "the circuit opens")
    view = platform.stage.view(request)
    assert (view["status"], view["amounts"]) == ("held", {"held": AMOUNT})
    assert platform.stage.refunds() == []
    platform.wire.mend()
    eventually(
        lambda: succeeded(platform, request), "it goes out", within_seconds=BACK_AT_WORK_SECONDS
    )
    assert_refunded_once(platform, account, request)


@pytest.mark.parametrize(
    "kind, skew_seconds", [("sqlite", 600), ("postgresql", -600)], ids=["ahead", "behind"]
)
def test_a_worker_whose_clock_is_wrong_by_ten_minutes(
    new_platform: NewPlatform, skew_seconds: int
) -> None:
    platform = new_platform("platform")
    stage = platform.stage
    # Whoever took the requests in shares the wrong clock, so that both workers get at them.
    stage.offset = timedelta(seconds=skew_seconds)
    accounts = [stage.account() for _ in range(3)]
    charges = {account: [stage.paid(account, AMOUNT) for _ in range(3)] for account in accounts}
    for account, payments in charges.items():
        stage.has(account, 2 * AMOUNT)
        for payment in payments:
            stage.wish(payment)
    first = platform.wire.snare(Mishap.ANSWER_HELD, "/v1/refunds", charges[accounts[0]][0])
    workers = [platform.spawn_worker(), platform.spawn_worker(skew_seconds=skew_seconds)]
    assert first.sprung.wait(timeout=60)
    for worker in workers:
        worker.kill()
    for skew in (0, skew_seconds):
        platform.spawn_worker(skew_seconds=skew)
    eventually(lambda: len(stage.refunds()) == 6, "all that is covered is refunded")
    assert_sound(stage)
    assert len(stage.refunds()) == 6
    assert [debits(stage, account) for account in accounts] == [2 * AMOUNT] * 3
    assert stage.sandbox.control("GET", "calls")["refused"] == []
