"""A story that makes every kind of object and every event that the sandbox knows.

It only tells the story; tests look at what it leaves behind.
"""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from sandbox.inprocess import InProcessSandbox

DAY = 86_400
Control = Callable[[str, str, dict[str, Any]], dict[str, Any]]


def told() -> InProcessSandbox:
    """A sandbox in this process in which everything has happened at least once."""
    sandbox = InProcessSandbox(seed=3)
    tell(sandbox.client(), sandbox.control)
    return sandbox


def tell(client: stripe.StripeClient, control: Control) -> None:
    """Let everything happen, by the API and by control verbs."""
    control("POST", "accounts/platform/balance", {"available": 500_000})
    connected = _accounts(control, client)
    _destination(control, client, connected)
    _direct(control, client, connected)
    _transfers(client, connected)
    _payouts(control, client, connected)
    _refund_fates(control, client)
    _disputes(control, client)
    _customers(control, client)
    _topups(control, client)
    _endpoints(client)
    control("POST", "clock", {"advance": 50 * DAY})
    gone = control("POST", "accounts", {})["id"]
    control("POST", f"accounts/{gone}/deauthorize", {})


def _accounts(control: Control, client: stripe.StripeClient) -> str:
    client.v1.accounts.create(
        {
            "type": "express",
            "country": "DE",
            "email": "shop@example.com",
            "metadata": {"shop": "1"},
            "business_profile": {"name": "A shop", "mcc": "5734"},
        }
    )
    account = client.v1.accounts.create(
        {"country": "US", "controller": {"losses": {"payments": "application"}}}
    ).id
    client.v1.accounts.update(account, {"metadata": {"risk": "high"}})
    control("POST", "accounts", {"losses": "stripe", "payouts": "weekly"})
    payouts: Any = {
        "minimum_balance_by_currency": {"usd": 1500},
        "schedule": {"interval": "monthly", "monthly_payout_days": [1, 15]},
    }
    # The typed SDK trips over the nulls of Stripe's answer, so it goes around its types.
    for payments in (
        {"payouts": payouts, "settlement_timing": {"delay_days_override": 9}},
        {"payouts": {"schedule": {"interval": "manual"}}},
    ):
        client.raw_request(
            "post", "/v1/balance_settings", payments=payments, stripe_account=account
        )
    return account


def _destination(control: Control, client: stripe.StripeClient, account: str) -> None:
    for more in ({"application_fee_amount": 500}, {"transfer_amount": 4000}):
        wish = {"charge_type": "destination", "account": account, "amount": 5000, **more}
        made = control("POST", "payments", wish)
        control("POST", f"accounts/{account}/earn", {"amount": 1000})
        back: Any = {
            "charge": made["charge"]["id"],
            "amount": 1000,
            "reverse_transfer": True,
            "refund_application_fee": "application_fee_amount" in more,
            "metadata": {"why": "test"},
        }
        refund = client.v1.refunds.create(back)
        client.v1.refunds.update(refund.id, {"metadata": {"why": "changed"}})
        client.v1.charges.update(made["charge"]["id"], {"description": "a book"})
        client.v1.transfers.update(made["transfer"]["id"], {"metadata": {"a": "b"}})
    pending = {"charge_type": "destination", "account": account, "amount": 700, "funds": "pending"}
    control("POST", "payments", pending)


def _direct(control: Control, client: stripe.StripeClient, account: str) -> None:
    wish = {"charge_type": "direct", "account": account, "amount": 9000}
    made = control("POST", "payments", {**wish, "application_fee_amount": 900})
    intent = made["payment_intent"]["id"]
    client.v1.refunds.create(
        {"payment_intent": intent, "amount": 3000, "refund_application_fee": True},
        {"stripe_account": account},
    )
    fee = client.v1.application_fees.list({"limit": 1}).data[0]
    client.v1.application_fees.refunds.create(fee.id, {"amount": 10})


def _transfers(client: stripe.StripeClient, account: str) -> None:
    intent = client.v1.payment_intents.create(
        {
            "amount": 8000,
            "currency": "usd",
            "payment_method": "pm_usBankAccount_success",
            "transfer_group": "order_1",
        }
    )
    intent = client.v1.payment_intents.confirm(intent.id)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    charge: Any = intent.latest_charge
    sent = client.v1.transfers.create(
        {
            "amount": 2000,
            "currency": "usd",
            "destination": account,
            "source_transaction": charge,
        }
    )
    client.v1.transfers.reversals.create(sent.id, {"amount": 500, "metadata": {"a": "b"}})
    platform = client.v1.accounts.retrieve_current().id
    client.v1.transfers.create(
        {"amount": 100, "currency": "usd", "destination": platform}, {"stripe_account": account}
    )


def _payouts(control: Control, client: stripe.StripeClient, account: str) -> None:
    acting: Any = {"stripe_account": account}
    first, second, third = (
        client.v1.payouts.create({"amount": amount, "currency": "usd"}, acting)
        for amount in (100, 200, 300)
    )
    client.v1.payouts.cancel(first.id, options=acting)
    control("POST", f"payouts/{second.id}/fail", {})
    control("POST", "clock", {"advance": 3 * DAY})
    client.v1.payouts.reverse(third.id, options=acting)
    control("POST", f"accounts/{account}/payout", {"amount": 50})


def _refund_fates(control: Control, client: stripe.StripeClient) -> None:
    for fate in ("pending", "pending_fail", "fail_now", "fail_late", "requires_action"):
        wish = {"charge_type": "platform", "amount": 1000, "refund_fate": fate}
        made = control("POST", "payments", wish)
        refund = client.v1.refunds.create(
            {"charge": made["charge"]["id"], "instructions_email": "buyer@example.com"}
        )
        if fate == "requires_action":
            client.v1.refunds.cancel(refund.id)


def _disputes(control: Control, client: stripe.StripeClient) -> None:
    ends = ("won", "lost", "warning_closed", "escalate")
    for end in ends:
        made = control("POST", "payments", {"charge_type": "platform", "amount": 1200})
        kind = "inquiry" if end in ("warning_closed", "escalate") else "chargeback"
        dispute = control("POST", "disputes", {"charge": made["charge"]["id"], "kind": kind})
        control("POST", "early_fraud_warnings", {"charge": made["charge"]["id"]})
        client.v1.disputes.update(
            dispute["id"], {"evidence": {"product_description": "a book"}, "submit": end == "won"}
        )
        if end == "escalate":
            control("POST", f"disputes/{dispute['id']}/escalate", {})
        elif end == "lost":
            client.v1.disputes.close(dispute["id"])
        else:
            control("POST", f"disputes/{dispute['id']}/close", {"status": end})


def _customers(control: Control, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create(
        {"email": "buyer@example.com", "payment_method": "pm_card_visa"}
    )
    client.v1.customers.update(customer.id, {"name": "A buyer"})
    stored = client.v1.customers.payment_methods.list(customer.id).data[0].id
    off_session: Any = {
        "amount": 2500,
        "currency": "usd",
        "customer": customer.id,
        "confirm": True,
        "off_session": True,
    }
    off_session["payment_method"] = stored
    client.v1.payment_intents.create(off_session)
    for name in ("pm_card_authenticationRequired", "pm_card_chargeDeclined"):
        method = client.v1.payment_methods.attach(name, {"customer": customer.id})
        off_session["payment_method"] = method.id
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(off_session)
        client.v1.payment_methods.detach(method.id)
    asked = client.v1.payment_intents.create(
        {
            "amount": 900,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_authenticationRequired",
            "receipt_email": "buyer@example.com",
            "shipping": {"name": "A buyer", "address": {"line1": "1 Street", "country": "US"}},
        }
    )
    control("POST", f"payment_intents/{asked.id}/authenticate", {})
    for name in ("pm_card_createDispute", "pm_card_createDisputeInquiry"):
        client.v1.payment_intents.create(
            {"amount": 900, "currency": "usd", "confirm": True, "payment_method": name}
        )
    left = client.v1.payment_intents.create({"amount": 100, "currency": "usd"})
    client.v1.payment_intents.cancel(left.id, {"cancellation_reason": "abandoned"})
    client.v1.customers.delete(client.v1.customers.create().id)


def _topups(control: Control, client: stripe.StripeClient) -> None:
    first, second = (
        client.v1.topups.create({"amount": amount, "currency": "usd"}) for amount in (500, 600)
    )
    client.v1.topups.cancel(first.id)
    third = client.v1.topups.create({"amount": 700, "currency": "usd"})
    control("POST", f"topups/{third.id}/fail", {})
    control("POST", "clock", {"advance": 2 * DAY})
    assert client.v1.topups.retrieve(second.id).status == "succeeded"


def _endpoints(client: stripe.StripeClient) -> None:
    made = client.v1.webhook_endpoints.create(
        {"url": "http://receiver.invalid/", "enabled_events": ["*"], "connect": True}
    )
    client.v1.webhook_endpoints.update(made.id, {"description": "a door", "disabled": True})
