"""Refunds, disputes and early fraud warnings over the API.

It translates between parameters and the verbs of the world.
"""

from sandbox.api.call import Call, change_metadata
from sandbox.errors import ApiError, invalid
from sandbox.shapes import JsonObject
from sandbox.world import disputes, refund_course, refunds
from sandbox.world.shelves import Record


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
    refund_course.cancel(call.world, record)
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
