"""The route that hands out a period's facts as CSV, for whoever closes the month.

It may not read or word them; `handlers.statement` does, for the terminal as well.
"""

from datetime import date
from typing import Any, Final

from api.refusals import RefusedError
from api.route import Answer, Call, Reply, Route
from api.shapes import ExportQuery
from api.tokens import Scope
from handlers.statement import file_name, open_statement
from refunds.errors import PeriodError
from refunds.statement import Period

CSV: Final = "text/csv"


def _export(call: Call) -> Reply:
    first, last = _day(call.query["from_"], "from"), _day(call.query["to"], "to")
    try:
        period = Period(first=first, last=last)
    except PeriodError as error:
        raise RefusedError(400, "parameter_invalid", f"{error}.", param="to") from None
    services = call.services
    return Reply(
        body=open_statement(services.database, period, now=services.clock()),
        media=f"{CSV}; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{file_name(period)}"'},
    )


def _day(text: Any, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"{name}: there is no such day. Write it like 2026-11-30."
        raise RefusedError(400, "parameter_invalid", message, param=name) from None


EXPORTING: Final = (
    Route(
        name="exportCsv",
        method="GET",
        path="/export.csv",
        scope=Scope.READ,
        summary="Export the facts of a period",
        description="For the month-end close, as CSV: a line for each request, refund, reversal, "
        "recovery and change of exposure of live mode, then totals per kind and currency, and the "
        "exposure at the beginning and the end. Days are UTC, `from` and `to` are both included. "
        "The answer begins when all of it is ready: for very long periods use `sluice export`.",
        query=ExportQuery,
        answers={200: Answer(says="The file.", media=CSV)},
        refusals={},
        do=_export,
    ),
)
