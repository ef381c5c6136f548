"""What decides how an account is paid out: its minimum balances and its schedule, as plain values.

This module reads and writes values; it may not know what a payout guard wants of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType, TypeAlias

from refunds.ids import AccountId, IdempotencyKey
from refunds.money import Currency, format_minor

Setting = NewType("Setting", str)
"""A currency, whose minimum balance is meant, or `SCHEDULE`."""
SCHEDULE: Final = Setting("schedule")
MANUAL: Final = "manual"
"""The schedule of an account that is paid out by hand only."""

SettingValue: TypeAlias = int | str | None
"""A minimum balance in minor units, or a schedule in words; `None` where it isn't set."""

SettingsParam: TypeAlias = "int | str | list[int] | list[str] | Mapping[str, SettingsParam]"
"""Exactly as handed to the SDK; it must survive JSON, for a retry sends the same bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutSettings:
    """An account's payout settings as read at `read_at`.

    Source: Stripe docs, "The Balance Settings object".
    """

    minimum: Mapping[Currency, int]
    """Minor units; a currency that isn't set is not there."""
    schedule: str | None
    """The interval and the days it names: `daily`, `weekly monday friday`, `monthly 1 15`."""
    read_at: datetime

    def value_of(self, setting: Setting) -> SettingValue:
        """Return what a setting is now."""
        if setting == SCHEDULE:
            return self.schedule
        return self.minimum.get(Currency(setting))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsWrite:
    """One call that changes an account's payout settings: `POST /v1/balance_settings` in it."""

    account: AccountId
    params: Mapping[str, SettingsParam]
    idempotency_key: IdempotencyKey


def settings_params(
    before: PayoutSettings, after: Mapping[Setting, SettingValue]
) -> dict[str, SettingsParam]:
    """Return the parameters that make these settings so and leave all others alone.

    Minimum balances are sent whole, those of other currencies as they were read: whether Stripe
    changes currency by currency or replaces them all is documented nowhere, and this is right
    either way. An empty string unsets. Source: Stripe docs, "Update balance settings".
    """
    payouts: dict[str, SettingsParam] = {}
    minima = {setting: value for setting, value in after.items() if setting != SCHEDULE}
    if minima:
        whole: dict[str, SettingsParam] = {str(c): minor for c, minor in before.minimum.items()}
        whole |= {str(c): "" if value is None else value for c, value in minima.items()}
        payouts["minimum_balance_by_currency"] = dict(sorted(whole.items()))
    schedule = after.get(SCHEDULE)
    if schedule is not None:
        payouts["schedule"] = _schedule_params(str(schedule))
    return {"payments": {"payouts": payouts}}


def schedule_words(interval: str, days: list[str]) -> str:
    """Return a schedule as one line of words."""
    return " ".join([interval, *days])


def _schedule_params(words: str) -> dict[str, SettingsParam]:
    interval, *days = words.split(" ")
    params: dict[str, SettingsParam] = {"interval": interval}
    if days and interval == "weekly":
        params["weekly_payout_days"] = days
    elif days:
        params["monthly_payout_days"] = [int(day) for day in days]
    return params


def told_value(setting: Setting, value: SettingValue) -> str:
    """Return a setting's value for a sentence, such as `12.30 USD` or `daily`."""
    if value is None:
        return "unset"
    return format_minor(value, Currency(setting)) if isinstance(value, int) else value


def told_setting(setting: Setting) -> str:
    """Return what a setting is called in a sentence."""
    return "payout schedule" if setting == SCHEDULE else f"minimum balance in {setting.upper()}"
