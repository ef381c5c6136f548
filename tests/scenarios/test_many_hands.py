"""Many deliveries and many workers at once: one row, one effect, no cent taken that isn't there."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import requests

from refunds.ids import EventId, RequestId
from store.inbox import event_attempts, get_event, list_events
from store.tables.inbox import AttemptOutcome
from tests.support.deliveries import deliver
from tests.support.processes import Platform
from tests.support.soundness import assert_sound, debits
from tests.support.waiting import eventually
from tests.support.wire import Mishap

CONNECTIONS = 16
DELIVERIES = 80


def refused(platform: Platform) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.stage.sandbox.control("GET", "calls")["refused"]
    return found


def under_way(platform: Platform, request: RequestId) -> bool:
    """Whether its call was begun, however it stands by now."""
    return platform.stage.view(request)["status"] in ("releasing", "succeeded")


def event_about(platform: Platform, account: str) -> dict[str, Any]:
    """The only `balance.available` of an account, as Stripe lists it."""
    state = platform.stage.sandbox.control("GET", "state")["objects"]
    (event,) = [
        event
        for event in state["event"]
        if event["type"] == "balance.available" and event.get("account") == account
    ]
    return {name: value for name, value in event.items() if not name.startswith("_")}


def test_the_same_event_eighty_times_is_one_row_and_one_effect(platform: Platform) -> None:
    stage = platform.stage
    account = stage.account()
    request = stage.wish(stage.paid(account, 5_000))
    web = platform.start_web(listening=False)
    for worker in [platform.spawn_worker(), platform.spawn_worker()]:
        platform.await_worker(worker)
    stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": 5_000})
    listed = event_about(platform, account)
    event, body = EventId(listed["id"]), json.dumps(listed, indent=2).encode()
    start = threading.Barrier(CONNECTIONS)

    def several(_connection: int) -> list[tuple[int, bool]]:
        with requests.Session() as session:
            start.wait(timeout=20)
            answers = [deliver(web, body, session) for _ in range(DELIVERIES // CONNECTIONS)]
        return [(answer.status_code, answer.json()["duplicate"]) for answer in answers]

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = [answer for some in pool.map(several, range(CONNECTIONS)) for answer in some]
    assert len(answers) == DELIVERIES
    assert {status for status, _ in answers} == {200}
    assert sum(not duplicate for _, duplicate in answers) == 1

    eventually(lambda: stage.view(request)["status"] == "succeeded", "the refund is made")
    assert_sound(stage)
    with stage.services.database.reading() as unit:
        assert get_event(unit, event).deliveries == DELIVERIES
        attempts = event_attempts(unit, event)
    assert [attempt.outcome for attempt in attempts] == [AttemptOutcome.DONE]
    assert [refund["amount"] for refund in stage.refunds()] == [5_000]


# Oldest first, skipping what doesn't fit. Available, what is asked for, and what goes out.
ROOMS = [
    (5_000, (3_000, 4_000, 1_000, 2_500), (3_000, 1_000)),  # 2,000 left, 4,000 no, 1,000 left
    (9_999, (5_000, 5_000, 4_999), (5_000, 4_999)),  # 4,999 left: one cent short for the second
    (700, (800, 900), ()),
    (6_000, (2_000, 2_000, 2_000), (2_000, 2_000, 2_000)),  # to the last cent
]


def test_three_workers_release_what_there_is_room_for_and_stripe_refuses_none(
    platform: Platform,
) -> None:
    stage = platform.stage
    lanes: list[tuple[str, list[tuple[RequestId, int]]]] = []
    for available, amounts, _ in ROOMS:
        account = stage.account()
        charges = [stage.paid(account, amount) for amount in amounts]
        stage.has(account, available)
        wishes = [stage.wish(charge) for charge in charges]
        lanes.append((account, list(zip(wishes, amounts, strict=True))))
    platform.start_web()
    for worker in [platform.spawn_worker() for _ in range(3)]:
        platform.await_worker(worker)

    def released(lane: int) -> list[int]:
        views = [(stage.view(request), amount) for request, amount in lanes[lane][1]]
        return [amount for view, amount in views if view["status"] == "succeeded"]

    eventually(
        lambda: all(len(released(lane)) >= len(room[2]) for lane, room in enumerate(ROOMS)),
        "all the room there is gets used",
    )
    # Every refund's own events made the lanes due again meanwhile: more runs, no more refunds.
    assert stage.sandbox.courier.wait_idle(30)
    assert_sound(stage)
    assert [tuple(released(lane)) for lane in range(len(ROOMS))] == [room[2] for room in ROOMS]
    for lane, (_, _, expected) in enumerate(ROOMS):
        assert debits(stage, lanes[lane][0]) == sum(expected)
    assert refused(platform) == []


def test_ten_duplicates_of_every_event_to_both_endpoints_change_nothing(
    platform: Platform,
) -> None:
    stage = platform.stage
    stage.sandbox.control(
        "POST", "deliveries/rules", {"kind": "duplicate", "type": "*", "times": None, "copies": 9}
    )
    platform.start_web()
    for worker in [platform.spawn_worker(), platform.spawn_worker()]:
        platform.await_worker(worker)
    accounts = [stage.account() for _ in range(3)]
    wishes = [stage.wish(stage.paid(account, 5_000)) for account in accounts]
    for account in accounts:
        stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": 5_000})
    eventually(
        lambda: {stage.view(request)["status"] for request in wishes} == {"succeeded"},
        "all are refunded",
    )
    # It comes back: the buyer is still owed, a person decides.
    stage.sandbox.control("POST", f"refunds/{stage.view(wishes[0])['refunds'][0]}/fail", {})
    eventually(lambda: stage.view(wishes[0])["status"] == "review", "the failure is known")
    assert stage.sandbox.courier.wait_idle(60)
    assert_sound(stage)
    with stage.services.database.reading() as unit:
        # One more, where a worker that caught up was faster than the first delivery.
        assert {row.deliveries for row in list_events(unit, limit=200)} <= {10, 11}
    assert len(stage.refunds()) == 3
    assert refused(platform) == []
    # A failed refund leaves its reversal in place: the account stays debited.
    assert [debits(stage, account) for account in accounts] == [5_000] * 3


def test_money_promised_to_an_unknown_outcome_is_promised_to_nobody_else(
    platform: Platform,
) -> None:
    stage = platform.stage
    platform.start_web()
    for worker in [platform.spawn_worker(), platform.spawn_worker()]:
        platform.await_worker(worker)
    lanes: dict[str, list[RequestId]] = {}
    for _ in range(2):
        account = stage.account()
        payments = [stage.paid(account, 5_000) for _ in range(2)]
        lanes[account] = [stage.wish(payment) for payment in payments]
        # The first call gets no answer; until it is made again the outcome is unknown.
        platform.wire.snare(Mishap.RESET, "/v1/refunds", payments[0])
    for account in lanes:
        stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": 5_000})
    for account, (first, _) in lanes.items():
        eventually(partial(under_way, platform, first), "it is under way")
        # A cent makes the lane due again: 5,001 are there, and 5,000 of them are promised.
        stage.sandbox.control("POST", f"accounts/{account}/earn", {"amount": 1})
    eventually(
        lambda: {stage.view(first)["status"] for first, _ in lanes.values()} == {"succeeded"},
        "the unknown outcomes are known",
    )
    assert_sound(stage)
    assert {stage.view(second)["status"] for _, second in lanes.values()} == {"held"}
    assert [debits(stage, account) for account in lanes] == [5_000] * 2
    assert refused(platform) == []
