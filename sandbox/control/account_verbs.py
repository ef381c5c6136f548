"""The control verbs about accounts: their money, their banks, their standing, who is told.

A verb reads its JSON and calls the world; the world decides what is possible.
"""

from sandbox.control.desk import Order
from sandbox.shapes import JsonObject
from sandbox.world import accounts, balances, course, payouts, staging, topups, webhooks


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
        staging.set_pending(order.world, made, pending, currency, order.settlement())
    return order.shown(made)


def earn(order: Order) -> JsonObject:
    """Give an account money from nowhere."""
    ask, account = order.asking, order.account()
    amount = ask.required("amount", ask.integer("amount"))
    currency = ask.text("currency") or account.body["default_currency"]
    due = order.landing()
    quiet = ask.boolean("quiet")
    ask.finish()
    staging.add(order.world, account, amount, currency, available_on=due)
    # Money that lands available at once has no moment of its own at which Stripe would tell.
    if amount > 0 and due <= order.world.now() and not quiet:
        balances.tell_available(order.world, account.body["id"])
    return order.balance(account)


def set_balance(order: Order) -> JsonObject:
    """Make an account's balance exactly so, without an event."""
    ask, account, world = order.asking, order.account(), order.world
    currency = ask.text("currency") or account.body["default_currency"]
    available, pending = ask.integer("available"), ask.integer("pending")
    due = ask.moment("available_on") or order.settlement()
    ask.finish()
    if available is not None:
        staging.set_available(world, account, available, currency)
    if pending is not None:
        staging.set_pending(world, account, pending, currency, due)
    return order.balance(account)


def make_available(order: Order) -> JsonObject:
    """Make an account's pending money available now; tells by balance.available."""
    currency = order.asking.text("currency")
    order.asking.finish()
    account = order.account()
    course.make_available(order.world, account.body["id"], currency)
    return order.balance(account)


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
        "payouts": [order.shown(record) for record in made],
        "balance": order.balance(account),
    }


def update_account(order: Order) -> JsonObject:
    """Change an account's fields, nested ones too."""
    changes = order.asking.values
    return order.shown(accounts.update(order.world, order.account(), changes))


def deauthorize(order: Order) -> JsonObject:
    """The connected account withdraws the platform's access."""
    order.asking.finish()
    account = order.connected(order.named["id"])
    accounts.deauthorize(order.world, account)
    return order.shown(account)


def reject(order: Order) -> JsonObject:
    """Stripe rejects the account."""
    reason = order.asking.text("reason") or "fraud"
    order.asking.finish()
    return order.shown(accounts.reject(order.world, order.account(), reason))


def refuse_payouts(order: Order) -> JsonObject:
    """Let the account's bank refuse payouts from now on, with this code; null ends it."""
    code = order.asking.text("code")
    order.asking.finish()
    order.account().hidden["payouts_fail"] = code
    return {"payouts_fail": code}


def fail_payout(order: Order) -> JsonObject:
    """The bank sends a payout back."""
    code = order.asking.text("code") or "account_closed"
    order.asking.finish()
    record = order.object("payout")
    payouts.fail(order.world, record, code)
    return order.shown(record)


def fail_topup(order: Order) -> JsonObject:
    """The platform's bank refuses a top-up."""
    code = order.asking.text("code") or "insufficient_funds"
    order.asking.finish()
    record = order.object("topup")
    topups.fail(order.world, record, code)
    return order.shown(record)


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
    return {**order.shown(record), "secret": record.hidden["secret"]}
