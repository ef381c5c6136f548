"""PaymentIntents, charges, refunds and disputes over the API.

It translates between parameters and the verbs of the world.
"""

from dataclasses import replace

from sandbox.api.call import Call, change_metadata
from sandbox.api.params import Params
from sandbox.errors import invalid, missing
from sandbox.shapes import AccountId, JsonObject
from sandbox.world import accounts, methods, payments


def intent(call: Call) -> JsonObject:
    """A PaymentIntent."""
    return call.answer(call.record("payment_intent"))


def intent_list(call: Call) -> JsonObject:
    """PaymentIntents, by customer."""
    customer = call.params.text("customer")
    return call.answer_list(
        call.world.shelves.of("payment_intent", call.owner),
        lambda record: customer in (None, record.body["customer"]),
    )


def intent_create(call: Call) -> JsonObject:
    """Begin a payment, and confirm it when asked."""
    params, customer = call.params, call.params.text("customer")
    if customer:
        call.referred("customer", customer, "customer")
    chosen = methods.find(call.world, call.owner, params.text("payment_method"), customer)
    purchase = _purchase(call, chosen, off_session=_off_session(params))
    confirming = params.boolean("confirm")
    record = payments.begin(call.world, purchase)
    if chosen.id is not None:
        record.body["payment_method"] = chosen.id
        record.body["status"] = "requires_confirmation"
    if confirming:
        if chosen.id is None:
            raise invalid(
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                code="payment_intent_unexpected_state",
            )
        payments.confirm(call.world, record, purchase)
    return call.answer(record)


def intent_confirm(call: Call) -> JsonObject:
    """Charge the payment method."""
    record, params = call.record("payment_intent"), call.params
    waiting = ("requires_payment_method", "requires_confirmation", "requires_action")
    if record.body["status"] not in waiting:
        raise invalid(
            "You cannot confirm this PaymentIntent because it has a status of "
            f"{record.body['status']}.",
            code="payment_intent_unexpected_state",
        )
    purchase: payments.Purchase = record.hidden["purchase"]
    given = params.text("payment_method") or record.body["payment_method"]
    if given is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    chosen = methods.find(call.world, call.owner, given, purchase.customer)
    purchase = replace(
        purchase,
        method=chosen.method,
        payment_method=chosen.id,
        off_session=_off_session(params),
    )
    record.hidden["purchase"] = purchase
    return call.answer(payments.confirm(call.world, record, purchase))


def intent_cancel(call: Call) -> JsonObject:
    """Give up a payment that hasn't succeeded."""
    record = call.record("payment_intent")
    if record.body["status"] in ("succeeded", "canceled"):
        raise invalid(
            "You cannot cancel this PaymentIntent because it has a status of "
            f"{record.body['status']}.",
            code="payment_intent_unexpected_state",
        )
    with call.world.changing(record, "payment_intent.canceled") as body:
        body["status"] = "canceled"
        body["canceled_at"] = call.world.now()
        body["cancellation_reason"] = call.params.text("cancellation_reason")
    return call.answer(record)


def intent_update(call: Call) -> JsonObject:
    """Change a payment's metadata or description."""
    record = call.record("payment_intent")
    if call.params.has("description"):
        record.body["description"] = call.params.text("description")
    return change_metadata(call, record)


def _off_session(params: Params) -> bool:
    """Whether the buyer isn't there; Stripe takes `true` and words such as `recurring`."""
    return params.text("off_session") not in (None, "false")


def _purchase(
    call: Call, chosen: methods.Chosen, *, off_session: bool = False
) -> payments.Purchase:
    """What the parameters of a payment ask for."""
    params = call.params
    transfer_data = params.nested("transfer_data", ("destination", "amount"))
    return payments.Purchase(
        owner=call.owner,
        amount_minor=params.required_integer("amount"),
        currency=params.required_currency(),
        method=chosen.method,
        payment_method=chosen.id,
        destination=_destination(call, transfer_data),
        transfer_amount_minor=transfer_data.integer("amount"),
        application_fee_minor=params.integer("application_fee_amount"),
        on_behalf_of=params.text("on_behalf_of"),
        transfer_group=params.text("transfer_group"),
        customer=params.text("customer"),
        description=params.text("description"),
        off_session=off_session,
        metadata=params.metadata(),
        shown=_shown(params),
    )


def _shown(params: Params) -> JsonObject:
    """What a payment only carries. What would change its course and isn't done here is refused."""
    if params.text("capture_method") == "manual" or not params.boolean("capture", default=True):
        raise invalid("The sandbox captures payments at once.", param="capture_method")
    if params.text("confirmation_method") == "manual":
        raise invalid("The sandbox confirms automatically.", param="confirmation_method")
    shown: JsonObject = {
        key: value
        for key in (
            "receipt_email",
            "setup_future_usage",
            "statement_descriptor",
            "statement_descriptor_suffix",
        )
        if (value := params.text(key)) is not None
    }
    if shipping := params.nested("shipping").values:
        shown["shipping"] = shipping
    if params.nested("automatic_payment_methods").boolean("enabled"):
        shown["automatic_payment_methods"] = {"enabled": True}
    return shown


def _destination(call: Call, transfer_data: Params) -> AccountId | None:
    account_id = transfer_data.text("destination")
    if account_id is None:
        return None
    record = accounts.connected(call.world, account_id)
    if record is None or call.world.is_platform(record.body["id"]):
        raise missing("destination", account_id, in_path=False, param="transfer_data[destination]")
    return AccountId(record.body["id"])


def charge(call: Call) -> JsonObject:
    """A charge."""
    return call.answer(call.record("charge"))


def charge_list(call: Call) -> JsonObject:
    """Charges, by PaymentIntent, customer or transfer group."""
    filters = {
        key: value
        for key in ("payment_intent", "customer", "transfer_group")
        if (value := call.params.text(key))
    }
    return call.answer_list(
        call.world.shelves.of("charge", call.owner),
        lambda record: all(record.body[key] == value for key, value in filters.items()),
    )


def charge_create(call: Call) -> JsonObject:
    """A charge the old way, without a PaymentIntent of the caller's making."""
    params = call.params
    source, customer = params.text("source") or "tok_visa", params.text("customer")
    chosen = methods.find(call.world, call.owner, source, customer)
    return call.answer(payments.charge_alone(call.world, _purchase(call, chosen)))


def charge_update(call: Call) -> JsonObject:
    """Change a charge's metadata or description."""
    record = call.record("charge")
    if call.params.has("description"):
        record.body["description"] = call.params.text("description")
    return change_metadata(call, record, "charge.updated")
