"""Brings a database to the newest schema.

It may not describe the schema: the tables do, and the revisions repeat it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from store.database import Database, Unit

# Any constant will do, as long as nobody else locks it in the same database.
_ADVISORY_LOCK: Final = 7_305_811_204


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest schema, in one transaction: all of it or nothing.

    Several processes may do this at once; the others wait and find the work done. Raise
    `DatabaseUrlError` or `DatabaseUnavailableError`.
    """
    database = Database(url)
    try:
        with database.unit_of_work() as unit:
            connection = _locked(unit)
            command.upgrade(_config(connection), "head")
    finally:
        database.dispose()


def draft(message: str, revision: str) -> None:
    """Write the file of a new revision: what the tables have and the newest revision lacks.

    For developers (`make revision`). The first revision is whole, triggers included. For a later
    one Alembic does not see changed CHECKs, partial indexes and triggers: add them by hand, a test
    compares.
    """
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/draft.db"
        upgrade(url)
        database = Database(url)
        try:
            with database.unit_of_work() as unit:
                config = _config(unit.connection())
                command.revision(config, message, autogenerate=True, rev_id=revision)
        finally:
            database.dispose()


def _locked(unit: Unit) -> Connection:
    """Return the unit's connection, alone among the processes that migrate."""
    connection = unit.connection()
    if connection.dialect.name == "postgresql":
        # A big table may take long to change, and the others wait as long as it takes.
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    return connection


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
