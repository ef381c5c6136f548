"""Reads and writes how a connected account is paid out: minimum balances and schedule.

This module translates both ways; it may not know what the values are for.
"""

from datetime import datetime
from typing import Final

from gateway.errors import NoVerdict, Refusal, refused, unknown
from gateway.exchange import Answer, Call, Exchange, read_call
from gateway.fields import Fields, JsonObject, MalformedAnswerError
from refunds.ids import AccountId
from refunds.money import Currency
from refunds.payout_settings import PayoutSettings, SettingsWrite, schedule_words
from refunds.steps import Refused, Trouble, Unknown

_PATH: Final = "/v1/balance_settings"
_DAYS: Final = {"weekly": "weekly_payout_days", "monthly": "monthly_payout_days"}


def read_settings(exchange: Exchange, account: AccountId, read_at: datetime) -> PayoutSettings:
    """Return an account's payout settings; raise `ReadError`."""
    call = read_call("balance_settings.read", _PATH, account=account)
    return payout_settings(exchange.read(call), read_at)


def write_settings(
    exchange: Exchange, write: SettingsWrite, read_at: datetime
) -> PayoutSettings | Refused | Unknown:
    """Make the call; return the settings as Stripe answers them, or what is known instead."""
    result = exchange.send(
        Call(
            name="balance_settings.write",
            method="post",
            path=_PATH,
            subject=write.account,
            params=write.params,
            account=write.account,
            idempotency_key=write.idempotency_key,
        )
    )
    match result:
        case Refusal():
            return refused(result)
        case NoVerdict():
            return unknown(result)
        case Answer():
            return _answered(result, read_at)


def payout_settings(data: JsonObject, read_at: datetime) -> PayoutSettings:
    """Return payout settings. Source: Stripe docs, "The Balance Settings object".

    What isn't set is null there, or missing; an amount that is no whole number makes the whole
    unusable.
    """
    payouts = Fields(data, "balance_settings").child("payments").child("payouts")
    minimum = payouts.expanded("minimum_balance_by_currency") or {}
    amounts = Fields(minimum, "minimum_balance_by_currency")
    schedule = payouts.child("schedule")
    interval = schedule.text_or_none("interval")
    return PayoutSettings(
        minimum={
            Currency(str(currency).lower()): amounts.integer(currency)
            for currency in minimum
            if amounts.has(currency)
        },
        schedule=None if interval is None else schedule_words(interval, _days(schedule, interval)),
        read_at=read_at,
    )


def _answered(answer: Answer, read_at: datetime) -> PayoutSettings | Unknown:
    try:
        return payout_settings(answer.data, read_at)
    except MalformedAnswerError as error:
        return Unknown(
            trouble=Trouble.UNREADABLE,
            message=str(error),
            http_status=200,
            stripe_request=answer.stripe_request,
        )


def _days(schedule: Fields, interval: str) -> list[str]:
    key = _DAYS.get(interval)
    return [] if key is None else schedule.words(key)
