"""What a person may do over HTTP: with a reason, by state, and once for each key."""

import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from handlers.operate import Action
from refunds.ids import RequestId
from store.installation import actions_on
from store.requests import waivers_of
from store.tables.installation import OperatorAction
from tests.support.caller import Caller, error_of

NOTE = {"note": "the buyer called; <b>'; DROP TABLE\r\n=1+1 \u202e"}


def held(caller: Caller) -> str:
    charge = caller.stage.paid(caller.stage.account(1000), 5000)
    return str(caller.stage.wish(charge))


def did(caller: Caller, request: str) -> list[OperatorAction]:
    with caller.stage.services.database.reading() as unit:
        return actions_on(unit, request)


def acted(caller: Caller, request: str, action: str, **more: Any) -> dict[str, Any]:
    answer = caller.post(f"/refund_requests/{request}/{action}", NOTE, **more)
    assert answer.status_code == 200, answer.json
    view: dict[str, Any] | None = answer.json
    assert view is not None
    return view


@pytest.mark.parametrize("action, status", [("cancel", "canceled"), ("close", "closed")])
def test_a_request_is_ended_with_who_and_why(caller: Caller, action: str, status: str) -> None:
    request = held(caller)
    view = acted(caller, request, action)
    assert (view["status"], view) == (status, caller.stage.view(RequestId(request)))
    [row] = did(caller, request)
    assert (row.actor, row.action, row.note) == ("api:all", action, NOTE["note"])


def test_released_uncovered_it_goes_out_by_the_worker(caller: Caller) -> None:
    request = held(caller)
    assert acted(caller, request, "release", token="cover")["status"] == "held"
    assert caller.stage.refunds() == []
    caller.stage.work()
    assert caller.stage.view(RequestId(request))["status"] == "succeeded"
    assert [row.actor for row in did(caller, request)] == ["api:cover"]


def test_approved_it_is_on_hold_again(caller: Caller) -> None:
    request = held(caller)
    caller.stage.later(days=8)
    caller.stage.work()
    assert caller.stage.view(RequestId(request))["status"] == "review"
    assert acted(caller, request, "approve", token="approve")["status"] == "held"


@pytest.mark.parametrize("action", Action)
def test_what_the_state_does_not_allow_changes_nothing(caller: Caller, action: str) -> None:
    request = held(caller)
    view = acted(caller, request, "cancel")
    refused = caller.post(f"/refund_requests/{request}/{action}", NOTE)
    assert refused.status_code == 409
    assert error_of(refused)["code"] == "wrong_state"
    assert "it is canceled" in error_of(refused)["message"]
    assert caller.get(f"/refund_requests/{request}").json == view
    assert len(did(caller, request)) == 1


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(
    "body", [{}, {"note": ""}, {"note": " \t"}, {"note": "x" * 1_001}, {"note": 1}, {"note": None}]
)
def test_an_action_needs_a_reason(shared_caller: Caller, action: str, body: object) -> None:
    answer = shared_caller.post(f"/refund_requests/rr_0/{action}", body)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "note")


def test_under_a_key_it_is_done_once_and_answered_the_same(caller: Caller) -> None:
    request = held(caller)
    first = acted(caller, request, "release", key="k")
    caller.stage.work()
    assert caller.stage.view(RequestId(request))["status"] == "succeeded"
    path = f"/refund_requests/{request}/release"
    again = caller.post(path, NOTE, key="k")
    assert (again.status_code, again.json) == (200, first), "as it was then"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(did(caller, request)) == 1
    other = caller.post(path, {"note": "another"}, key="k")
    assert (other.status_code, error_of(other)["type"]) == (400, "idempotency_error")
    elsewhere = caller.post(f"/refund_requests/{request}/cancel", NOTE, key="k")
    assert error_of(elsewhere)["type"] == "idempotency_error"
    assert caller.post(path, NOTE, key="k", token="cover").status_code == 409, "a key of its own"
    assert caller.post(path, NOTE, key=None).status_code == 409


def test_a_refusal_is_not_kept_under_a_key(caller: Caller) -> None:
    request = held(caller)
    path = f"/refund_requests/{request}/approve"
    assert caller.post(path, NOTE, key="k").status_code == 409
    caller.stage.later(days=8)
    caller.stage.work()
    assert caller.post(path, NOTE, key="k").status_code == 200


def test_of_many_at_once_under_one_key_one_does_it(caller: Caller) -> None:
    request = held(caller)
    answers: list[tuple[int, Any]] = []

    def ask() -> None:
        answer = caller.post(f"/refund_requests/{request}/release", NOTE, key="k")
        answers.append((answer.status_code, answer.json))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [200] * 6
    assert all(view == answers[0][1] for _, view in answers)
    assert len(did(caller, request)) == 1
    with caller.stage.services.database.reading() as unit:
        assert len(waivers_of(unit, request)) == 1


def test_what_was_rolled_back_is_not_logged_as_done(caller: Caller) -> None:
    request = held(caller)
    with capture_logs() as entries:
        acted(caller, request, "cancel", key="k")
        caller.post(f"/refund_requests/{request}/cancel", NOTE, key="other")
    assert [entry["event"] for entry in entries].count("request.operated") == 1
