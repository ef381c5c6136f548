"""A fresh, migrated database for each test, copied from a template that is migrated once.

It may not start servers or decide which tests use which database: it makes, names and drops them.
"""

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from store.migrate import upgrade

_FIRST_WITH_FILE_COPY = 150_000


class SqliteTemplate:
    """A migrated SQLite file, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "template.db"
        upgrade(f"sqlite:///{self._file}")
        # The copy below takes one file only, so nothing may be left in the write-ahead log.
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, folder: Path) -> str:
        """The URL of a fresh, migrated file in ``folder``."""
        target = folder / "sluice.db"
        shutil.copyfile(self._file, target)
        return f"sqlite:///{target}"


class PostgresDatabases:
    """Databases on one PostgreSQL server: empty ones, and copies of a migrated template.

    Args:
        url: SQLAlchemy URL of a database on that server whose user may create databases. The
            server may be shared: every name carries a token of this test process.
    """

    def __init__(self, url: str) -> None:
        self._maintenance = make_url(url).set(drivername="postgresql")
        self._token = uuid.uuid4().hex[:12]
        self._made = 0
        self._template: str | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without tables, dropped at the end."""
        name = self._next_name()
        self._create(name, template=None)
        try:
            yield self._url_of(name)
        finally:
            self._drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """The URL of a database with all tables and no rows, dropped at the end."""
        if self._template is None:
            name = self._next_name()
            self._create(name, template=None)
            upgrade(self._url_of(name))
            self._template = name
        name = self._next_name()
        self._create(name, template=self._template)
        try:
            yield self._url_of(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        """Drop the template."""
        if self._template is not None:
            self._drop(self._template)
            self._template = None

    def _next_name(self) -> str:
        self._made += 1
        return f"sluice_test_{self._token}_{self._made}"

    def _url_of(self, name: str) -> str:
        url = self._maintenance.set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def _create(self, name: str, *, template: str | None) -> None:
        with self._connect() as connection:
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            if template is not None:
                statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                if connection.info.server_version >= _FIRST_WITH_FILE_COPY:
                    # Copies files instead of writing every block to the log.
                    statement += sql.SQL(" STRATEGY FILE_COPY")
            connection.execute(statement)

    def _drop(self, name: str) -> None:
        # Processes that a test started may still hold connections.
        with self._connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _connect(self) -> psycopg.Connection:
        url = self._maintenance.render_as_string(hide_password=False)
        return psycopg.connect(url, autocommit=True)
