"""Inserts a row unless it exists, in one statement on both databases.

It may not update: what exists is read, locked and changed by the functions that own the table.
"""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from store.database import Unit
from store.tables.base import Row


def insert_or_ignore(unit: Unit, table: type[Row], **values: Any) -> bool:
    """Insert the row; return whether it was new. A clash with any unique index is not new."""
    target = table.__table__  # type: ignore[attr-defined]  # SQLModel adds it, its stubs don't say
    if unit.get_bind().dialect.name == "sqlite":
        statement: Any = sqlite.insert(target).values(**values).on_conflict_do_nothing()
    else:
        statement = postgresql.insert(target).values(**values).on_conflict_do_nothing()
    # Without the option SQLAlchemy may have closed psycopg's cursor before its count is read.
    result = unit.exec(statement, execution_options={"preserve_rowcount": True})
    return bool(result.rowcount == 1)
