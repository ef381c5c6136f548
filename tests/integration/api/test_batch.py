"""Many wishes at once: each recorded or refused by itself, none of them without a bound."""

from typing import Any

import pytest

import api.batch
from api.shapes import BATCH_MAX
from store.requests import list_requests
from tests.support.caller import Caller, error_of
from tests.support.stage import Stage


def short(stage: Stage) -> str:
    return stage.paid(stage.account(1000), 5000)


def results(caller: Caller, wishes: list[Any]) -> list[dict[str, Any]]:
    answer = caller.post("/refund_requests/batch", {"refund_requests": wishes}, token="request")
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    assert (answer.json["object"], answer.json["has_more"]) == ("list", False)
    data: list[dict[str, Any]] = answer.json["data"]
    assert all((each["refund_request"] is None) != (each["error"] is None) for each in data)
    return data


def count(caller: Caller) -> int:
    with caller.stage.services.database.reading() as unit:
        return len(list_requests(unit))


def test_each_wish_has_its_own_result(caller: Caller) -> None:
    charge, other = short(caller.stage), short(caller.stage)
    known = caller.post("/refund_requests", {"charge": other}, key="known")
    assert known.json is not None
    done = results(
        caller,
        [
            {"charge": charge, "amount": 2500, "idempotency_key": "a"},
            {"charge": charge, "amount": 2500, "idempotency_key": "a"},
            {"charge": charge, "amount": 2501, "idempotency_key": "a"},
            {"charge": charge, "amount": 2500, "idempotency_key": "b"},
            {"charge": charge, "amount": 2500, "additional": True, "idempotency_key": "c"},
            {"charge": "ch_nowhere", "idempotency_key": "d"},
            {"charge": charge, "amount": 0, "idempotency_key": "e"},
            {"charge": charge},
            {"charge": charge, "payment_intent": "pi_1", "idempotency_key": "f"},
            "ch_1",
            {"charge": other, "idempotency_key": "known"},
        ],
    )
    assert [
        (each["idempotency_key"], each["status"], (each["error"] or {}).get("param"))
        for each in done
    ] == [
        ("a", 201, None),
        ("a", 200, None),
        ("a", 400, "idempotency_key"),
        ("b", 409, "additional"),
        ("c", 201, None),
        ("d", 404, "charge"),
        ("e", 400, "amount"),
        (None, 400, "idempotency_key"),
        ("f", 400, "charge"),
        (None, 400, None),
        ("known", 200, None),
    ]
    assert done[2]["error"]["type"] == "idempotency_error"
    assert done[0]["refund_request"]["id"] == done[1]["refund_request"]["id"]
    assert done[-1]["refund_request"] == known.json
    assert count(caller) == 3


def test_what_is_left_when_time_is_up_is_recorded_and_decided_by_a_worker(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 1.0, api.batch.ASKING_SECONDS, api.batch.ASKING_SECONDS + 1])
    monkeypatch.setattr(api.batch, "monotonic_seconds", lambda: next(times))
    charges = [short(caller.stage) for _ in range(3)]
    done = results(caller, [{"charge": charge, "idempotency_key": charge} for charge in charges])
    assert [each["status"] for each in done] == [201, 202, 202]
    assert [each["refund_request"]["status"] for each in done] == ["held", "requested", "requested"]
    caller.stage.later(seconds=10)
    caller.stage.work()
    for each in done:
        shown = caller.get(f"/refund_requests/{each['refund_request']['id']}").json
        assert shown is not None
        assert (shown["status"], shown["shortfall"]) == ("held", 4000)


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "refund_requests"),
        ({"refund_requests": []}, "refund_requests"),
        ({"refund_requests": {}}, "refund_requests"),
        ({"refund_requests": [{"charge": "ch_1"}] * (BATCH_MAX + 1)}, "refund_requests"),
        ({"refund_requests": [{}], "idempotency_key": "k"}, "idempotency_key"),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(
    shared_caller: Caller, body: object, param: str
) -> None:
    answer = shared_caller.post("/refund_requests/batch", body)
    assert (answer.status_code, error_of(answer)["param"]) == (400, param)


def test_the_largest_batch_is_taken(shared_caller: Caller) -> None:
    wishes = [{"charge": f"ch_{n}", "idempotency_key": f"k{n}"} for n in range(BATCH_MAX)]
    done = results(shared_caller, wishes)
    assert [each["status"] for each in done] == [404] * BATCH_MAX
