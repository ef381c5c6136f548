"""Money in the reader's notation, spans in two units, tables that fit, and text that can't steer a
terminal.
"""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from runtime.display import moment, money, plain, span, table


@pytest.mark.parametrize(
    "locale, amount_minor, currency, text",
    [
        ("en_US.UTF-8", 123456789, "usd", "1,234,567.89 USD"),
        ("de_DE.UTF-8", 123456789, "eur", "1.234.567,89 EUR"),
        ("fr_CH.UTF-8", 1050, "chf", "10,50 CHF"),
        ("en_US.UTF-8", 1250, "jpy", "1,250 JPY"),  # no decimals: 1250 is 1250 yen
        ("en_US.UTF-8", 1250, "kwd", "1.250 KWD"),  # three decimals
        ("en_US.UTF-8", -5, "usd", "-0.05 USD"),
        ("C", 123456789, "usd", "1,234,567.89 USD"),
        ("no-such-locale", 100, "usd", "1.00 USD"),
        ("en_US.UTF-8", 999_999_999_999, "usd", "9,999,999,999.99 USD"),
    ],
)
def test_money_is_localised_and_names_its_currency(
    monkeypatch: pytest.MonkeyPatch, locale: str, amount_minor: int, currency: str, text: str
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MONETARY", "LANG", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_MONETARY", locale)
    assert money(amount_minor, currency).replace("\N{NARROW NO-BREAK SPACE}", "") == text


def test_what_is_not_known_is_a_dash() -> None:
    assert money(None, "usd") == money(100, None) == moment(None) == "-"


def test_moments_are_utc() -> None:
    assert (
        moment(datetime(2026, 11, 23, 6, 15, 2, 999_000, tzinfo=UTC)) == "2026-11-23 06:15:02 UTC"
    )
    assert moment(1795414502) == "2026-11-23 06:15:02 UTC"


@pytest.mark.parametrize(
    "length, text",
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=1, seconds=5), "1 h"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
    ],
)
def test_spans_have_their_two_largest_units(length: timedelta, text: str) -> None:
    assert span(length) == text


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x07", "\r", "\x9b1m", "\u202e", "\x00", "\u2066"])
def test_control_characters_never_reach_the_terminal(evil: str) -> None:
    assert evil not in plain(f"a{evil}b")
    assert plain("déjà vu ✓ 漢\nnext") == "déjà vu ✓ 漢\nnext"


ID, ACCOUNT = "rr_01m83mmqaj7nat69p23f7kthg", "acct_AuRuX88Hs61uNyNr"
AT = "2026-11-23 07:24:03 UTC"
WHY = "The account has 0.00 USD spendable, the refund needs 30.00 USD: 30.00 USD short."


def printed(width: int, why: str = WHY) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    columns = ("id", "status", "account", "shortfall", "created", "why")
    console.print(table("Requests", columns, [(ID, "held", ACCOUNT, "-", AT, why)]))
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_no_id_and_no_time_is_ever_cut_in_two(width: int) -> None:
    text = "\n".join(printed(width))
    # Blocks fold between words, so a time may go over two lines, and an id never.
    assert ID in text
    assert ACCOUNT in text
    assert "07:24:03" in text
    assert all(len(line) <= width for line in printed(width))


def test_where_there_is_room_a_row_stands_in_a_table() -> None:
    # 28 + 6 + 21 + 9 + 23 for the cells, 28 for the sentence, 19 for the borders: 134.
    assert "│" not in "".join(printed(133))
    assert "│" in "".join(printed(134))


def test_where_there_is_none_each_row_is_a_block_with_its_names() -> None:
    assert printed(100) == [
        "Requests",
        ID,
        f"  status held · account {ACCOUNT} · created {AT} · why The account",
        "  has 0.00 USD spendable, the refund needs 30.00 USD: 30.00 USD short.",
    ]


def test_a_table_without_rows_has_its_names() -> None:
    console = Console(file=StringIO(), width=100)
    console.print(table("Nothing", ("id", "why"), []))
    assert isinstance(console.file, StringIO)
    assert "why" in console.file.getvalue()
