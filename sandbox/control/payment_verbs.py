"""The control verbs about payments: buyers pay, complain, authenticate; refunds go wrong.

A verb reads its JSON and calls the world; the world decides what is possible.
"""

from sandbox.control.desk import Order
from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world import disputes, methods, payments, refund_course, refunds, transfers
from sandbox.world.builders import METHODS, RefundFate
from sandbox.world.shelves import Record


def pay(order: Order) -> JsonObject:
    """A buyer pays: PaymentIntent, charge, transfer and fee in one go."""
    ask, world = order.asking, order.world
    kind = ask.choice("charge_type", ("platform", "destination", "separate", "direct"), "platform")
    account_id = ask.text("account") or ask.text("destination")
    name = ask.text("payment_method") or "pm_card_visa"
    fate = ask.text("refund_fate")
    due = order.landing()
    account = order.connected(ask.required("account", account_id)) if kind in _PAYEES else None
    owner = account.body["id"] if account and kind == "direct" else world.platform
    if name not in METHODS:
        raise invalid(f"payment_method must be one of {', '.join(METHODS)}.")
    chosen = methods.find(world, owner, name, None)
    purchase = payments.Purchase(
        owner=owner,
        amount_minor=ask.required("amount", ask.integer("amount")),
        currency=ask.text("currency") or "usd",
        method=chosen.method,
        payment_method=chosen.id,
        destination=account.body["id"] if account and kind == "destination" else None,
        transfer_amount_minor=ask.integer("transfer_amount"),
        application_fee_minor=ask.integer("application_fee_amount"),
        on_behalf_of=ask.text("on_behalf_of"),
        transfer_group=ask.text("transfer_group"),
        available_on=due,
        description=ask.text("description"),
        metadata=ask.mapping("metadata"),
    )
    shares = ask.rows("transfers")
    ask.finish()
    intent = payments.pay(world, purchase)
    charge = world.shelves.get(intent.body["latest_charge"])
    if fate is not None:
        charge.hidden["refund_fate"] = RefundFate(fate)
    sent = [_share(order, charge, share) for share in shares]
    transfer = charge.body.get("transfer")
    return {
        "payment_intent": order.shown(intent),
        "charge": order.shown(charge),
        "transfer": order.shown(world.shelves.get(transfer)) if transfer else None,
        "transfers": [order.shown(record) for record in sent],
    }


_PAYEES = ("destination", "direct")


def _share(order: Order, charge: Record, share: JsonObject) -> Record:
    wish = transfers.Wish(
        sender=charge.owner,
        destination=order.connected(str(share["destination"])).body["id"],
        amount_minor=int(share["amount"]),
        currency=charge.body["currency"],
    )
    return transfers.send(order.world, wish, charge)


def dispute(order: Order) -> JsonObject:
    """The buyer's bank complains about a charge."""
    ask = order.asking
    charge = order.object("charge", ask.required("charge", ask.text("charge")))
    kind = disputes.Kind(ask.text("kind") or "chargeback")
    amount, reason = ask.integer("amount"), ask.text("reason") or "general"
    ask.finish()
    made = disputes.raise_dispute(
        order.world, charge, kind=kind, amount_minor=amount, reason=reason
    )
    return order.shown(made)


def close_dispute(order: Order) -> JsonObject:
    """End a dispute."""
    status = order.asking.required("status", order.asking.text("status"))
    order.asking.finish()
    return order.shown(disputes.close(order.world, order.object("dispute"), status))


def escalate_dispute(order: Order) -> JsonObject:
    """Turn an inquiry into a chargeback."""
    order.asking.finish()
    return order.shown(disputes.escalate(order.world, order.object("dispute")))


def refund(order: Order) -> JsonObject:
    """Somebody else refunds, as in the Dashboard: no idempotency key, no metadata of ours."""
    ask = order.asking
    charge_id, intent_id = ask.text("charge"), ask.text("payment_intent")
    if charge_id is None:
        intent = order.object("payment_intent", ask.required("payment_intent", intent_id))
        charge_id = intent.body["latest_charge"]
    request = refunds.Request(
        amount_minor=ask.integer("amount"),
        reverse_transfer=ask.boolean("reverse_transfer"),
        refund_application_fee=ask.boolean("refund_application_fee"),
        reason=ask.text("reason"),
        metadata=ask.mapping("metadata"),
    )
    ask.finish()
    made = refunds.create(order.world, order.object("charge", charge_id), request)
    return order.shown(made)


def fail_refund(order: Order) -> JsonObject:
    """The buyer's bank sends a refund back, even one that succeeded."""
    reason = order.asking.text("reason") or "lost_or_stolen_card"
    order.asking.finish()
    record = order.object("refund")
    refund_course.fail(order.world, record, reason)
    return order.shown(record)


def succeed_refund(order: Order) -> JsonObject:
    """A pending refund reaches the buyer."""
    order.asking.finish()
    record = order.object("refund")
    refund_course.succeed(order.world, record)
    return order.shown(record)


def set_refund_fate(order: Order) -> JsonObject:
    """Decide what becomes of a charge's future refunds."""
    fate = RefundFate(order.asking.required("fate", order.asking.text("fate")))
    order.asking.finish()
    order.object("charge").hidden["refund_fate"] = fate
    return {"charge": order.named["id"], "fate": fate.value}


def authenticate(order: Order) -> JsonObject:
    """The buyer confirms a payment that requires action."""
    order.asking.finish()
    intent = order.object("payment_intent")
    return order.shown(payments.authenticate(order.world, intent))


def warn(order: Order) -> JsonObject:
    """The issuer suspects fraud: an early fraud warning."""
    charge = order.object("charge", order.asking.required("charge", order.asking.text("charge")))
    fraud_type = order.asking.text("fraud_type") or "made_with_stolen_card"
    order.asking.finish()
    return order.shown(disputes.warn(order.world, charge, fraud_type))
