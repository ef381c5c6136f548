"""Accounts and balance settings over the API.

It translates between parameters and the verbs of `sandbox.world.accounts`.
"""

from typing import Any

from sandbox.api.call import Call
from sandbox.api.params import Params
from sandbox.errors import account_invalid, invalid
from sandbox.shapes import JsonObject
from sandbox.world import accounts, balance_settings
from sandbox.world.shelves import Record


def own(call: Call) -> JsonObject:
    """The account that the call acts as."""
    return call.answer(call.world.shelves.get(call.owner))


def retrieve(call: Call) -> JsonObject:
    """An account by id; 403 for one the platform has no access to."""
    return call.answer(_visible(call))


def listing(call: Call) -> JsonObject:
    """The platform's connected accounts."""
    found = [
        record
        for record in call.world.shelves.everything()
        if record.kind == "account"
        and record.hidden["connected"]
        and not call.world.is_platform(record.body["id"])
    ]
    return call.answer_list(found)


def create(call: Call) -> JsonObject:
    """Connect an account as a platform does."""
    params = call.params
    country = params.text("country") or "US"
    controller = params.nested("controller")
    losses = controller.nested("losses").choice("payments", ("application", "stripe"))
    kind = params.choice("type", ("custom", "express", "standard"))
    record = accounts.open_connected(
        call.world,
        country=country,
        currency=params.currency("default_currency") or _CURRENCIES.get(country, "usd"),
        losses=losses or ("stripe" if kind == "standard" else "application"),
        interval=accounts.Interval.DAILY,
        details=_details(params) | ({"type": kind} if kind else {}),
    )
    record.hidden["opened_by"] = call.owner
    return call.answer(record)


def update(call: Call) -> JsonObject:
    """Change an account's descriptive fields."""
    record = _visible(call)
    changes = _details(call.params)
    metadata = changes.pop("metadata", None)
    if metadata is not None:
        changes["metadata"] = {**record.body["metadata"], **metadata}
    return call.answer(accounts.update(call.world, record, changes))


def reject(call: Call) -> JsonObject:
    """Reject an account."""
    record = _visible(call)
    reason = call.params.required_text("reason")
    return call.answer(accounts.reject(call.world, record, reason))


def delete(call: Call) -> JsonObject:
    """Delete a connected account that has no money."""
    record = _visible(call)
    owner = record.body["id"]
    books = call.world.books
    if call.world.is_platform(owner) or any(
        books.available(owner, item) or books.pending(owner, item)
        for item in books.currencies(owner)
    ):
        raise invalid(f"Account {owner} can't be deleted: its balance is not zero.")
    record.hidden["connected"] = False
    return {"id": owner, "object": "account", "deleted": True}


def settings(call: Call) -> JsonObject:
    """The balance settings of the account that the call acts as."""
    return balance_settings.present(call.world.shelves.get(call.owner))


def change_settings(call: Call) -> JsonObject:
    """Change payouts' schedule, minimum balance and settlement time."""
    payments = call.params.nested(
        "payments", ("payouts", "settlement_timing", "debit_negative_balances")
    )
    payouts = payments.nested(
        "payouts", ("minimum_balance_by_currency", "schedule", "statement_descriptor")
    )
    schedule = payouts.nested("schedule", ("interval", "weekly_payout_days", "monthly_payout_days"))
    timing = payments.nested("settlement_timing", ("delay_days_override", "start_of_day"))
    change = balance_settings.Change(
        minimum_balance=_minimum_balance(payouts),
        interval=_interval(schedule),
        weekly_days=schedule.texts("weekly_payout_days") or None,
        monthly_days=[int(day) for day in schedule.texts("monthly_payout_days")] or None,
        debit_negative=(
            payments.boolean("debit_negative_balances")
            if payments.has("debit_negative_balances")
            else None
        ),
        delay_days=timing.integer("delay_days_override"),
        clear_delay=timing.values.get("delay_days_override") == "",
    )
    record = balance_settings.change(call.world, call.world.shelves.get(call.owner), change)
    return balance_settings.present(record)


_CURRENCIES = {"GB": "gbp", "DE": "eur", "FR": "eur", "NL": "eur", "CA": "cad", "US": "usd"}


def _details(params: Params) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if params.has("email"):
        details["email"] = params.text("email")
    if params.has("metadata"):
        details["metadata"] = params.metadata()
    profile = params.nested("business_profile").values
    if profile:
        details["business_profile"] = profile
    return details


def _minimum_balance(payouts: Params) -> dict[str, int | None] | None:
    key = "minimum_balance_by_currency"
    if not payouts.has(key):
        return None
    given = payouts.nested(key)
    # An empty value unsets a currency, an empty object all of them.
    return {currency: given.integer(currency) for currency in given.values}


def _interval(schedule: Params) -> accounts.Interval | None:
    value = schedule.choice("interval", [item.value for item in accounts.Interval])
    return None if value is None else accounts.Interval(value)


def _visible(call: Call) -> Record:
    account_id = call.named["id"]
    record = accounts.connected(call.world, account_id)
    # A connected account sees itself and, being a platform too, the accounts it opened.
    if record is None or not (
        call.world.is_platform(call.owner)
        or call.owner in (account_id, record.hidden.get("opened_by"))
    ):
        raise account_invalid(call.key, account_id)
    return record
