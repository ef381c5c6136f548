"""Writes the statement of a period as CSV, the same for terminal and API, in constant memory.

It may not keep the database waiting for a reader: the file is whole before anybody gets a byte.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Final, cast

from refunds.money import Money
from refunds.statement import (
    COLUMNS,
    Fact,
    Line,
    Period,
    Record,
    Standing,
    Totals,
    cells,
    standing_lines,
)
from store.database import Database, Unit
from store.statement import exposure_at, facts_of

IN_MEMORY_BYTES: Final = 1024 * 1024
"""A larger statement goes to a temporary file."""


def open_statement(database: Database, period: Period, *, now: datetime) -> IO[bytes]:
    """Return the statement as CSV (RFC 4180, UTF-8), read from its beginning; the caller closes it.

    Raise `DatabaseUnavailableError`; nothing is left behind then.
    """
    with _kept_unless_it_fails() as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        with database.reading() as unit:
            rows.writerows(cells(line) for line in _lines(unit, period, now))
        text.detach()
        file.seek(0)
        return file


def file_name(period: Period) -> str:
    """Return what to call the file."""
    return f"sluice-{period.first}-to-{period.last}.csv"


@contextmanager
def _kept_unless_it_fails() -> Iterator[IO[bytes]]:
    # The caller closes it, so no `with`.
    file = cast("IO[bytes]", SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))  # noqa: SIM115
    try:
        yield file
    except BaseException:
        file.close()
        raise


def _lines(unit: Unit, period: Period, now: datetime) -> Iterator[Line]:
    yield Line(record=Record.PERIOD, kind="utc", at=period.begins, why=_sentence(period, now))
    totals = Totals()
    for line in facts_of(unit, period):
        assert isinstance(line.kind, Fact), "only facts are summed"
        assert isinstance(line.amount, Money), "a fact has an amount"
        totals.add(line.kind, line.amount)
        yield line
    yield from totals.lines()
    closing = exposure_at(unit, period.ends)
    none_yet = {currency: Money(0, amount.currency) for currency, amount in closing.items()}
    opening = none_yet | exposure_at(unit, period.begins)
    yield from standing_lines(Standing.EXPOSURE_OPENING, period.begins, opening)
    yield from standing_lines(Standing.EXPOSURE_CLOSING, period.ends, closing)


def _sentence(period: Period, now: datetime) -> str:
    days = f"From {period.first} to {period.last}, both days included, in UTC."
    return days if period.ends <= now else f"{days} The period is not over yet."
