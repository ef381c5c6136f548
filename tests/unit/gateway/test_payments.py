"""What is read of a payment: which kind it is, whose money it was, and what a refund would touch.

Each row is one shape a payment can have at Stripe; nothing here may depend on policy.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from gateway.port import (
    ListingTooLongError,
    NotFoundError,
    ReadError,
    RejectedReadError,
    UnavailableError,
)
from refunds.facts import ChargeFacts, ChargeType
from refunds.ids import AccountId, ChargeId
from refunds.money import Currency, Money
from refunds.steps import Trouble
from tests.unit.gateway.canned import (
    NOW,
    THEN,
    Canned,
    Reply,
    by_path,
    charge,
    dispute,
    error,
    gateway_over,
    listing,
    transaction,
    transfer,
)

USD, EUR = Currency("usd"), Currency("eur")
ACCOUNT = AccountId("acct_1")


def read(
    payment: str, world: Mapping[str, object], account: AccountId | None = None
) -> tuple[ChargeFacts, Canned]:
    transport = Canned(by_path(world))
    return gateway_over(transport).read_payment(payment, account), transport


DESTINATION = charge(
    transfer=transfer(),
    transfer_data={"destination": "acct_1", "amount": None},
    application_fee_amount=1_000,
    # Not the account that got the money.
    on_behalf_of="acct_other",
)
RECEIVED = charge(
    id="py_1",
    balance_transaction=transaction(amount=9_200, net=8_280, currency="eur", status="pending"),
)


def test_a_destination_charge_is_read_with_its_transfer_and_how_that_settled() -> None:
    facts, transport = read("ch_1", {"/v1/charges/ch_1": DESTINATION, "/v1/charges/py_1": RECEIVED})
    assert (facts.charge, facts.payment_intent) == ("ch_1", "pi_1")
    assert (facts.charge_type, facts.account) == (ChargeType.DESTINATION, "acct_1")
    assert (facts.amount, facts.refunded_minor) == (Money(10_000, USD), 0)
    assert (facts.refundable, facts.disputed, facts.livemode) == (True, False, False)
    assert (facts.payment_method, facts.application_fee_minor) == ("card", 1_000)
    assert facts.platform_settled == Money(10_000, USD)
    assert (facts.created, facts.read_at) == (datetime.fromtimestamp(THEN, UTC), NOW)
    assert facts.transfer is not None
    assert facts.transfer.amount == Money(10_000, USD)
    assert facts.transfer.settlement is not None
    # The balance to look at is the one this settled in: EUR, though buyer and transfer were USD.
    assert facts.transfer.settlement.amount == Money(9_200, EUR)
    assert (facts.transfer.settlement.net_minor, facts.transfer.settlement.pending) == (8_280, True)
    assert facts.transfer.settlement.available_on == datetime.fromtimestamp(THEN + 86_400, UTC)
    first, second = transport.requests
    assert "Stripe-Account" not in first.headers
    assert set(first.fields.values()) == {"transfer", "balance_transaction"}
    assert second.headers["Stripe-Account"] == "acct_1"
    assert set(second.fields.values()) == {"balance_transaction"}


def test_a_payment_intent_is_followed_to_its_latest_charge() -> None:
    world = {
        "/v1/payment_intents/pi_1": {"id": "pi_1", "latest_charge": DESTINATION},
        "/v1/charges/py_1": RECEIVED,
    }
    facts, transport = read("pi_1", world)
    assert facts.charge == "ch_1"
    assert set(transport.requests[0].fields.values()) == {
        "latest_charge.transfer",
        "latest_charge.balance_transaction",
    }


def test_what_stripe_leaves_unexpanded_is_read_by_itself() -> None:
    world = {
        "/v1/payment_intents/pi_1": {"id": "pi_1", "latest_charge": "ch_1"},
        "/v1/charges/ch_1": DESTINATION | {"transfer": "tr_1", "balance_transaction": "txn_1"},
        "/v1/transfers/tr_1": transfer(amount_reversed=2_500),
        "/v1/charges/py_1": RECEIVED,
    }
    facts, _ = read("pi_1", world)
    assert facts.transfer is not None
    assert facts.transfer.reversed_minor == 2_500
    assert facts.platform_settled is None


@pytest.mark.parametrize(
    "reply",
    [Reply(403, error("account_invalid")), Reply(404, error("resource_missing"))],
    ids=["no access", "not there"],
)
def test_an_account_that_cannot_be_looked_into_leaves_the_settlement_open(reply: Reply) -> None:
    facts, _ = read("ch_1", {"/v1/charges/ch_1": DESTINATION, "/v1/charges/py_1": reply})
    assert facts.transfer is not None
    assert facts.transfer.settlement is None
    assert facts.transfer.amount == Money(10_000, USD)


@pytest.mark.parametrize(
    "reply, trouble",
    [
        (Reply(401, error()), Trouble.DENIED),
        (Reply(429, error()), Trouble.RATE_LIMITED),
        (Reply(500, error()), Trouble.SERVER_ERROR),
        (Reply(404, b"<html>"), Trouble.SERVER_ERROR),
    ],
    ids=["revoked key", "too many requests", "Stripe's fault", "a proxy's 404"],
)
def test_trouble_is_not_taken_for_an_account_without_access(reply: Reply, trouble: Trouble) -> None:
    """An open settlement would be judged in the transfer's currency: possibly the wrong balance."""
    with pytest.raises(UnavailableError) as caught:
        read("ch_1", {"/v1/charges/ch_1": DESTINATION, "/v1/charges/py_1": reply})
    assert caught.value.trouble is trouble


@pytest.mark.parametrize(
    "received",
    [charge(id="py_1", balance_transaction=None), charge(id="py_1", balance_transaction="txn_1")],
    ids=["none yet", "unexpanded"],
)
def test_a_destination_payment_without_a_balance_transaction(
    received: Mapping[str, object],
) -> None:
    facts, _ = read("ch_1", {"/v1/charges/ch_1": DESTINATION, "/v1/charges/py_1": received})
    assert facts.transfer is not None
    assert facts.transfer.settlement is None


def test_money_in_an_unknown_state_is_not_counted_as_pending() -> None:
    received = charge(id="py_1", balance_transaction=transaction(status="a_new_word"))
    facts, _ = read("ch_1", {"/v1/charges/ch_1": DESTINATION, "/v1/charges/py_1": received})
    assert facts.transfer is not None
    assert facts.transfer.settlement is not None
    assert not facts.transfer.settlement.pending


def test_a_paid_destination_charge_without_its_transfer_is_not_the_platforms_own() -> None:
    half_made = DESTINATION | {"transfer": None}
    with pytest.raises(UnavailableError, match="no transfer yet") as caught:
        read("ch_1", {"/v1/charges/ch_1": half_made})
    assert caught.value.trouble is Trouble.NOT_READY


def test_an_uncaptured_destination_charge_has_no_transfer_and_nothing_to_refund() -> None:
    uncaptured = DESTINATION | {"transfer": None, "captured": False, "amount_captured": 0}
    facts, _ = read("ch_1", {"/v1/charges/ch_1": uncaptured})
    assert (facts.charge_type, facts.transfer) == (ChargeType.DESTINATION, None)
    assert (facts.refundable, facts.amount) == (False, Money(0, USD))


@pytest.mark.parametrize(
    "changes, refundable",
    [
        ({}, True),
        ({"paid": False, "status": "failed"}, False),
        ({"status": "pending"}, False),
        ({"captured": False}, False),
        ({"status": "a_new_word"}, False),
    ],
)
def test_only_money_that_arrived_can_be_refunded(
    changes: Mapping[str, object], refundable: bool
) -> None:
    facts, _ = read("ch_1", {"/v1/charges/ch_1": charge(**changes)})
    assert facts.refundable is refundable


def test_the_most_to_refund_is_what_was_captured() -> None:
    facts, _ = read("ch_1", {"/v1/charges/ch_1": charge(amount_captured=7_000, amount_refunded=1)})
    assert facts.amount == Money(7_000, USD)
    assert facts.remaining_minor == 6_999


@pytest.mark.parametrize(
    "group, transfers, kind",
    [
        (None, [], ChargeType.PLATFORM),
        ("order_1", [], ChargeType.PLATFORM),
        ("order_1", [transfer(source_transaction="ch_1")], ChargeType.SEPARATE),
        ("order_1", [transfer(source_transaction=None)], ChargeType.SEPARATE),
        ("order_1", [transfer(source_transaction={"id": "ch_1"})], ChargeType.SEPARATE),
        # Another charge of the same order passed its money on; this one didn't.
        ("order_1", [transfer(source_transaction="ch_2")], ChargeType.PLATFORM),
        (
            "order_1",
            [transfer(source_transaction="ch_2"), transfer(id="tr_2")],
            ChargeType.SEPARATE,
        ),
        # Taken back in full: still not a payment that was the platform's alone.
        ("order_1", [transfer(amount_reversed=10_000)], ChargeType.SEPARATE),
    ],
)
def test_a_charge_whose_group_has_transfers_is_not_the_platforms_own(
    group: str | None, transfers: list[Mapping[str, object]], kind: ChargeType
) -> None:
    world = {
        "/v1/charges/ch_1": charge(transfer_group=group),
        "/v1/transfers": listing(*transfers),
    }
    facts, transport = read("ch_1", world)
    assert (facts.charge_type, facts.transfer, facts.account) == (kind, None, None)
    if group is not None:
        assert transport.requests[1].fields["transfer_group"] == group


@pytest.mark.parametrize(
    "sources, open_group",
    [
        (["ch_1"], None),
        ([None], "order_1"),
        (["ch_1", None], "order_1"),
        # Tied to another charge, it is nobody's doubt.
        (["ch_1", "ch_2"], None),
    ],
)
def test_a_transfer_tied_to_no_charge_leaves_the_group_open(
    sources: list[str | None], open_group: str | None
) -> None:
    made = [transfer(id=f"tr_{n}", source_transaction=of) for n, of in enumerate(sources)]
    world = {"/v1/charges/ch_1": charge(transfer_group="order_1"), "/v1/transfers": listing(*made)}
    facts, _ = read("ch_1", world)
    assert facts.open_group == open_group


@pytest.mark.parametrize(
    "found, shared",
    [
        ([charge()], False),
        ([charge(), charge(id="ch_2")], True),
        ([charge(), charge(id="ch_2", status="pending")], True),
        # The buyer's card was declined twice before: no money came in by those.
        ([charge(), charge(id="ch_2", status="failed"), charge(id="ch_3", status="failed")], False),
        ([], False),
    ],
)
def test_a_group_is_shared_with_charges_that_brought_money(
    found: list[Mapping[str, object]], shared: bool
) -> None:
    transport = Canned(lambda _request: Reply(200, listing(*found)))
    assert gateway_over(transport).shares_group(ChargeId("ch_1"), "order_1") is shared
    (request,) = transport.requests
    assert (request.path, request.fields["transfer_group"]) == ("/v1/charges", "order_1")


def test_a_group_of_too_many_charges_counts_as_shared() -> None:
    tries = [charge(id=f"ch_{n}", status="failed") for n in range(100)]
    transport = Canned(lambda _request: Reply(200, listing(*tries, has_more=True)))
    assert gateway_over(transport).shares_group(ChargeId("ch_1"), "order_1")
    assert len(transport.requests) == 2


def test_the_intents_transfer_group_counts_where_the_charge_has_none() -> None:
    world = {
        "/v1/payment_intents/pi_1": {
            "id": "pi_1",
            "latest_charge": charge(),
            "transfer_group": "order_1",
        },
        "/v1/transfers": listing(transfer()),
    }
    facts, _ = read("pi_1", world)
    assert facts.charge_type is ChargeType.SEPARATE


def test_a_group_too_long_to_read_is_no_proof_of_anything() -> None:
    def answer(_request: object) -> Reply:
        others = (transfer(source_transaction="ch_2") for _ in range(100))
        return Reply(200, listing(*others, has_more=True))

    transport = Canned(
        lambda request: (
            answer(request)
            if request.path == "/v1/transfers"
            else Reply(200, charge(transfer_group="order_1"))
        )
    )
    with pytest.raises(ListingTooLongError, match="more than 1000"):
        gateway_over(transport).read_payment("ch_1")
    assert len(transport.requests) == 1 + 11


def test_a_charge_read_in_an_account_is_a_direct_one() -> None:
    facts, transport = read("ch_1", {"/v1/charges/ch_1": charge()}, ACCOUNT)
    assert (facts.charge_type, facts.transfer) == (ChargeType.DIRECT, None)
    # Its balance transaction is the account's, not the platform's.
    assert facts.platform_settled is None
    assert transport.requests[0].headers["Stripe-Account"] == "acct_1"


def test_the_receiving_end_of_a_transfer_is_not_taken_for_a_customers_payment() -> None:
    received = charge(id="py_1", source_transfer="tr_1")
    with pytest.raises(RejectedReadError, match="the platform's charge behind that transfer"):
        read("py_1", {"/v1/charges/py_1": received}, ACCOUNT)


CHARGEBACK = dispute()
INQUIRY = dispute(status="warning_needs_response", is_charge_refundable=True)


@pytest.mark.parametrize(
    "disputes, blocked",
    [
        ([CHARGEBACK], True),
        ([dispute(status="under_review")], True),
        ([dispute(status="a_new_word")], True),
        ([INQUIRY], False),
        ([INQUIRY | {"is_charge_refundable": None}], True),
        ([dispute(status="warning_closed")], False),
        ([dispute(status="won")], False),
        # The bank took the money back for the buyer: a refund would pay twice.
        ([dispute(status="lost")], True),
        ([dispute(status="won"), CHARGEBACK], True),
    ],
)
def test_a_dispute_blocks_while_it_is_open_or_when_it_was_lost(
    disputes: list[Mapping[str, object]], blocked: bool
) -> None:
    """The charge's own field stays true in every row."""
    world = {"/v1/charges/ch_1": charge(disputed=True), "/v1/disputes": listing(*disputes)}
    facts, transport = read("ch_1", world)
    assert facts.disputed is blocked
    assert transport.requests[1].fields["charge"] == "ch_1"


@pytest.mark.parametrize(
    "payment",
    [
        "",
        "cus_1",
        "re_1",
        "pi_1/../../refunds",
        "ch_1?expand[]=x",
        "pi_1\r\nX: y",
        "ch_" + "a" * 300,
    ],
)
def test_an_id_that_cannot_be_a_payments_is_not_asked_for(payment: str) -> None:
    transport = Canned(by_path({}))
    with pytest.raises(RejectedReadError):
        gateway_over(transport).read_payment(payment)
    assert transport.requests == []


@pytest.mark.parametrize("account", ["acct_", "ch_1", "acct_1\r\nX: y", "acct_ü"])
def test_an_account_that_cannot_be_one_is_not_asked_for(account: str) -> None:
    transport = Canned(by_path({}))
    with pytest.raises(RejectedReadError):
        gateway_over(transport).read_payment("ch_1", AccountId(account))
    assert transport.requests == []


def test_an_intent_nobody_has_paid_says_so() -> None:
    intent = {"id": "pi_1", "latest_charge": None, "status": "requires_payment_method"}
    with pytest.raises(RejectedReadError, match=r"no charge.*requires_payment_method"):
        read("pi_1", {"/v1/payment_intents/pi_1": intent})


def test_a_payment_stripe_does_not_know() -> None:
    with pytest.raises(NotFoundError):
        read("ch_1", {})


@pytest.mark.parametrize("field", ["id", "amount_captured", "amount_refunded", "currency"])
def test_a_charge_without_a_figure_is_unusable(field: str) -> None:
    with pytest.raises(ReadError) as caught:
        read("ch_1", {"/v1/charges/ch_1": charge(**{field: None})})
    assert isinstance(caught.value, UnavailableError)
    assert field in str(caught.value)
