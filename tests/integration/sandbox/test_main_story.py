"""The story the project exists for, told to the sandbox by the real SDK over HTTP."""

from typing import Any

import pytest
import stripe

from sandbox.server import SandboxServer
from tests.integration.sandbox.conftest import Receiver

DAY = 86_400


def buy(sandbox: SandboxServer, account: str, **more: Any) -> dict[str, Any]:
    """A destination charge of 50.00 with a fee of 5.00, landing available."""
    wish = {"charge_type": "destination", "account": account, "amount": 5000}
    return sandbox.control("POST", "payments", {**wish, "application_fee_amount": 500, **more})


def money(client: stripe.StripeClient, account: str) -> tuple[int, int]:
    """Available and pending of an account in its one currency."""
    balance = client.v1.balance.retrieve(options={"stripe_account": account})
    return balance.available[0].amount, balance.pending[0].amount


@pytest.fixture
def account(sandbox: SandboxServer) -> str:
    """A connected account; the platform has money to refund from."""
    sandbox.control("POST", "accounts/platform/balance", {"available": 100_000})
    return str(sandbox.control("POST", "accounts", {})["id"])


def test_a_shortfall_is_refused_and_covered_later(
    sandbox: SandboxServer, client: stripe.StripeClient, account: str, receiver: Receiver
) -> None:
    payment = buy(sandbox, account)["payment_intent"]["id"]
    assert money(client, account) == (4500, 0)
    sandbox.control("POST", f"accounts/{account}/payout")
    assert money(client, account) == (0, 0)

    wish: Any = {
        "payment_intent": payment,
        "reverse_transfer": True,
        "refund_application_fee": True,
        "metadata": {"sluice_request": "rr_1"},
    }
    with pytest.raises(stripe.InvalidRequestError) as short:
        client.v1.refunds.create(wish, {"idempotency_key": "one"})
    assert short.value.code == "balance_insufficient"
    assert client.v1.refunds.list({"payment_intent": payment}).data == []

    sandbox.control("POST", f"accounts/{account}/earn", {"amount": 6000, "funds": "pending"})
    assert money(client, account) == (0, 6000)
    sandbox.control("POST", f"accounts/{account}/make_available")
    assert money(client, account) == (6000, 0)

    # The first result of a key is kept, refusals included.
    with pytest.raises(stripe.InvalidRequestError) as again:
        client.v1.refunds.create(wish, {"idempotency_key": "one"})
    assert again.value.headers is not None
    assert again.value.headers["Idempotent-Replayed"] == "true"

    refund = client.v1.refunds.create(wish, {"idempotency_key": "two"})
    assert refund.status == "succeeded"
    # 6000 available - 5000 gross reversal + 500 of the fee back
    assert money(client, account) == (1500, 0)

    assert sandbox.courier.wait_idle(10)
    assert receiver.forged == 0
    assert receiver.types(account).count("balance.available") == 1
    assert {"refund.created", "charge.refunded", "transfer.reversed"} <= set(receiver.types())
    calls = sandbox.control("GET", "calls")
    assert [
        (call["idempotency_key"], call["status"], call["replayed"]) for call in calls["calls"]
    ] == [
        ("one", 400, False),
        ("one", 400, True),
        ("two", 200, False),
    ]
    assert [call["idempotency_key"] for call in calls["refused"]] == ["one"]


def test_expansions_reach_the_settlement_currency(
    sandbox: SandboxServer, client: stripe.StripeClient
) -> None:
    euro = sandbox.control("POST", "accounts", {"country": "DE", "default_currency": "eur"})["id"]
    payment = buy(sandbox, euro)["payment_intent"]["id"]
    deep = "latest_charge.transfer.destination_payment.balance_transaction"
    intent = client.v1.payment_intents.retrieve(
        payment, {"expand": [deep, "latest_charge.refunds"]}
    )
    charge: Any = intent.latest_charge
    txn = charge.transfer.destination_payment.balance_transaction
    # 50.00 USD at 1.25 USD per EUR, and 5.00 USD of fee: 40.00 EUR and 4.00 EUR
    assert (txn.currency, txn.amount, txn.fee, txn.net) == ("eur", 4000, 400, 3600)
    assert charge.transfer.currency == "usd"
    assert charge.refunds.data == []


def test_own_pending_money_is_taken_first(
    sandbox: SandboxServer, client: stripe.StripeClient, account: str
) -> None:
    payment = buy(sandbox, account, application_fee_amount=None, funds="pending")
    assert money(client, account) == (0, 5000)
    wish: Any = {"charge": payment["charge"]["id"], "amount": 2000, "reverse_transfer": True}
    client.v1.refunds.create(wish)
    assert money(client, account) == (0, 3000)


# C, T and the refunds in order -> the reversals: A·T/C rounded half up, the last one what is left.
SHARES = [
    (3, 2, [2, 1], [1, 1]),
    (1000, 555, [600, 400], [333, 222]),
    # a third of 1 rounds to nothing, twice; nothing may be left over
    (3, 1, [1, 1, 1], [1]),
    (100, 7, [33, 33, 34], [2, 2, 3]),
]


@pytest.mark.parametrize("amount, transferred, refunds, reversals", SHARES)
def test_the_last_partial_refund_takes_what_is_left(
    sandbox: SandboxServer,
    client: stripe.StripeClient,
    account: str,
    amount: int,
    transferred: int,
    refunds: list[int],
    reversals: list[int],
) -> None:
    made = buy(
        sandbox, account, amount=amount, application_fee_amount=None, transfer_amount=transferred
    )
    for part in refunds:
        client.v1.refunds.create(
            {"charge": made["charge"]["id"], "amount": part, "reverse_transfer": True}
        )
    found = client.v1.transfers.reversals.list(made["transfer"]["id"]).data
    assert [item.amount for item in reversed(found)] == reversals
    assert sum(reversals) == transferred


def test_a_late_failure_gives_the_platform_its_money_and_leaves_the_reversal(
    sandbox: SandboxServer, client: stripe.StripeClient, account: str, receiver: Receiver
) -> None:
    payment = buy(sandbox, account, application_fee_amount=None, refund_fate="fail_late")
    before = client.v1.balance.retrieve().available[0].amount
    refund = client.v1.refunds.create({"charge": payment["charge"]["id"], "reverse_transfer": True})
    assert refund.status == "succeeded"
    sandbox.control("POST", "clock", {"advance": DAY})
    failed = client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "unknown")
    # The reversal's 5000 stays with the platform, the refund's 5000 came back to it.
    assert client.v1.balance.retrieve().available[0].amount == before + 5000
    assert money(client, account) == (0, 0)
    assert client.v1.charges.retrieve(payment["charge"]["id"]).amount_refunded == 0
    assert sandbox.courier.wait_idle(10)
    assert {"refund.failed", "refund.updated", "charge.refund.updated"} <= set(receiver.types())


def test_a_platform_without_money_makes_card_refunds_wait_and_then_fail(
    sandbox: SandboxServer, client: stripe.StripeClient
) -> None:
    charge = sandbox.control("POST", "payments", {"charge_type": "platform", "amount": 2000})
    charge_id = charge["charge"]["id"]
    sandbox.control("POST", "accounts/platform/balance", {"available": 0})
    first = client.v1.refunds.create({"charge": charge_id, "amount": 500})
    second = client.v1.refunds.create({"charge": charge_id, "amount": 700})
    assert (first.status, first.pending_reason) == ("pending", "insufficient_funds")
    sandbox.control("POST", "accounts/platform/balance", {"available": 600})
    assert client.v1.refunds.retrieve(first.id).status == "succeeded"
    assert client.v1.refunds.retrieve(second.id).status == "pending"
    sandbox.control("POST", "clock", {"advance": 45 * DAY})
    expired = client.v1.refunds.retrieve(second.id)
    assert (expired.status, expired.failure_reason) == ("failed", "insufficient_funds")


def test_disputes_block_refunds_and_inquiries_do_not(
    sandbox: SandboxServer, client: stripe.StripeClient, account: str
) -> None:
    asked, taken = buy(sandbox, account)["charge"]["id"], buy(sandbox, account)["charge"]["id"]
    sandbox.control("POST", "disputes", {"charge": asked, "kind": "inquiry"})
    dispute = sandbox.control("POST", "disputes", {"charge": taken})
    assert client.v1.refunds.create({"charge": asked}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": taken})
    assert refused.value.code == "charge_disputed"
    sandbox.control("POST", f"disputes/{dispute['id']}/close", {"status": "won"})
    assert client.v1.refunds.create({"charge": taken}).status == "succeeded"


def test_a_deauthorized_account_is_out_of_reach(
    sandbox: SandboxServer, client: stripe.StripeClient, account: str, receiver: Receiver
) -> None:
    sandbox.control("POST", f"accounts/{account}/deauthorize")
    with pytest.raises(stripe.PermissionError):
        client.v1.balance.retrieve(options={"stripe_account": account})
    with pytest.raises(stripe.PermissionError):
        client.v1.accounts.retrieve(account)
    assert sandbox.courier.wait_idle(10)
    told = [event for event in receiver.events if event["type"].endswith("deauthorized")]
    assert [event["account"] for event in told] == [account]
    assert told[0]["data"]["object"]["object"] == "application"


def test_the_negative_switch_lets_the_account_go_below_zero(
    sandbox: SandboxServer, client: stripe.StripeClient, account: str
) -> None:
    payment = buy(sandbox, account)["charge"]["id"]
    sandbox.control("POST", f"accounts/{account}/payout")
    sandbox.control("POST", "switches", {"short": "negative"})
    client.v1.refunds.create({"charge": payment, "reverse_transfer": True})
    assert money(client, account) == (-5000, 0)
