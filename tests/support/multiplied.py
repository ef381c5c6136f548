"""Multiplies one held request inside the database: as many as wanted, in seconds.

It may not be used where books are judged: its requests have no ledger and no payment at Stripe.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Table, create_engine, text

from store.database import parse_url
from store.tables.base import table_of
from store.tables.requests import Charge, EvaluationRow, RefundRequest, RequestBucket

ROWS_AT_ONCE: Final = 100_000
"""In one transaction, so that neither database has to keep all of them undone."""
FIRST_EVALUATION: Final = 1_000_000_000
"""Beyond what a database counts up to by itself."""

_SERIES: Final = {
    "sqlite": (
        "WITH RECURSIVE series(i) AS "
        "(SELECT :first UNION ALL SELECT i + 1 FROM series WHERE i < :last) "
    ),
    "postgresql": (
        "WITH series(i) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint))) "
    ),
}
_QUICK: Final[Mapping[str, tuple[str, ...]]] = {
    "sqlite": (),
    # What is copied refers to what is copied: a million checks of it would take a minute.
    "postgresql": (
        "SET LOCAL session_replication_role = replica",
        "SET LOCAL synchronous_commit = off",
    ),
}
_DIGITS: Final = {"sqlite": "printf('%09d', i)", "postgresql": "lpad(i::text, 9, '0')"}


def multiply(url: str, request: str, *, first: int, count: int, lanes: int | None) -> None:
    """Copy a held request `count` times, numbered from `first` on.

    Half of the copies are older than any real request, half are younger. With `lanes` they are
    spread over so many accounts of their own; without, they wait in the lane of their original.
    """
    engine = create_engine(parse_url(url))
    try:
        for start in range(first, first + count, ROWS_AT_ONCE):
            last = min(start + ROWS_AT_ONCE, first + count) - 1
            with engine.begin() as connection:
                for setting in _QUICK[connection.dialect.name]:
                    connection.execute(text(setting))
                for table, values, where in _copies(connection.dialect.name, lanes):
                    statement = _insert(connection, table, values, where)
                    bound = {"request": request, "first": start, "last": last}
                    connection.execute(text(statement), bound)
        # As autovacuum would: an optimizer without figures is another story.
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
        if engine.dialect.name == "sqlite":
            # Or the next commit pays for writing all of it into the database.
            with engine.connect() as connection:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    finally:
        engine.dispose()


def _copies(dialect: str, lanes: int | None) -> list[tuple[Table, Mapping[str, str], str]]:
    number = _DIGITS[dialect]
    rank = f"CASE WHEN i % 2 = 0 THEN '0' ELSE 'z' END || {number}"
    request, charge = f"'rr_' || {rank}", f"'ch_copy' || {number}"
    evaluation = f"{FIRST_EVALUATION} + i"
    lane = {} if lanes is None else {"lane": f"'acct_copy' || (i % {lanes})"}
    account = {} if lanes is None else {"account": f"'acct_copy' || (i % {lanes})"}
    return [
        (
            table_of(Charge),
            {"id": charge, "payment_intent": f"'pi_copy' || {number}", **account},
            "original.id = (SELECT charge_id FROM refund_request WHERE id = :request)",
        ),
        (
            table_of(RefundRequest),
            {
                "id": request,
                "idempotency_key": f"'copy-' || {number}",
                "charge_id": charge,
                "evaluation_id": evaluation,
                **lane,
                **account,
            },
            "original.id = :request",
        ),
        (
            table_of(RequestBucket),
            {"request_id": request, **lane},
            "original.request_id = :request AND original.bucket = 'held'",
        ),
        (
            table_of(EvaluationRow),
            {"id": evaluation, "request_id": request},
            "original.id = (SELECT evaluation_id FROM refund_request WHERE id = :request)",
        ),
    ]


def _insert(connection: Connection, table: Table, values: Mapping[str, str], where: str) -> str:
    names = [column.name for column in table.columns]
    selected = ", ".join(values.get(name, f"original.{name}") for name in names)
    # Names of our own tables and columns; what varies is bound.
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) {_SERIES[connection.dialect.name]}"
        f"SELECT {selected} FROM series CROSS JOIN {table.name} AS original WHERE {where}"
    )
