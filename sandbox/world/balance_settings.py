"""An account's balance settings: payout schedule, minimum balances, settlement time.

It changes settings and may not pay out.
"""

from dataclasses import dataclass

from sandbox.errors import invalid
from sandbox.shapes import JsonObject
from sandbox.world.accounts import Interval, plan_payout_run
from sandbox.world.core import World, differences
from sandbox.world.shelves import Record

MAX_DELAY_DAYS = 31
NO_MINIMUM = frozenset({"BR", "IN", "TH"})
"""Countries without minimum balances (documentation: "Minimum balances for automatic payouts")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to change; None leaves a setting as it is."""

    minimum_balance: dict[str, int | None] | None = None
    """Per currency in minor units; None unsets a currency, an empty mapping unsets all."""
    interval: Interval | None = None
    weekly_days: list[str] | None = None
    monthly_days: list[int] | None = None
    debit_negative: bool | None = None
    delay_days: int | None = None
    clear_delay: bool = False


def present(account: Record) -> JsonObject:
    """The balance settings as Stripe answers them; what isn't set is null."""
    hidden = account.hidden
    interval: Interval = hidden["interval"]
    schedule: JsonObject = {"interval": interval.value}
    if interval is Interval.WEEKLY:
        schedule["weekly_payout_days"] = list(hidden["weekly_payout_days"])
    if interval is Interval.MONTHLY:
        schedule["monthly_payout_days"] = list(hidden["monthly_payout_days"])
    timing: JsonObject = {
        "delay_days": account.body["settings"]["payouts"]["schedule"]["delay_days"]
    }
    if hidden["delay_days_override"] is not None:
        timing["delay_days_override"] = hidden["delay_days_override"]
    minimum = hidden["minimum_balance"]
    return {
        "object": "balance_settings",
        "payments": {
            "debit_negative_balances": account.body["settings"]["payouts"][
                "debit_negative_balances"
            ],
            "payouts": {
                "automatic_transfer_rules_by_currency": None,
                "minimum_balance_by_currency": dict(minimum) if minimum else None,
                "schedule": schedule,
                "statement_descriptor": hidden["statement_descriptor"],
                "status": "enabled" if account.body["payouts_enabled"] else "disabled",
            },
            "settlement_timing": timing,
        },
    }


def change(world: World, account: Record, wish: Change) -> Record:
    """Change settings and tell by balance_settings.updated."""
    _check(account, wish)
    before = present(account)
    hidden, payouts = account.hidden, account.body["settings"]["payouts"]
    if wish.minimum_balance is not None:
        kept = dict(hidden["minimum_balance"] or {}) if wish.minimum_balance else {}
        kept.update(wish.minimum_balance)
        hidden["minimum_balance"] = {
            currency: amount for currency, amount in kept.items() if amount is not None
        } or None
    if wish.interval is not None:
        hidden["interval"] = wish.interval
        payouts["schedule"]["interval"] = wish.interval.value
        plan_payout_run(world, account)
    if wish.weekly_days is not None:
        hidden["weekly_payout_days"] = wish.weekly_days
    if wish.monthly_days is not None:
        hidden["monthly_payout_days"] = wish.monthly_days
    if wish.debit_negative is not None:
        payouts["debit_negative_balances"] = wish.debit_negative
    if wish.delay_days is not None:
        hidden["delay_days_override"] = wish.delay_days
        payouts["schedule"]["delay_days"] = wish.delay_days
    if wish.clear_delay:
        hidden["delay_days_override"] = None
        payouts["schedule"]["delay_days"] = world.switches.settlement_days
    after = present(account)
    if after != before:
        settings = Record(kind="balance_settings", owner=account.body["id"], body=after)
        world.emit("balance_settings.updated", settings, previous=differences(before, after))
    return account


def _check(account: Record, wish: Change) -> None:
    amounts = [amount for amount in (wish.minimum_balance or {}).values() if amount is not None]
    if any(amount < 0 for amount in amounts):
        raise invalid(
            "A minimum balance can't be negative.",
            param="payments[payouts][minimum_balance_by_currency]",
        )
    if amounts and account.body["country"] in NO_MINIMUM:
        raise invalid(f"Minimum balances aren't available in {account.body['country']}.")
    if wish.delay_days is not None and not 0 <= wish.delay_days <= MAX_DELAY_DAYS:
        raise invalid(
            f"delay_days_override must be at most {MAX_DELAY_DAYS} days.",
            param="payments[settlement_timing][delay_days_override]",
        )
