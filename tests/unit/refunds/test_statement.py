"""A statement's days, cells and sums: nothing a spreadsheet runs, no figure in a local notation."""

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.errors import PeriodError
from refunds.money import Currency, Money
from refunds.statement import (
    COLUMNS,
    Fact,
    Line,
    Period,
    Record,
    Standing,
    Totals,
    cells,
    harmless,
    major_units,
    standing_lines,
)

USD, JPY, KWD = Currency("usd"), Currency("jpy"), Currency("kwd")
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def test_both_days_belong_to_a_period() -> None:
    period = Period(first=date(2026, 11, 1), last=date(2026, 11, 30))
    assert period.begins == datetime(2026, 11, 1, tzinfo=UTC)
    assert period.ends == datetime(2026, 12, 1, tzinfo=UTC)
    day = Period(first=date(2028, 2, 29), last=date(2028, 2, 29))
    assert day.ends - day.begins == timedelta(days=1)


def test_a_period_does_not_end_before_it_begins() -> None:
    with pytest.raises(PeriodError, match="ends on 2026-10-31, before it begins on 2026-11-01"):
        Period(first=date(2026, 11, 1), last=date(2026, 10, 31))


@pytest.mark.parametrize(
    "minor, currency, text",
    [
        (123450, USD, "1234.50"),
        (5, USD, "0.05"),
        (-5, USD, "-0.05"),
        (-123450, USD, "-1234.50"),
        (0, USD, "0.00"),
        (1250, JPY, "1250"),
        (-1250, JPY, "-1250"),
        (1250, KWD, "1.250"),
        (10**15, USD, "10000000000000.00"),
    ],
)
def test_whole_units_have_a_point_and_nothing_else(
    minor: int, currency: Currency, text: str
) -> None:
    assert major_units(Money(minor, currency)) == text


@pytest.mark.parametrize(
    "text, shown",
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("  =1+1", "'  =1+1"),
        ("\u00a0=1+1", "'\u00a0=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("order-1042", "order-1042"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_what_a_spreadsheet_would_run_is_made_text(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text(max_size=40))
def test_no_text_begins_as_a_formula_and_none_is_lost(text: str) -> None:
    shown = harmless(text)
    assert not shown.lstrip().startswith(tuple(FORMULA_SIGNS))
    assert shown.removeprefix("'") == text.removeprefix("'")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_line_comes_back_from_its_csv(text: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow(cells(line(key=text)))
    [row] = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row[COLUMNS.index("idempotency_key")] == harmless(text)
    assert len(row) == len(COLUMNS)


def line(**more: str | None) -> Line:
    berlin = timezone(timedelta(hours=1))
    return Line(
        record=Record.FACT,
        kind=Fact.REFUND,
        at=datetime(2026, 11, 30, 23, 30, 1, 999999, tzinfo=UTC).astimezone(berlin),
        amount=Money(1250, USD),
        request="rr_1",
        **more,  # type: ignore[arg-type] # any of the fields that are text
    )


def test_a_line_has_its_cells_in_the_order_of_the_columns() -> None:
    shown = dict(zip(COLUMNS, cells(line(account="acct_1", why="=why")), strict=True))
    filled = {name: cell for name, cell in shown.items() if cell}
    assert filled == {
        "record": "fact",
        "kind": "refund",
        "at": "2026-11-30T23:30:01Z",
        "amount_minor": "1250",
        "currency": "usd",
        "amount": "12.50",
        "request": "rr_1",
        "account": "acct_1",
        "why": "'=why",
    }


def test_what_is_not_known_is_empty() -> None:
    assert set(cells(Line(record=Record.PERIOD, kind="utc"))[2:]) == {""}


def test_totals_are_per_kind_and_currency_in_the_order_of_the_kinds() -> None:
    totals = Totals()
    for kind, minor, currency in [
        (Fact.EXPOSED, 300, USD),
        (Fact.REFUND, 1000, USD),
        (Fact.REFUND, 500, JPY),
        (Fact.REFUND, 234, USD),
    ]:
        totals.add(kind, Money(minor, currency))
    assert [(each.kind, each.count, each.amount) for each in totals.lines()] == [
        (Fact.REFUND, 1, Money(500, JPY)),
        (Fact.REFUND, 2, Money(1234, USD)),
        (Fact.EXPOSED, 1, Money(300, USD)),
    ]
    assert {each.record for each in totals.lines()} == {Record.TOTAL}


def test_what_stood_is_said_per_currency() -> None:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    sums = {"usd": Money(4000, USD), "jpy": Money(0, JPY)}
    stated = list(standing_lines(Standing.EXPOSURE_CLOSING, at, sums))
    assert [(each.kind, each.at, each.amount, each.count) for each in stated] == [
        (Standing.EXPOSURE_CLOSING, at, Money(0, JPY), None),
        (Standing.EXPOSURE_CLOSING, at, Money(4000, USD), None),
    ]
