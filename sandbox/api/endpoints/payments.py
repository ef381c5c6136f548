"""PaymentIntents, charges, refunds and disputes over the API.

It translates between parameters and the verbs of the world.
"""

from dataclasses import replace

from sandbox.api.call import Call, change_metadata
from sandbox.api.params import Params
from sandbox.errors import ApiError, invalid, missing
from sandbox.shapes import AccountId, JsonObject
from sandbox.world import accounts, disputes, methods, payments, refunds
from sandbox.world.shelves import Record


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
    params = call.params
    transfer_data = params.nested("transfer_data", ("destination", "amount"))
    customer = params.text("customer")
    if customer:
        call.referred("customer", customer, "customer")
    chosen = methods.find(call.world, call.owner, params.text("payment_method"), customer)
    purchase = payments.Purchase(
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
        customer=customer,
        description=params.text("description"),
        off_session=params.text("off_session") not in (None, "false"),
        metadata=params.metadata(),
        shown=_shown(params),
    )
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
        off_session=params.text("off_session") not in (None, "false"),
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
    transfer_data = params.nested("transfer_data", ("destination", "amount"))
    chosen = methods.find(
        call.world, call.owner, params.text("source") or "tok_visa", params.text("customer")
    )
    purchase = payments.Purchase(
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
        metadata=params.metadata(),
        shown=_shown(params),
    )
    made = payments.charge_alone(call.world, purchase)
    return call.answer(made)


def charge_update(call: Call) -> JsonObject:
    """Change a charge's metadata or description."""
    record = call.record("charge")
    if call.params.has("description"):
        record.body["description"] = call.params.text("description")
    return change_metadata(call, record, "charge.updated")


def refund(call: Call) -> JsonObject:
    """A refund."""
    return call.answer(call.record("refund"))


def refund_list(call: Call) -> JsonObject:
    """Refunds, by charge or PaymentIntent."""
    filters = {
        key: value for key in ("charge", "payment_intent") if (value := call.params.text(key))
    }
    return call.answer_list(
        call.world.shelves.of("refund", call.owner),
        lambda record: all(record.body[key] == value for key, value in filters.items()),
    )


def charge_refund_list(call: Call) -> JsonObject:
    """The refunds of one charge."""
    return call.answer_list(call.world.shelves.linked("refund", call.record("charge").id))


def refund_create(call: Call) -> JsonObject:
    """Refund a charge or the charge of a PaymentIntent."""
    params = call.params
    request = refunds.Request(
        amount_minor=params.integer("amount"),
        reverse_transfer=params.boolean("reverse_transfer"),
        refund_application_fee=params.boolean("refund_application_fee"),
        reason=params.choice("reason", ("duplicate", "fraudulent", "requested_by_customer")),
        metadata=params.metadata(),
        instructions_email=params.text("instructions_email"),
    )
    return call.answer(refunds.create(call.world, _charge_to_refund(call), request))


def _charge_to_refund(call: Call) -> Record:
    charge_id, intent_id = call.params.text("charge"), call.params.text("payment_intent")
    if intent_id is not None:
        intent = call.referred("payment_intent", intent_id, "payment_intent")
        latest = intent.body["latest_charge"]
        if latest is None:
            raise invalid(
                f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
            )
        if charge_id not in (None, latest):
            raise invalid("charge and payment_intent name different payments.", param="charge")
        return call.world.shelves.get(latest)
    if charge_id is None:
        raise ApiError(
            400,
            "One of the following params should be provided for this request: payment_intent or "
            "charge.",
            code="parameter_missing",
        )
    return call.referred("charge", charge_id, "charge")


def refund_update(call: Call) -> JsonObject:
    """Change a refund's metadata."""
    return change_metadata(call, call.record("refund"), "refund.updated", "charge.refund.updated")


def refund_cancel(call: Call) -> JsonObject:
    """Withdraw a refund that waits for the buyer's action."""
    record = call.record("refund")
    refunds.cancel(call.world, record)
    return call.answer(record)


def dispute(call: Call) -> JsonObject:
    """A dispute."""
    return call.answer(call.record("dispute"))


def dispute_list(call: Call) -> JsonObject:
    """Disputes, by charge or PaymentIntent."""
    filters = {
        key: value for key in ("charge", "payment_intent") if (value := call.params.text(key))
    }
    return call.answer_list(
        call.world.shelves.of("dispute", call.owner),
        lambda record: all(record.body[key] == value for key, value in filters.items()),
    )


def dispute_update(call: Call) -> JsonObject:
    """Answer a dispute with evidence, and submit it unless told not to."""
    record, params = call.record("dispute"), call.params
    evidence = params.nested("evidence", record.body["evidence"]).values
    if evidence:
        disputes.answer(call.world, record, evidence, submit=params.boolean("submit", default=True))
    return change_metadata(call, record)


def warning(call: Call) -> JsonObject:
    """An early fraud warning."""
    return call.answer(call.record("radar.early_fraud_warning"))


def warning_list(call: Call) -> JsonObject:
    """Early fraud warnings, by charge or PaymentIntent."""
    filters = {
        key: value for key in ("charge", "payment_intent") if (value := call.params.text(key))
    }
    return call.answer_list(
        call.world.shelves.of("radar.early_fraud_warning", call.owner),
        lambda record: all(record.body[key] == value for key, value in filters.items()),
    )


def dispute_close(call: Call) -> JsonObject:
    """Accept a dispute as lost; an inquiry just ends."""
    record = call.record("dispute")
    inquiry = record.body["status"].startswith("warning")
    disputes.close(call.world, record, "warning_closed" if inquiry else "lost")
    return call.answer(record)
