"""Which schema this version needs, and whether a database has it: one small question, asked often.

It may not migrate, nor load what migrates: every command asks this first.
"""

from typing import Final

from sqlalchemy import inspect, text

from store.database import Database

HEAD: Final = "0001"
"""The newest revision in `store/migrations/versions`; a test holds the two together."""


def current_heads_match(database: Database) -> bool:
    """Return whether the database has exactly the schema that this version needs."""
    with database.reading() as unit:
        connection = unit.connection()
        if not inspect(connection).has_table("alembic_version"):
            return False
        rows = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        return list(rows) == [HEAD]
