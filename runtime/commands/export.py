"""`sluice export`: the facts of a period as CSV, for whoever closes the month.

It may not read or word them; `handlers.statement` does, for the API as well.
"""

import shutil
import sys
from datetime import date, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final

import click
from rich.text import Text

from handlers.statement import open_statement
from refunds.clock import utc_now
from refunds.errors import PeriodError
from refunds.statement import Period
from runtime.bootstrap import open_database
from runtime.commands.failures import Failure
from runtime.display import stderr
from runtime.settings import load_settings

_DAY: Final = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option(
    "--from",
    "first",
    type=_DAY,
    metavar="DATE",
    required=True,
    help="The first day, like 2026-11-01, in UTC.",
)
@click.option(
    "--to",
    "last",
    type=_DAY,
    metavar="DATE",
    required=True,
    help="The last day, included: 2026-11-30 exports all of that day, in UTC.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file and not to stdout. One that is there is replaced, once the new one is "
    "whole; only its owner may read it.",
)
def export(*, first: datetime, last: datetime, output: Path | None) -> None:
    """Write the facts of a period as CSV, for the month-end close.

    One line for each request, refund, reversal, recovery and change of exposure, then totals per
    kind and currency, and the exposure as it stood at the beginning and at the end. Days are UTC;
    --from and --to are both included. Amounts are never negative: the column `kind` says which way
    the money went. `amount_minor` is in minor units (1250 is 12.50 USD), `amount` in whole ones
    with a decimal point. Nothing of shadow mode is in it.

    \b
      sluice export --from 2026-11-01 --to 2026-11-30 --output november.csv
    """
    period = _period(first.date(), last.date())
    with open_database(load_settings()) as database:
        file = open_statement(database, period, now=utc_now())
    with file:
        if output is None:
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        _replace(output, file)
    stderr().print(Text(f"Written: {output}"))


def _period(first: date, last: date) -> Period:
    try:
        period = Period(first=first, last=last)
        # The calendar of a computer ends with the year 9999.
        assert period.begins < period.ends
    except (PeriodError, OverflowError) as error:
        raise click.BadParameter(f"{error}.", param_hint="'--to'") from None
    return period


def _replace(output: Path, file: IO[bytes]) -> None:
    """Write beside the file, then put it in place: half a statement would pass for a whole one."""
    try:
        with NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}-", delete=False) as made:
            try:
                shutil.copyfileobj(file, made)
                made.flush()
                Path(made.name).replace(output)
            except BaseException:
                Path(made.name).unlink()
                raise
    except OSError as error:
        message = f"{output} can't be written: {error.strerror}"
        raise Failure(message, hint="Name another file, or free some space.") from error
