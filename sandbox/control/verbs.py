"""The control verbs that make and move things, one function per path.

A verb reads its JSON and calls the world; the world decides what is possible.
"""

from sandbox.api.rendering import render
from sandbox.control.desk import Order
from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world import (
    accounts,
    balances,
    course,
    disputes,
    methods,
    payments,
    payouts,
    refunds,
    staging,
    topups,
    transfers,
    webhooks,
)
from sandbox.world.accounts import DAY
from sandbox.world.builders import METHODS, RefundFate
from sandbox.world.shelves import Record


def _shown(order: Order, record: Record) -> JsonObject:
    return render(order.world, record)


def _balance(order: Order, account: Record) -> JsonObject:
    return balances.build(order.world, account.body["id"])


def open_account(order: Order) -> JsonObject:
    """Connect an account."""
    ask = order.asking
    available, pending = ask.integer("available"), ask.integer("pending")
    ask.only(
        [
            "id",
            "country",
            "default_currency",
            "losses",
            "payouts",
            "currencies",
            "details",
            "available",
            "pending",
        ]
    )
    made = accounts.open_connected(
        order.world,
        account_id=ask.text("id"),
        country=ask.text("country") or "US",
        currency=ask.text("default_currency") or "usd",
        losses=ask.text("losses") or "application",
        interval=accounts.Interval(ask.text("payouts") or "manual"),
        currencies=tuple(ask.texts("currencies")),
        details=ask.mapping("details"),
    )
    currency = made.body["default_currency"]
    if available:
        staging.set_available(order.world, made, available, currency)
    if pending:
        staging.set_pending(order.world, made, pending, currency, _later(order))
    return _shown(order, made)


def _later(order: Order) -> int:
    return order.world.now() + order.world.switches.settlement_days * DAY


def pay(order: Order) -> JsonObject:
    """A buyer pays: PaymentIntent, charge, transfer and fee in one go."""
    ask, world = order.asking, order.world
    kind = ask.choice("charge_type", ("platform", "destination", "separate", "direct"), "platform")
    account_id = ask.text("account") or ask.text("destination")
    name = ask.text("payment_method") or "pm_card_visa"
    fate = ask.text("refund_fate")
    due = _due(order)
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
        "payment_intent": _shown(order, intent),
        "charge": _shown(order, charge),
        "transfer": _shown(order, world.shelves.get(transfer)) if transfer else None,
        "transfers": [_shown(order, record) for record in sent],
    }


_PAYEES = ("destination", "direct")


def _due(order: Order) -> int | None:
    """When money lands: `funds` says now or later, `available_on` says exactly."""
    funds = order.asking.choice("funds", ("available", "pending"), "available")
    moment = order.asking.moment("available_on")
    if moment is not None:
        return moment
    return order.world.now() if funds == "available" else _later(order)


def _share(order: Order, charge: Record, share: JsonObject) -> Record:
    wish = transfers.Wish(
        sender=charge.owner,
        destination=order.connected(str(share["destination"])).body["id"],
        amount_minor=int(share["amount"]),
        currency=charge.body["currency"],
    )
    return transfers.send(order.world, wish, charge)


def earn(order: Order) -> JsonObject:
    """Give an account money from nowhere."""
    ask, account = order.asking, order.account()
    amount = ask.required("amount", ask.integer("amount"))
    currency = ask.text("currency") or account.body["default_currency"]
    due = _due(order)
    quiet = ask.boolean("quiet")
    ask.finish()
    staging.add(order.world, account, amount, currency, available_on=due)
    # Money that lands available at once has no moment of its own at which Stripe would tell.
    if amount > 0 and due is not None and due <= order.world.now() and not quiet:
        balances.tell_available(order.world, account.body["id"])
    return _balance(order, account)


def set_balance(order: Order) -> JsonObject:
    """Make an account's balance exactly so, without an event."""
    ask, account, world = order.asking, order.account(), order.world
    currency = ask.text("currency") or account.body["default_currency"]
    available, pending = ask.integer("available"), ask.integer("pending")
    due = ask.moment("available_on") or _later(order)
    ask.finish()
    if available is not None:
        staging.set_available(world, account, available, currency)
    if pending is not None:
        staging.set_pending(world, account, pending, currency, due)
    return _balance(order, account)


def make_available(order: Order) -> JsonObject:
    """Make an account's pending money available now; tells by balance.available."""
    currency = order.asking.text("currency")
    order.asking.finish()
    account = order.account()
    course.make_available(order.world, account.body["id"], currency)
    return _balance(order, account)


def pay_out(order: Order) -> JsonObject:
    """Pay out to the bank now: an amount, or all that is above the minimum balance."""
    ask, account = order.asking, order.account()
    amount = ask.integer("amount")
    currency = ask.text("currency") or account.body["default_currency"]
    automatic = ask.boolean("automatic", default=True)
    ask.finish()
    if amount is None:
        made = payouts.drain(order.world, account, automatic=automatic)
    else:
        made = [payouts.create(order.world, account, amount, currency, automatic=automatic)]
    return {
        "payouts": [_shown(order, record) for record in made],
        "balance": _balance(order, account),
    }


def update_account(order: Order) -> JsonObject:
    """Change an account's fields, nested ones too."""
    changes = order.asking.values
    return _shown(order, accounts.update(order.world, order.account(), changes))


def deauthorize(order: Order) -> JsonObject:
    """The connected account withdraws the platform's access."""
    order.asking.finish()
    account = order.connected(order.named["id"])
    accounts.deauthorize(order.world, account)
    return _shown(order, account)


def reject(order: Order) -> JsonObject:
    """Stripe rejects the account."""
    reason = order.asking.text("reason") or "fraud"
    order.asking.finish()
    return _shown(order, accounts.reject(order.world, order.account(), reason))


def refuse_payouts(order: Order) -> JsonObject:
    """Let the account's bank refuse payouts from now on, with this code; null ends it."""
    code = order.asking.text("code")
    order.asking.finish()
    order.account().hidden["payouts_fail"] = code
    return {"payouts_fail": code}


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
    return _shown(order, made)


def close_dispute(order: Order) -> JsonObject:
    """End a dispute."""
    status = order.asking.required("status", order.asking.text("status"))
    order.asking.finish()
    return _shown(order, disputes.close(order.world, order.object("dispute"), status))


def escalate_dispute(order: Order) -> JsonObject:
    """Turn an inquiry into a chargeback."""
    order.asking.finish()
    return _shown(order, disputes.escalate(order.world, order.object("dispute")))


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
    return _shown(order, made)


def fail_refund(order: Order) -> JsonObject:
    """The buyer's bank sends a refund back, even one that succeeded."""
    reason = order.asking.text("reason") or "lost_or_stolen_card"
    order.asking.finish()
    record = order.object("refund")
    refunds.fail(order.world, record, reason)
    return _shown(order, record)


def succeed_refund(order: Order) -> JsonObject:
    """A pending refund reaches the buyer."""
    order.asking.finish()
    record = order.object("refund")
    refunds.succeed(order.world, record)
    return _shown(order, record)


def set_refund_fate(order: Order) -> JsonObject:
    """Decide what becomes of a charge's future refunds."""
    fate = RefundFate(order.asking.required("fate", order.asking.text("fate")))
    order.asking.finish()
    order.object("charge").hidden["refund_fate"] = fate
    return {"charge": order.named["id"], "fate": fate.value}


def fail_payout(order: Order) -> JsonObject:
    """The bank sends a payout back."""
    code = order.asking.text("code") or "account_closed"
    order.asking.finish()
    record = order.object("payout")
    payouts.fail(order.world, record, code)
    return _shown(order, record)


def authenticate(order: Order) -> JsonObject:
    """The buyer confirms a payment that requires action."""
    order.asking.finish()
    intent = order.object("payment_intent")
    return _shown(order, payments.authenticate(order.world, intent))


def warn(order: Order) -> JsonObject:
    """The issuer suspects fraud: an early fraud warning."""
    charge = order.object("charge", order.asking.required("charge", order.asking.text("charge")))
    fraud_type = order.asking.text("fraud_type") or "made_with_stolen_card"
    order.asking.finish()
    return _shown(order, disputes.warn(order.world, charge, fraud_type))


def fail_topup(order: Order) -> JsonObject:
    """The platform's bank refuses a top-up."""
    code = order.asking.text("code") or "insufficient_funds"
    order.asking.finish()
    record = order.object("topup")
    topups.fail(order.world, record, code)
    return _shown(order, record)


def add_endpoint(order: Order) -> JsonObject:
    """Register a webhook endpoint with a secret of one's own choice."""
    ask = order.asking
    record = webhooks.register(
        order.world,
        url=ask.required("url", ask.text("url")),
        connect=ask.boolean("connect"),
        enabled_events=ask.texts("enabled_events") or ["*"],
        secret=ask.text("secret"),
    )
    ask.finish()
    return {**_shown(order, record), "secret": record.hidden["secret"]}
