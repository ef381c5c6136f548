"""Wishes over HTTP: recorded once with their decision, refused with a reason, or not recorded."""

import json
from typing import Any, Final

import pytest

from handlers.intake import take_in
from refunds.ids import RequestId
from refunds.wish import Wish
from store.requests import get_request, list_requests
from tests.support.caller import Caller, error_of
from tests.support.stage import Stage


def short(stage: Stage, amount: int = 5000) -> str:
    """A charge whose account has 10.00 USD left."""
    return stage.paid(stage.account(1000), amount)


def count(stage: Stage) -> int:
    with stage.services.database.reading() as unit:
        return len(list_requests(unit))


def test_a_wish_is_recorded_with_its_decision(caller: Caller) -> None:
    charge = short(caller.stage)
    metadata = {"order": "1042", "größe": "<b>'; DROP TABLE\r\n=1+1 \u202e"}
    body = {"charge": charge, "amount": 2500, "reason": "duplicate", "metadata": metadata}
    answer = caller.post("/refund_requests", body, key="order 1042", token="request")
    assert answer.status_code == 201
    view = answer.json
    assert view is not None
    assert (view["status"], view["amount"], view["charge"]) == ("held", 2500, charge)
    assert (view["need"]["amount"], view["spendable"], view["shortfall"]) == (2500, 1000, 1500)
    assert (view["decision"]["outcome"], view["decision"]["rule"]) == ("hold", "cover")
    assert "15.00 USD short" in view["decision"]["why"]
    assert (view["reason"], view["metadata"]) == ("duplicate", metadata)
    assert view == caller.stage.view(RequestId(view["id"]))
    with caller.stage.services.database.reading() as unit:
        row = get_request(unit, view["id"])
    assert (row.actor, row.idempotency_key) == ("api:request", "order 1042")


def test_a_covered_wish_goes_out_by_the_worker_alone(caller: Caller) -> None:
    charge = caller.stage.paid(caller.stage.account(9000), 5000)
    answer = caller.post("/refund_requests", {"charge": charge})
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (201, "requested")
    assert caller.stage.refunds() == [], "the web never moves money"
    caller.stage.work()
    shown = caller.get(f"/refund_requests/{answer.json['id']}").json
    assert shown is not None
    assert (shown["status"], shown["released_amount"]) == ("succeeded", 5000)
    assert shown["refunds"] == [refund["id"] for refund in caller.stage.refunds()]


def test_the_same_key_is_the_same_request_for_ever(caller: Caller) -> None:
    body = {"charge": short(caller.stage), "amount": 2500}
    first = caller.post("/refund_requests", body, key="k")
    again = caller.post("/refund_requests", dict(reversed(body.items())), key="k", token="request")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    caller.stage.later(days=400)
    assert caller.post("/refund_requests", body, key="k").status_code == 200
    for other in ({**body, "amount": 2501}, {**body, "additional": True}, {"charge": "ch_1"}):
        refused = caller.post("/refund_requests", other, key="k")
        error = error_of(refused)
        assert (refused.status_code, error["type"]) == (400, "idempotency_error")
        assert (error["code"], error["param"]) == ("idempotency_error", "Idempotency-Key")
    assert count(caller.stage) == 1


def test_the_terminal_and_the_api_share_their_keys(caller: Caller) -> None:
    charge = short(caller.stage)
    wish = Wish(payment=charge)
    taken = take_in(caller.stage.services, wish, idempotency_key="k", actor="cli:somebody")
    answer = caller.post("/refund_requests", {"charge": charge}, key="k")
    assert answer.json is not None
    assert (answer.status_code, answer.json["id"]) == (200, taken.request)


def test_while_stripe_is_away_a_wish_is_recorded_and_decided_later(caller: Caller) -> None:
    charge = short(caller.stage)
    caller.stage.fault("http_500", path="*", method="*", times=None)
    body = {"charge": charge}
    answer = caller.post("/refund_requests", body, key="k")
    view = answer.json
    assert view is not None
    assert (answer.status_code, view["status"], view["decision"]) == (202, "requested", None)
    assert caller.post("/refund_requests", body, key="k").status_code == 200
    assert caller.get(f"/refund_requests/{view['id']}").json == view
    assert caller.get("/refund_requests").status_code == 200
    preview = caller.post("/refund_requests/preview", body)
    assert preview.status_code == 503
    assert int(preview.headers["Retry-After"]) >= 1
    assert error_of(preview)["type"] == "api_error"
    canceled = caller.post(f"/refund_requests/{view['id']}/cancel", {"note": "can't wait"})
    assert canceled.json is not None
    assert canceled.json["status"] == "canceled"


def test_a_preview_is_the_same_object_and_records_nothing(caller: Caller) -> None:
    body = {"charge": short(caller.stage), "amount": 2500, "metadata": {"a": "b"}}
    preview = caller.post("/refund_requests/preview", body)
    assert preview.status_code == 200
    assert preview.json is not None
    assert (preview.json["id"], preview.json["shortfall"]) == (None, 1500)
    assert count(caller.stage) == 0
    made = caller.post("/refund_requests", body).json
    assert made is not None
    assert preview.json.keys() == made.keys()
    same = preview.json.keys() - {"id", "created", "deadline", "decision"}
    assert {name: preview.json[name] for name in same} == {name: made[name] for name in same}


def test_a_valid_wish_that_cannot_be_met_is_recorded_as_rejected(caller: Caller) -> None:
    stage = caller.stage
    charge = stage.paid(stage.account(9000), 5000)
    stage.wish(charge)
    stage.work()
    answer = caller.post("/refund_requests", {"charge": charge})
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (201, "rejected")
    assert answer.json["decision"]["rule"] == "already_refunded"


def test_a_second_wish_needs_the_word_that_both_are_owed(caller: Caller) -> None:
    charge = short(caller.stage)
    caller.post("/refund_requests", {"charge": charge, "amount": 1500})
    for path in ("/refund_requests", "/refund_requests/preview"):
        refused = caller.post(path, {"charge": charge, "amount": 1500})
        assert refused.status_code == 409
        error = error_of(refused)
        assert (error["code"], error["param"]) == ("refund_request_open", "additional")
    assert count(caller.stage) == 1
    both = caller.post("/refund_requests", {"charge": charge, "amount": 1500, "additional": True})
    assert both.status_code == 201


@pytest.mark.parametrize("name", ["payment_intent", "charge"])
def test_an_unknown_payment_is_named_as_the_caller_did(caller: Caller, name: str) -> None:
    wish = {name: "pi_nowhere" if name == "payment_intent" else "ch_nowhere"}
    for path in ("/refund_requests", "/refund_requests/preview"):
        answer = caller.post(path, wish)
        assert answer.status_code == 404
        error = error_of(answer)
        assert (error["code"], error["param"]) == ("resource_missing", name)
    assert count(caller.stage) == 0


def test_a_split_payment_asks_which_transfers(caller: Caller) -> None:
    one, two = caller.stage.account(9000), caller.stage.account(9000)
    charge, transfers = caller.stage.paid_split(6000, [(one, 3000), (two, 2000)])
    for path in ("/refund_requests", "/refund_requests/preview"):
        unclear = caller.post(path, {"charge": charge})
        assert unclear.status_code == 422
        error = error_of(unclear)
        assert (error["code"], error["param"]) == ("transfers_ambiguous", "transfers")
        assert all(transfer in error["message"] for transfer in transfers)
    batch = caller.post(
        "/refund_requests/batch",
        {"refund_requests": [{"charge": charge, "idempotency_key": "unclear"}]},
    )
    assert batch.json is not None
    assert batch.json["data"][0]["status"] == 422
    assert count(caller.stage) == 0
    named = [{"transfer": transfers[0], "amount": 1000}, {"transfer": transfers[1]}]
    body = {"charge": charge, "amount": 3000, "transfers": named}
    made = caller.post("/refund_requests", body, key="split")
    assert made.json is not None
    assert (made.status_code, made.json["charge_type"]) == (201, "separate")
    assert caller.post("/refund_requests", body, key="split").status_code == 200
    other = {**body, "transfers": named[:1]}
    assert error_of(caller.post("/refund_requests", other, key="split"))["type"] == (
        "idempotency_error"
    )


TRANSFER: Final = {"transfer": "tr_1"}


def test_an_account_that_shows_nothing_is_no_outage(caller: Caller) -> None:
    wish = {"charge": "ch_1", "account": "acct_mistyped"}
    for path in ("/refund_requests", "/refund_requests/preview"):
        answer = caller.post(path, wish)
        assert answer.status_code == 404
        assert (error_of(answer)["code"], error_of(answer)["param"]) == (
            "resource_missing",
            "account",
        )
    assert count(caller.stage) == 0


CHARGE: Final = "ch_1"
NO_AMOUNTS: Final[list[Any]] = [
    *(0, -1, 10**12, 2**53, True, False, "5", 5.0, 5.5, 1e3, None, [], {}),
]
ODD: Final[list[tuple[Any, str, str | None]]] = [
    # What is asked, the code of the answer, and the field it names.
    ({}, "parameter_missing", "payment_intent"),
    ({"amount": 1}, "parameter_missing", "payment_intent"),
    ({"payment_intent": "pi_1", "charge": CHARGE}, "parameter_invalid", "charge"),
    ({"payment_intent": None}, "parameter_invalid", "payment_intent"),
    ({"payment_intent": CHARGE}, "parameter_invalid", "payment_intent"),
    ({"payment_intent": "pi_"}, "parameter_invalid", "payment_intent"),
    ({"payment_intent": "pi_1\n"}, "parameter_invalid", "payment_intent"),
    ({"payment_intent": "pi_" + "x" * 251}, "parameter_invalid", "payment_intent"),
    ({"payment_intent": ["pi_1"]}, "parameter_invalid", "payment_intent"),
    ({"charge": "pi_1"}, "parameter_invalid", "charge"),
    ({"charge": "ch_\u0661"}, "parameter_invalid", "charge"),
    *[
        ({"charge": CHARGE, "amount": amount}, "parameter_invalid", "amount")
        for amount in NO_AMOUNTS
    ],
    ({"charge": CHARGE, "account": "acct_%"}, "parameter_invalid", "account"),
    ({"charge": CHARGE, "transfers": TRANSFER}, "parameter_invalid", "transfers"),
    ({"charge": CHARGE, "transfers": ["tr_1"]}, "parameter_invalid", "transfers.0"),
    ({"charge": CHARGE, "transfers": [{}]}, "parameter_missing", "transfers.0.transfer"),
    (
        {"charge": CHARGE, "transfers": [{**TRANSFER, "amount": 0}]},
        "parameter_invalid",
        "transfers.0.amount",
    ),
    (
        {"charge": CHARGE, "transfers": [{**TRANSFER, "account": "acct_1"}]},
        "parameter_unknown",
        "transfers.0.account",
    ),
    ({"charge": CHARGE, "transfers": [TRANSFER] * 2}, "parameter_invalid", "transfers"),
    ({"charge": CHARGE, "transfers": [TRANSFER] * 51}, "parameter_invalid", "transfers"),
    ({"charge": CHARGE, "reason": "bored"}, "parameter_invalid", "reason"),
    ({"charge": CHARGE, "reason": None}, "parameter_invalid", "reason"),
    ({"charge": CHARGE, "additional": 1}, "parameter_invalid", "additional"),
    ({"charge": CHARGE, "additional": "true"}, "parameter_invalid", "additional"),
    (
        {"charge": CHARGE, "refund_application_fee": 0},
        "parameter_invalid",
        "refund_application_fee",
    ),
    ({"charge": CHARGE, "metadata": []}, "parameter_invalid", "metadata"),
    ({"charge": CHARGE, "metadata": {"a": 1}}, "parameter_invalid", "metadata.a"),
    ({"charge": CHARGE, "metadata": {"a": None}}, "parameter_invalid", "metadata.a"),
    ({"charge": CHARGE, "metadata": {"": "a"}}, "parameter_invalid", "metadata"),
    ({"charge": CHARGE, "metadata": {"a": "x" * 501}}, "parameter_invalid", "metadata.a"),
    (
        {"charge": CHARGE, "metadata": {str(n): "" for n in range(51)}},
        "parameter_invalid",
        "metadata",
    ),
    ({"charge": CHARGE, "metadata": {"a": "\x00"}}, "parameter_invalid", None),
    ({"charge": CHARGE, "metadata": {"a": "\ud800"}}, "parameter_invalid", None),
    ({"charge": CHARGE, "amuont": 5}, "parameter_unknown", "amuont"),
    ({"charge": CHARGE, "\ud800": 5}, "parameter_invalid", None),
    ({"charge": CHARGE, "x" * 900_000: 5}, "parameter_unknown", "x" * 80),
    ([], "parameter_invalid", None),
    ("ch_1", "parameter_invalid", None),
    (None, "parameter_invalid", None),
    (True, "parameter_invalid", None),
]


@pytest.mark.parametrize("path", ["/refund_requests", "/refund_requests/preview"])
@pytest.mark.parametrize("case", range(len(ODD)))
def test_what_is_no_wish_is_refused_by_name(shared_caller: Caller, case: int, path: str) -> None:
    wish, code, param = ODD[case]
    answer = shared_caller.post(path, data=json.dumps(wish).encode())
    assert answer.status_code == 400, answer.json
    error = error_of(answer)
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert error["param"] == param
    assert len(error["message"]) < 500
    assert count(shared_caller.stage) == 0
