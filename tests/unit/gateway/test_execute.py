"""What goes over the wire when money moves, and what is known of it afterwards.

It drives the real SDK against a canned transport; nothing here may look at the SDK's insides.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport import API_VERSION
from refunds.facts import RefundFacts, RefundStatus, ReversalFacts
from refunds.ids import AccountId, IdempotencyKey, ReversalId, TransferId
from refunds.money import Currency, Money
from refunds.steps import Done, StepKind, StripeCall, Trouble, Unknown
from tests.unit.gateway.canned import (
    NOW,
    THEN,
    Canned,
    Reply,
    Request,
    always,
    gateway_over,
    refund,
    reversal,
)

REFUND = StripeCall(
    kind=StepKind.REFUND,
    params={
        "charge": "ch_1",
        "amount": 5000,
        "reverse_transfer": True,
        "refund_application_fee": False,
        "metadata": {"sluice_request": "rr_1", "sluice_attempt": "ra_1"},
    },
    target=None,
    account=None,
    idempotency_key=IdempotencyKey("sluice-ra_1-1"),
)
REVERSAL = StripeCall(
    kind=StepKind.REVERSAL,
    params={"amount": 4000},
    target="tr_1",
    account=None,
    idempotency_key=IdempotencyKey("sluice-ra_1-2"),
)


def test_a_refund_is_sent_exactly_as_stored() -> None:
    transport = Canned(always(200, refund()))
    gateway_over(transport).execute(REFUND)
    (request,) = transport.requests
    assert (request.method, request.path) == ("post", "/v1/refunds")
    assert request.fields == {
        "charge": "ch_1",
        "amount": "5000",
        "reverse_transfer": "true",
        "refund_application_fee": "false",
        "metadata[sluice_request]": "rr_1",
        "metadata[sluice_attempt]": "ra_1",
    }
    assert request.headers["Idempotency-Key"] == "sluice-ra_1-1"
    assert request.headers["Stripe-Version"] == API_VERSION
    assert "Stripe-Account" not in request.headers


def test_a_second_try_is_the_same_request() -> None:
    transport = Canned(always(500, {}))
    gateway = gateway_over(transport)
    gateway.execute(REFUND)
    gateway.execute(REFUND)
    first, second = transport.requests
    assert first == second


def test_the_account_goes_into_the_header_and_not_into_the_body() -> None:
    transport = Canned(always(200, refund()))
    outcome = gateway_over(transport).execute(replace(REFUND, account=AccountId("acct_1")))
    (request,) = transport.requests
    assert request.headers["Stripe-Account"] == "acct_1"
    assert not any("acct" in value for value in request.fields.values())
    assert isinstance(outcome, Done)
    assert isinstance(outcome.object, RefundFacts)
    assert outcome.object.account == "acct_1"


def test_a_reversal_names_its_transfer_in_the_path() -> None:
    transport = Canned(always(200, reversal()))
    outcome = gateway_over(transport).execute(REVERSAL)
    (request,) = transport.requests
    assert request.path == "/v1/transfers/tr_1/reversals"
    assert request.fields == {"amount": "4000"}
    assert request.headers["Idempotency-Key"] == "sluice-ra_1-2"
    assert isinstance(outcome, Done)
    assert outcome.object == ReversalFacts(
        reversal=ReversalId("trr_1"),
        transfer=TransferId("tr_1"),
        amount=Money(4000, Currency("usd")),
        metadata={},
    )


@pytest.mark.parametrize("target", [None, "", "ch_1", "tr_", "tr_1/../../refunds", "tr_1\r\nX: y"])
def test_a_reversal_without_a_transfer_is_a_bug_and_is_not_sent(target: str | None) -> None:
    transport = Canned(always(200, reversal()))
    with pytest.raises(ValueError, match="needs the transfer"):
        gateway_over(transport).execute(replace(REVERSAL, target=target))
    assert transport.requests == []


def test_a_refund_that_was_made_is_told_in_facts() -> None:
    outcome = gateway_over(Canned(always(200, refund()))).execute(REFUND)
    assert isinstance(outcome, Done)
    assert (outcome.stripe_request, outcome.replayed) == ("req_canned", False)
    made = outcome.object
    assert isinstance(made, RefundFacts)
    assert (made.refund, made.charge, made.payment_intent) == ("re_1", "ch_1", "pi_1")
    assert made.amount == Money(5000, Currency("usd"))
    assert (made.status, made.reversal, made.live) == (RefundStatus.SUCCEEDED, "trr_1", True)
    assert made.metadata == {"sluice_request": "rr_1"}
    assert (made.created, made.read_at) == (datetime.fromtimestamp(THEN, UTC), NOW)


@pytest.mark.parametrize(
    "headers, replayed",
    [
        ({}, False),
        ({"Idempotent-Replayed": "true"}, True),
        ({"idempotent-replayed": "true"}, True),
        ({"Idempotent-Replayed": "false"}, False),
    ],
)
def test_a_replay_is_told_apart(headers: Mapping[str, str], replayed: bool) -> None:
    outcome = gateway_over(Canned(always(200, refund(), headers))).execute(REFUND)
    assert isinstance(outcome, Done)
    assert outcome.replayed is replayed


@pytest.mark.parametrize(
    "changes, status",
    [
        ({"status": "a_word_of_next_year"}, RefundStatus.UNKNOWN),
        ({"status": None}, RefundStatus.UNKNOWN),
        ({"status": "requires_action"}, RefundStatus.REQUIRES_ACTION),
        ({"metadata": None, "next_action": None, "destination_details": None}, "succeeded"),
        ({"next_action": {"type": None}, "destination_details": []}, "succeeded"),
        ({"transfer_reversal": {"id": "trr_1", "object": "transfer_reversal"}}, "succeeded"),
        ({"charge": {"id": "ch_1", "object": "charge", "refunds": None}}, "succeeded"),
    ],
)
def test_a_refund_in_an_unfamiliar_shape_is_still_a_refund(
    changes: Mapping[str, object], status: str
) -> None:
    """Losing one of these would leave a refund that was made with no outcome for 24 hours."""
    outcome = gateway_over(Canned(always(200, refund(**changes)))).execute(REFUND)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.object, RefundFacts)
    assert outcome.object.status == status
    assert outcome.object.charge == "ch_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"amount": "5000"},
        {"amount": 50.0},
        {"amount": True},
        {"currency": None},
        {"created": 10**20},
    ],
)
def test_an_amount_is_never_guessed(changes: Mapping[str, object]) -> None:
    outcome = gateway_over(Canned(always(200, refund(**changes)))).execute(REFUND)
    assert isinstance(outcome, Unknown)
    assert (outcome.trouble, outcome.http_status) == (Trouble.UNREADABLE, 200)
    assert next(iter(changes)) in outcome.message


@pytest.mark.parametrize(
    "cause, trouble",
    [
        (TimeoutError("read timed out"), Trouble.TIMEOUT),
        (ConnectionResetError("reset"), Trouble.CONNECTION),
        (None, Trouble.CONNECTION),
    ],
)
def test_a_lost_answer_is_unknown_and_tells_why(cause: Exception | None, trouble: Trouble) -> None:
    def answer(_request: Request) -> Reply:
        said = "header 'Bearer sk_test_secret123' could not be sent"
        raise stripe.APIConnectionError(said) from cause  # type: ignore[no-untyped-call]  # the SDK's

    outcome = gateway_over(Canned(answer)).execute(REFUND)
    assert isinstance(outcome, Unknown)
    assert outcome.trouble is trouble
    assert "secret123" not in repr(outcome)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([200, 201, 400, 402, 404, 500]), json_values, st.data())
def test_no_answer_whatsoever_makes_execute_raise(
    status: int, value: object, data: st.DataObject
) -> None:
    """Any JSON at all, and a good refund or error with any one field made strange."""
    good = refund() | {"error": {"type": "invalid_request_error", "code": None, "message": "No."}}
    key = data.draw(st.sampled_from(sorted(good)))
    strange = data.draw(st.sampled_from([value, good | {key: value}, {"error": {key: value}}]))
    replies: list[Request] = []

    def answer(request: Request) -> Reply:
        replies.append(request)
        return Reply(status, strange)

    outcome = gateway_over(Canned(answer)).execute(REFUND)
    assert outcome is not None
    assert len(replies) == 1
