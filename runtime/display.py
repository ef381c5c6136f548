"""How figures, times and tables look to a person: localised money, plain UTC, safe text.

It may not fetch anything or decide what is shown; programs get JSON instead.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.core import default_locale
from babel.numbers import format_decimal
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from refunds.lifecycle import Status
from refunds.money import Currency, exponent

WIDTH_WITHOUT_TERMINAL: Final = 200
"""Columns of a table that goes into a file or a pipe: one row a line, for `grep`."""
PROSE_LEAST_WIDTH: Final = 28
"""A column with longer sentences is folded, down to this; all others are never folded."""
NOTHING: Final = "-"

_COLOURS: Final[Mapping[str, str]] = {
    Status.REVIEW: "magenta",
    Status.REQUESTED: "cyan",
    Status.HELD: "yellow",
    Status.RELEASING: "cyan",
    Status.REVERSED: "cyan",
    Status.SUBMITTED: "cyan",
    Status.FAILED: "red",
    Status.SUCCEEDED: "green",
    Status.PARTIALLY_REFUNDED: "green",
    Status.REJECTED: "red",
    Status.CANCELED: "dim",
    Status.CLOSED: "dim",
    "pending": "cyan",
    "done": "green",
    "ignored": "dim",
    "dead": "red",
    "retry": "yellow",
}
"""By status of a request or state of an event; a word that is not here has no colour."""


def stdout() -> Console:
    """Return the console for data. Made anew each time: tests and pipes replace `sys.stdout`."""
    return _console(stderr=False)


def stderr() -> Console:
    """Return the console for what is said about the data: errors, hints and progress."""
    return _console(stderr=True)


def print_json(value: object) -> None:
    """Write one JSON document to stdout, whatever its text holds made harmless by escaping."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def money(amount_minor: int | None, currency: str | None) -> str:
    """Return an amount in the reader's notation with its currency's code: `1.234,50 EUR`.

    The code, because `$` is the dollar of several countries.
    """
    if amount_minor is None or currency is None:
        return NOTHING
    decimals = exponent(Currency(currency))
    pattern = "#,##0" if decimals == 0 else f"#,##0.{'0' * decimals}"
    value = Decimal(amount_minor).scaleb(-decimals)
    return f"{format_decimal(value, format=pattern, locale=_locale())} {currency.upper()}"


def moment(at: datetime | int | None) -> str:
    """Return a time, aware or in seconds since 1970, as `2026-11-23 06:15:02 UTC`."""
    if at is None:
        return NOTHING
    if isinstance(at, datetime):
        return f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{datetime.fromtimestamp(at, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(length: timedelta) -> str:
    """Return how long something took or is old, in its two largest units: `3 d 4 h`, `12 s`."""
    seconds = max(0, int(length.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def coloured(word: str) -> Text:
    """Return a status or state in its colour."""
    return Text(plain(word), style=_COLOURS.get(word, ""))


def plain(text: object) -> str:
    """Return text that can't steer the terminal: fields of events and requests are strangers'."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in str(text)
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> RenderableType:
    """Return rows as a table, or as blocks of lines where the terminal is too narrow for one.

    Cells are plain text or rich's `Text`.
    """
    cells = [
        [each if isinstance(each, Text) else Text(plain(each)) for each in row] for row in rows
    ]
    return _Rows(title=title, columns=columns, cells=cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Rows that know their shape only when they are printed: an id must not be cut in two."""

    title: str
    columns: Sequence[str]
    cells: Sequence[Sequence[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        if self._least_width() <= options.max_width:
            yield self._as_table()
        else:
            yield Text(self.title, style="bold")
            yield from self._as_blocks()

    def _least_width(self) -> int:
        borders = 3 * len(self.columns) + 1
        return borders + sum(
            PROSE_LEAST_WIDTH if self._is_prose(number) else self._width(number)
            for number in range(len(self.columns))
        )

    def _width(self, number: int) -> int:
        return max(cell_len(self.columns[number]), *(row[number].cell_len for row in self.cells), 0)

    def _is_prose(self, number: int) -> bool:
        return any(
            row[number].cell_len > PROSE_LEAST_WIDTH and " " in row[number].plain
            for row in self.cells
        )

    def _as_table(self) -> Table:
        made = Table(title=Text(self.title, style="bold"), title_justify="left")
        made.header_style = "bold"
        for number, name in enumerate(self.columns):
            made.add_column(name, overflow="fold", no_wrap=not self._is_prose(number))
        for row in self.cells:
            made.add_row(*row)
        return made

    def _as_blocks(self) -> Iterator[RenderableType]:
        for first, *rest in self.cells:
            yield first
            named = [
                Text.assemble((f"{name} ", "dim"), cell)
                for name, cell in zip(self.columns[1:], rest, strict=True)
                if cell.plain not in ("", NOTHING)
            ]
            yield Padding(Text(" · ", overflow="fold").join(named), (0, 0, 0, 2))


def facts(title: str, rows: Iterable[tuple[str, Any]]) -> Table:
    """Return a list of names and values, what is `None` left out."""
    made = Table.grid(padding=(0, 2))
    made.title = Text(title, style="bold")
    made.title_justify = "left"
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            made.add_row(name, value if isinstance(value, Text) else Text(plain(value)))
    return made


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def _locale() -> Locale:
    # "C" and "POSIX" mean that nobody chose: their notation lacks the thousands separator.
    name = default_locale("LC_MONETARY")
    try:
        chosen = Locale.parse(name or "en_US")
    except (UnknownLocaleError, ValueError):
        return Locale("en", "US")
    return Locale("en", "US") if chosen.variant == "POSIX" else chosen
