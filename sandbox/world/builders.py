"""The JSON bodies of payments and refunds, field by field as Stripe answers them.

It builds values and may not keep them or move money.
"""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.shapes import JsonObject
from sandbox.world.core import World
from sandbox.world.ids import token


class RefundFate(StrEnum):
    """What becomes of refunds of a payment, decided by its payment method."""

    SUCCEED = "succeed"
    PENDING = "pending"
    """Pending, succeeds later."""
    PENDING_FAIL = "pending_fail"
    FAIL_NOW = "fail_now"
    FAIL_LATE = "fail_late"
    """Succeeds, fails later."""
    REQUIRES_ACTION = "requires_action"


class PaymentFate(StrEnum):
    """What becomes of a payment with a payment method."""

    SUCCEED = "succeed"
    BYPASS_PENDING = "bypass_pending"
    """Succeeds, its money is available at once."""
    DECLINE = "decline"
    NEEDS_AUTHENTICATION = "needs_authentication"
    """Off session: declined with authentication_required."""
    DISPUTE = "dispute"
    INQUIRY = "inquiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A payment method of the test world and how it behaves."""

    id: str
    type: str = "card"
    brand: str = "visa"
    last4: str = "4242"
    payment: PaymentFate = PaymentFate.SUCCEED
    refund: RefundFate = RefundFate.SUCCEED
    decline_code: str | None = None


METHODS = {
    method.id: method
    for method in (
        Method(id="pm_card_visa"),
        Method(id="pm_card_mastercard", brand="mastercard", last4="4444"),
        Method(id="pm_card_bypassPending", last4="0077", payment=PaymentFate.BYPASS_PENDING),
        Method(id="pm_card_pendingRefund", last4="7726", refund=RefundFate.PENDING),
        Method(id="pm_card_refundFail", last4="5126", refund=RefundFate.FAIL_LATE),
        Method(
            id="pm_card_visa_chargeDeclined",
            last4="0002",
            payment=PaymentFate.DECLINE,
            decline_code="generic_decline",
        ),
        Method(
            id="pm_card_chargeDeclined",
            last4="0002",
            payment=PaymentFate.DECLINE,
            decline_code="generic_decline",
        ),
        Method(
            id="pm_card_chargeDeclinedInsufficientFunds",
            last4="9995",
            payment=PaymentFate.DECLINE,
            decline_code="insufficient_funds",
        ),
        Method(
            id="pm_card_authenticationRequired",
            last4="3184",
            payment=PaymentFate.NEEDS_AUTHENTICATION,
        ),
        Method(id="pm_card_createDispute", last4="0259", payment=PaymentFate.DISPUTE),
        Method(id="pm_card_createDisputeInquiry", last4="1976", payment=PaymentFate.INQUIRY),
        Method(id="pm_usBankAccount_success", type="us_bank_account", last4="6789"),
    )
}
"""Test payment methods by name (documentation: "Testing", payment methods)."""


def build_charge(
    world: World,
    *,
    charge_id: str,
    amount_minor: int,
    currency: str,
    balance_transaction: str | None,
    method: Method | None,
) -> JsonObject:
    """A paid charge; the caller fills in what ties it to other objects."""
    return {
        "id": charge_id,
        "object": "charge",
        "amount": amount_minor,
        "amount_captured": amount_minor,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": balance_transaction,
        "billing_details": billing_details(),
        "calculated_statement_descriptor": "SANDBOX",
        "captured": True,
        "created": world.now(),
        "currency": currency,
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": None
        if method is None
        else {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 12,
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None if method is None else method_details(method),
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def billing_details() -> JsonObject:
    """Who paid, as far as the sandbox asks: nothing."""
    nowhere = ("city", "country", "line1", "line2", "postal_code", "state")
    return {
        "address": dict.fromkeys(nowhere),
        "email": None,
        "name": None,
        "phone": None,
        "tax_id": None,
    }


def method_details(method: Method) -> JsonObject:
    """How the buyer paid, as a charge shows it."""
    if method.type != "card":
        return {
            "type": method.type,
            method.type: {
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "fingerprint": token(method.id, 16),
                "last4": method.last4,
                "payment_reference": None,
                "routing_number": "110000000",
            },
        }
    return {
        "type": "card",
        "card": {
            "amount_authorized": None,
            "authorization_code": None,
            "brand": method.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": token(method.id, 16),
            "funding": "credit",
            "installments": None,
            "last4": method.last4,
            "mandate": None,
            "network": method.brand,
            "network_token": {"used": False},
            "network_transaction_id": None,
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "wallet": None,
        },
    }


def build_intent(
    world: World, *, intent_id: str, amount_minor: int, currency: str, types: list[str]
) -> JsonObject:
    """A PaymentIntent that waits for its payment method."""
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount_minor,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{token(intent_id, 25)}",
        "confirmation_method": "automatic",
        "created": world.now(),
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": types,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def build_refund(
    world: World,
    *,
    refund_id: str,
    amount_minor: int,
    currency: str,
    charge: str,
    balance_transaction: str | None,
) -> JsonObject:
    """A succeeded refund; the caller fills in what ties it to other objects."""
    return {
        "id": refund_id,
        "object": "refund",
        "amount": amount_minor,
        "balance_transaction": balance_transaction,
        "charge": charge,
        "created": world.now(),
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "payment_intent": None,
        "payment_method": None,
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
