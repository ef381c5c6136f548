"""Inserts a row unless it exists, in one statement on both databases.

It may not update: what exists is read, locked and changed by the functions that own the table.
"""

from functools import cache
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from store.database import Unit
from store.tables.base import Row, table_of


def insert_or_ignore(unit: Unit, table: type[Row], **values: Any) -> bool:
    """Insert the row; return whether it was new. A clash with any unique index is not new."""
    statement = _insert(table, unit.get_bind().dialect.name)
    # Without the option SQLAlchemy may have closed psycopg's cursor before its count is read.
    result = unit.exec(statement, params=values, execution_options={"preserve_rowcount": True})
    return bool(result.rowcount == 1)


@cache
def _insert(table: type[Row], dialect: str) -> Any:
    """Return the statement for a table, built once: building it takes longer than running it."""
    build = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return build(table_of(table)).on_conflict_do_nothing()
