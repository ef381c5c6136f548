"""Reads the single values a policy is written with: words, amounts, durations, lists.

This module knows forms and limits; it may not know which key a value is for.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from refunds.errors import PolicyError
from refunds.money import Currency
from refunds.policy import Amounts, Partial, PayoutGuard, RecoveryStep

KeyPath: TypeAlias = tuple[str, ...]
"""Where a key stands: `("risk", "high", "review_above")`."""

AMOUNT_MAX_MINOR: Final = 999_999_999_999
"""Stripe takes at most twelve digits."""
DURATION_MAX: Final = timedelta(days=365)
PARTS_MAX: Final = 20
ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9]{1,250}")
NO_TIER: Final = "none"
"""What a person says to take an account out of its tier; no tier may have this name."""
TIER: Final = re.compile(rf"(?!{NO_TIER}$)[a-z][a-z0-9_-]{{0,39}}")
_METHOD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CURRENCY: Final = re.compile(r"[a-z]{3}")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([dhm])")
_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
}

WordT = TypeVar("WordT", bound=StrEnum)


def table(path: KeyPath, value: object) -> Mapping[str, object]:
    """Return a table; raise `PolicyError` for anything else."""
    if not isinstance(value, Mapping):
        raise PolicyError(path, "is a table: { key = value }")
    return value


def named(path: KeyPath, name: str, form: re.Pattern[str], rule: str) -> bool:
    """Raise `PolicyError` with the rule unless a name has the form."""
    if not form.fullmatch(name):
        raise PolicyError(path, rule)
    return True


def flag(path: KeyPath, value: object) -> bool:
    """Return yes or no."""
    if not isinstance(value, bool):
        raise PolicyError(path, "is true or false")
    return value


def integer(least: int, most: int) -> Callable[[KeyPath, object], int]:
    """Return a reader of whole numbers between these two, both included."""

    def read(path: KeyPath, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise PolicyError(path, f"is a whole number from {least} to {most}")
        return value

    return read


_amount: Final = integer(0, AMOUNT_MAX_MINOR)


def amounts(path: KeyPath, value: object) -> Amounts:
    """Return minor units per currency."""
    if not isinstance(value, Mapping):
        raise PolicyError(path, "is minor units per currency, such as { usd = 1000 }")
    read = {}
    for currency, minor in value.items():
        here = (*path, currency)
        named(here, currency, _CURRENCY, "a currency is three lower-case letters, such as usd")
        read[Currency(currency)] = _amount(here, minor)
    return read


def duration(path: KeyPath, value: object) -> timedelta:
    """Return a span of days, hours or minutes."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PolicyError(path, 'is a duration such as "7d", "12h" or "90m"')
    span = int(match[1]) * _UNITS[match[2]]
    if span > DURATION_MAX:
        raise PolicyError(path, f'is at most "{DURATION_MAX.days}d"')
    return span


def word(kind: type[WordT]) -> Callable[[KeyPath, object], WordT]:
    """Return a reader of one of these words."""
    words = {str(member): member for member in kind}

    def read(path: KeyPath, value: object) -> WordT:
        if not isinstance(value, str) or value not in words:
            raise PolicyError(path, f"is one of {', '.join(words)}")
        return words[value]

    return read


_step: Final = word(RecoveryStep)


def steps(path: KeyPath, value: object) -> tuple[RecoveryStep, ...]:
    """Return ways to get money back, each once."""
    if not isinstance(value, list) or not value:
        raise PolicyError(path, 'is a list such as ["wait", "reverse_later"]')
    read = tuple(_step(path, each) for each in value)
    if len(set(read)) < len(read):
        raise PolicyError(path, "names a step twice")
    return read


def partial(path: KeyPath, value: object) -> Partial | None:
    """Return in which parts a refund may go out; `None`: in one."""
    if value is False:
        return None
    if not isinstance(value, Mapping) or set(value) != {"minimum", "parts"}:
        raise PolicyError(path, "is false, or { minimum = { usd = 1000 }, parts = 3 }")
    minimum = amounts((*path, "minimum"), value["minimum"])
    if not minimum or 0 in minimum.values():
        raise PolicyError((*path, "minimum"), "names at least one currency, and no part of 0")
    return Partial(minimum=minimum, parts=integer(2, PARTS_MAX)((*path, "parts"), value["parts"]))


def guard(path: KeyPath, value: object) -> PayoutGuard:
    """Return how payouts are kept from taking what refunds wait for."""
    if value == PayoutGuard.MANUAL:
        return PayoutGuard.MANUAL
    if not isinstance(value, bool):
        raise PolicyError(path, f'is true, false or "{PayoutGuard.MANUAL}"')
    return PayoutGuard.ON if value else PayoutGuard.OFF


def windows(path: KeyPath, value: object) -> Mapping[str, timedelta]:
    """Return a span per payment method."""
    read = {}
    for method, span in table(path, value).items():
        here = (*path, method)
        named(here, method, _METHOD, "a payment method is a type of Stripe's, such as card")
        read[method] = duration(here, span)
    return read
