"""Money as integers of minor units with their currency, and the few sums that refunds need.

This module does arithmetic and plain formatting; it may not round to nearest, convert currencies or
use floats.
"""

from dataclasses import dataclass
from typing import Final, NewType, Self

from refunds.errors import CurrencyMismatchError

Currency = NewType("Currency", str)
"""An ISO 4217 code in lower case, as Stripe writes it."""

ZERO_DECIMAL: Final = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)
"""Currencies whose minor unit is the unit itself. Source: Stripe docs, "Supported currencies"."""
THREE_DECIMAL: Final = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
"""Currencies with a thousandth as minor unit. Source: Stripe docs, "Supported currencies"."""


def exponent(currency: Currency) -> int:
    """Return how many decimals `currency` has in Stripe's amounts: 0, 2 or 3."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units of one currency; it may be negative, as Stripe's balances may."""

    amount_minor: int
    currency: Currency

    def __add__(self, other: Self) -> Self:
        self._same_currency(other)
        return type(self)(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: Self) -> Self:
        self._same_currency(other)
        return type(self)(self.amount_minor - other.amount_minor, self.currency)

    def __str__(self) -> str:
        return format_minor(self.amount_minor, self.currency)

    def _same_currency(self, other: Self) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(self.currency, other.currency)


def format_minor(amount_minor: int, currency: Currency) -> str:
    """Return an amount for sentences that must read the same everywhere, such as `-12.30 USD`."""
    decimals = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    whole, fraction = divmod(abs(amount_minor), 10**decimals)
    text = f"{whole:,}" if decimals == 0 else f"{whole:,}.{fraction:0{decimals}d}"
    return f"{sign}{text} {currency.upper()}"


def share_ceil(part_minor: int, of_minor: int, total_minor: int) -> int:
    """Return `total · part / of`, rounded up, in integers.

    Stripe does not document how it rounds a proportional reversal; rounding up never plans for less
    than the account will be asked for.
    """
    if of_minor <= 0 or part_minor < 0 or total_minor < 0:
        raise ValueError(f"no share of {total_minor}: {part_minor} of {of_minor}")
    return -(-total_minor * part_minor // of_minor)


def percent_ceil(amount_minor: int, percent: int) -> int:
    """Return `percent` per cent of a non-negative amount, rounded up."""
    return share_ceil(percent, 100, amount_minor)
