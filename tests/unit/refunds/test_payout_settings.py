"""Payout settings as values: the parameters of a change, and how a setting is told.

It may not need a call; tests/unit/gateway/test_payout_settings.py has the wire.
"""

import pytest

from refunds.money import Currency
from refunds.payout_settings import (
    SCHEDULE,
    PayoutSettings,
    Setting,
    SettingValue,
    schedule_words,
    settings_params,
    told_setting,
    told_value,
)
from tests.support.facts import NOON

ON_USD = Setting("usd")


def settings(schedule: str | None = "daily", **minimum: int) -> PayoutSettings:
    return PayoutSettings(
        minimum={Currency(currency): minor for currency, minor in minimum.items()},
        schedule=schedule,
        read_at=NOON,
    )


@pytest.mark.parametrize(
    "now, after, payouts",
    [
        (settings(), {ON_USD: 5_000}, {"minimum_balance_by_currency": {"usd": 5_000}}),
        # unset
        (settings(usd=5_000), {ON_USD: None}, {"minimum_balance_by_currency": {"usd": ""}}),
        (settings(usd=5_000), {ON_USD: 0}, {"minimum_balance_by_currency": {"usd": 0}}),
        # other currencies are sent as they are
        (
            settings(usd=5_000, eur=7, gbp=0),
            {ON_USD: None},
            {"minimum_balance_by_currency": {"eur": 7, "gbp": 0, "usd": ""}},
        ),
        (settings(), {SCHEDULE: "manual"}, {"schedule": {"interval": "manual"}}),
        (settings(), {SCHEDULE: "daily"}, {"schedule": {"interval": "daily"}}),
        (
            settings("manual"),
            {SCHEDULE: "weekly monday friday"},
            {"schedule": {"interval": "weekly", "weekly_payout_days": ["monday", "friday"]}},
        ),
        (
            settings("manual"),
            {SCHEDULE: "monthly 1 15"},
            {"schedule": {"interval": "monthly", "monthly_payout_days": [1, 15]}},
        ),
        (
            settings("manual", usd=5_000),
            {SCHEDULE: "daily", ON_USD: 9},
            {"minimum_balance_by_currency": {"usd": 9}, "schedule": {"interval": "daily"}},
        ),
    ],
)
def test_the_parameters_of_a_change(
    now: PayoutSettings, after: dict[Setting, SettingValue], payouts: dict[str, object]
) -> None:
    assert settings_params(now, after) == {"payments": {"payouts": payouts}}


@pytest.mark.parametrize(
    "setting, value, words",
    [
        (ON_USD, 5_000, "50.00 USD"),
        (ON_USD, None, "unset"),
        (SCHEDULE, "daily", "daily"),
        (SCHEDULE, None, "unset"),
    ],
)
def test_a_value_in_a_sentence(setting: Setting, value: SettingValue, words: str) -> None:
    assert told_value(setting, value) == words


def test_a_schedule_is_one_line_of_words() -> None:
    assert schedule_words("daily", []) == "daily"
    assert schedule_words("weekly", ["monday", "friday"]) == "weekly monday friday"


def test_what_settings_are_called() -> None:
    assert told_setting(ON_USD) == "minimum balance in USD"
    assert told_setting(SCHEDULE) == "payout schedule"
