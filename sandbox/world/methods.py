"""Payment methods: Stripe's test ones by name, and the stored ones of customers.

It tells how a payment method behaves and may not charge it.
"""

from dataclasses import dataclass

from sandbox.errors import invalid, missing
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.builders import METHODS, Method, billing_details, method_details
from sandbox.world.core import World
from sandbox.world.shelves import Record

_TOKENS = {
    "tok_visa": "pm_card_visa",
    "tok_mastercard": "pm_card_mastercard",
    "tok_bypassPending": "pm_card_bypassPending",
    "tok_pendingRefund": "pm_card_pendingRefund",
    "tok_refundFail": "pm_card_refundFail",
    "tok_chargeDeclined": "pm_card_chargeDeclined",
    "tok_createDispute": "pm_card_createDispute",
    "tok_createDisputeInquiry": "pm_card_createDisputeInquiry",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A payment method to charge; `id` is None when none was given yet."""

    id: str | None
    method: Method


def find(world: World, owner: AccountId, name: str | None, customer: str | None) -> Chosen:
    """The payment method of that name: a test one, a token, or a stored one of the customer."""
    if name is None:
        return Chosen(None, METHODS["pm_card_visa"])
    test = METHODS.get(_TOKENS.get(name, name))
    if test is not None:
        return Chosen(make(world, owner, test).id, test)
    record = world.shelves.owned("payment_method", owner, name)
    if record is None:
        raise missing("PaymentMethod", name, in_path=False, param="payment_method")
    if record.body["customer"] not in (None, customer):
        raise invalid(
            f"The payment method {name} belongs to another customer.", param="payment_method"
        )
    return Chosen(record.id, record.hidden["method"])


def make(world: World, owner: AccountId, method: Method) -> Record:
    """A payment method object that behaves like a test one."""
    body: JsonObject = {
        "id": world.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "created": world.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        **_details(method),
    }
    return world.put("payment_method", owner, body, method=method)


def _details(method: Method) -> JsonObject:
    """What a payment method shows of itself; a charge made with it shows other fields."""
    shown = method_details(method)[method.type]
    if method.type != "card":
        return {
            "type": method.type,
            method.type: {
                "account_holder_type": shown["account_holder_type"],
                "account_type": shown["account_type"],
                "bank_name": shown["bank_name"],
                "financial_connections_account": None,
                "fingerprint": shown["fingerprint"],
                "last4": shown["last4"],
                "networks": {"preferred": "ach", "supported": ["ach"]},
                "routing_number": shown["routing_number"],
                "status_details": None,
            },
        }
    return {
        "type": "card",
        "card": {
            "brand": shown["brand"],
            "checks": shown["checks"],
            "country": shown["country"],
            "display_brand": shown["brand"],
            "exp_month": shown["exp_month"],
            "exp_year": shown["exp_year"],
            "fingerprint": shown["fingerprint"],
            "funding": shown["funding"],
            "generated_from": None,
            "last4": shown["last4"],
            "networks": {"available": [shown["brand"]], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
    }


def attach(world: World, payment_method: Record, customer: Record) -> Record:
    """Store a payment method with a customer."""
    if payment_method.body["customer"] not in (None, customer.id):
        raise invalid(f"The payment method {payment_method.id} belongs to another customer.")
    with world.changing(payment_method, "payment_method.attached") as body:
        body["customer"] = customer.id
    return payment_method


def detach(world: World, payment_method: Record) -> Record:
    """Take a payment method from its customer."""
    if payment_method.body["customer"] is None:
        raise invalid(f"The payment method {payment_method.id} is not attached to a customer.")
    with world.changing(payment_method, "payment_method.detached") as body:
        body["customer"] = None
    return payment_method
