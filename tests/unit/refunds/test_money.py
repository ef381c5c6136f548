"""Money: integers in minor units, rounded up where a share doesn't come out even.

It may not use floats, not even to check.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.errors import CurrencyMismatchError
from refunds.money import (
    THREE_DECIMAL,
    ZERO_DECIMAL,
    Currency,
    Money,
    exponent,
    format_minor,
    percent_ceil,
    share_ceil,
)
from tests.support.facts import EUR, JPY, KWD, USD


def test_amounts_of_one_currency_add_and_subtract_below_zero() -> None:
    assert Money(1250, USD) + Money(750, USD) == Money(2000, USD)
    assert Money(750, USD) - Money(1250, USD) == Money(-500, USD)


@pytest.mark.parametrize("operation", ["__add__", "__sub__"])
def test_two_currencies_never_meet_in_one_sum(operation: str) -> None:
    with pytest.raises(CurrencyMismatchError, match="can't add USD and EUR") as caught:
        getattr(Money(1, USD), operation)(Money(1, EUR))
    assert (caught.value.left, caught.value.right) == ("usd", "eur")


@pytest.mark.parametrize(
    "currency, decimals",
    [
        (USD, 2),
        (EUR, 2),
        (JPY, 0),
        (KWD, 3),
        (Currency("krw"), 0),
        (Currency("tnd"), 3),
        # Stripe takes both as if they had two decimals, though a bank would not.
        (Currency("isk"), 2),
        (Currency("ugx"), 2),
    ],
)
def test_a_currency_has_the_decimals_stripe_gives_it(currency: Currency, decimals: int) -> None:
    assert exponent(currency) == decimals


def test_the_lists_of_unusual_currencies_are_the_ones_stripe_documents() -> None:
    # Source: Stripe docs, "Supported currencies". One letter wrong is a factor of 100.
    assert sorted(ZERO_DECIMAL) == (
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
    assert sorted(THREE_DECIMAL) == ["bhd", "jod", "kwd", "omr", "tnd"]


@pytest.mark.parametrize(
    "amount_minor, currency, text",
    [
        (0, USD, "0.00 USD"),
        (5, USD, "0.05 USD"),
        (-5, USD, "-0.05 USD"),
        (1230, USD, "12.30 USD"),
        (-123456789, EUR, "-1,234,567.89 EUR"),
        (5000, JPY, "5,000 JPY"),
        (-1, JPY, "-1 JPY"),
        (1005, KWD, "1.005 KWD"),
        (50, KWD, "0.050 KWD"),
    ],
)
def test_an_amount_reads_the_same_everywhere(
    amount_minor: int, currency: Currency, text: str
) -> None:
    assert format_minor(amount_minor, currency) == text
    assert str(Money(amount_minor, currency)) == text


@pytest.mark.parametrize(
    "part, of, total, share",
    [
        (1, 3, 100, 34),  # 33.33…
        (2, 3, 100, 67),  # 66.66…
        (3, 3, 100, 100),
        (1, 2, 100, 50),  # exact: nothing is added
        (0, 3, 100, 0),
        (1, 3, 0, 0),
        (5, 3, 100, 167),  # more than the whole is somebody else's question
        (1, 10**18, 10**18 + 1, 2),  # a float would say 1
    ],
)
def test_a_share_is_rounded_up(part: int, of: int, total: int, share: int) -> None:
    assert share_ceil(part, of, total) == share


@pytest.mark.parametrize("part, of, total", [(1, 0, 100), (1, -1, 100), (-1, 3, 100), (1, 3, -100)])
def test_there_is_no_share_of_nothing_and_none_below_zero(part: int, of: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"no share of {total}: {part} of {of}"):
        share_ceil(part, of, total)


@pytest.mark.parametrize(
    "amount, percent, result",
    [
        (5000, 2, 100),
        (4999, 2, 100),  # 99.98
        (4950, 2, 99),
        (1, 2, 1),  # 0.02
        (0, 2, 0),
        (5000, 0, 0),
        (5000, 100, 5000),
    ],
)
def test_a_percentage_is_rounded_up(amount: int, percent: int, result: int) -> None:
    assert percent_ceil(amount, percent) == result


@given(of=st.integers(1, 10**12), total=st.integers(0, 10**12), data=st.data())
def test_a_share_is_never_too_little_and_less_than_one_unit_too_much(
    of: int, total: int, data: st.DataObject
) -> None:
    part = data.draw(st.integers(0, of))
    share = share_ceil(part, of, total)
    assert 0 <= share * of - part * total < of
    assert share <= total
