"""Opens the database and hands out units of work: the only place where a transaction is committed.

It may not know a table or a query; the differences between SQLite and PostgreSQL end here.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url
from sqlmodel import Session

from refunds.errors import SluiceError
from store.sqlite import WriterLock, prepare_sqlite_connection

POOL_SIZE: Final = 16
"""Connections kept open per process: one for each thread of a web process."""
POOL_OVERFLOW: Final = 16
LOCK_TIMEOUT_SECONDS: Final = 5
"""How long a unit of work waits for a row, or on SQLite for its turn to write."""
STATEMENT_TIMEOUT_SECONDS: Final = 30
CONNECT_TIMEOUT_SECONDS: Final = 5

_BEGIN: Final = "sluice_begin"
_SQLITE: Final = "sqlite"
_POSTGRESQL: Final = "postgresql"

_log = structlog.get_logger(__name__)


class DatabaseUrlError(SluiceError):
    """DATABASE_URL can't be used; the message says what to write instead and never shows the URL,
    which may hold a password.
    """


class DatabaseUnavailableError(SluiceError):
    """The database could not do its part now: gone, full, locked, or not migrated.

    Nothing of the unit of work was kept, with one exception that callers must allow for: when the
    connection breaks during the commit itself, the outcome is unknown.
    """


class Unit(Session):
    """One transaction, handed to the functions of `store`; other rooms only pass it on."""

    def __init__(
        self, engine: Engine, *, autoflush: bool, telling: "Telling | None" = None
    ) -> None:
        super().__init__(bind=engine, expire_on_commit=False, autoflush=autoflush)
        self.telling: Final = telling
        self._before_commit: list[Callable[[], None]] = []
        self._after_commit: list[Callable[[], None]] = []

    def before_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` last of all in this transaction; what it raises undoes the unit."""
        self._before_commit.append(callback)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once this unit is committed; never when it is rolled back.

        It runs outside the transaction. What it raises is logged and goes no further: the work is
        committed, and the caller must not believe that it failed.
        """
        self._after_commit.append(callback)

    def commit(self) -> NoReturn:
        """Refuse: leaving `unit_of_work()` commits."""
        raise RuntimeError("only Database.unit_of_work() commits: leave its `with` block instead")

    def run_before_commit(self) -> None:
        """Call what `before_commit` collected. For `Database` alone."""
        for callback in self._before_commit:
            callback()

    def run_after_commit(self) -> None:
        """Call what `after_commit` collected. For `Database` alone."""
        for callback in self._after_commit:
            try:
                callback()
            except Exception:  # noqa: BLE001 - committed work must not look failed to its caller
                _log.exception("unit.after_commit_failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What other rooms know and do when a unit tells something to the outside."""

    describe: Callable[[Unit, str], Mapping[str, Any]]
    """Return a refund request, by its id, as the outside sees it."""
    announce: Callable[[Sequence[str]], None]
    """Called after the commit with the kinds of what was told."""


class Database:
    """The database at a URL. Connects when first used; safe to share between threads.

    A process that forks must make its own `Database` in the child, or call `dispose()` there first.
    """

    def __init__(self, url: str) -> None:
        """Raise `DatabaseUrlError` unless `url` names a SQLite file or a PostgreSQL server."""
        parsed = parse_url(url)
        self.dialect: Final = parsed.get_backend_name()
        self._shown = _without_secrets(parsed)
        self._writer_lock: WriterLock | None = None
        if self.dialect == _SQLITE:
            self._engine, self._writer_lock = _sqlite_engine(parsed)
        else:
            self._engine = _postgresql_engine(parsed)
        writing: dict[str, Any] = {_BEGIN: "write"}
        reading: dict[str, Any] = {_BEGIN: "read"}
        if self.dialect == _POSTGRESQL:
            writing["isolation_level"] = "READ COMMITTED"
            # One picture for all statements of a report, as SQLite gives it anyway.
            reading |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        # Both share one pool; the options decide how each transaction begins.
        self._writing = self._engine.execution_options(**writing)
        self._reading = self._engine.execution_options(**reading)
        self._here = threading.local()
        self._telling: Telling | None = None

    def tell_with(self, telling: Telling) -> None:
        """Say how requests look to the outside, for what units tell when they are committed."""
        self._telling = telling

    def __repr__(self) -> str:
        return f"Database({self._shown})"

    @contextmanager
    def unit_of_work(self) -> Iterator[Unit]:
        """Yield a unit that is committed when the block ends and rolled back when it raises.

        Raise `DatabaseUnavailableError` where the database is gone, full, locked or not migrated.
        """
        if getattr(self._here, "writing", False):
            raise RuntimeError("units of work don't nest: pass the open unit on instead")
        self._here.writing = True
        try:
            with self._translated(), ExitStack() as stack:
                if self._writer_lock is not None:
                    stack.enter_context(self._writer_lock.held())
                unit = stack.enter_context(
                    Unit(self._writing, autoflush=True, telling=self._telling)
                )
                # Leaving this context is the commit; an exception inside it is the rollback.
                with unit.begin():
                    yield unit
                    unit.run_before_commit()
        finally:
            self._here.writing = False
        unit.run_after_commit()

    @contextmanager
    def reading(self) -> Iterator[Unit]:
        """Yield a unit that sees one state of the database and can change nothing.

        Raise `DatabaseUnavailableError` as `unit_of_work` does.
        """
        with self._translated(), Unit(self._reading, autoflush=False) as unit:
            yield unit

    def dispose(self) -> None:
        """Close every pooled connection; the next unit opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError, OSError) as error:
            if isinstance(error, exc.DBAPIError) and not _is_unavailability(error):
                raise
            raise DatabaseUnavailableError(
                f"{self._shown} is not available: {_first_line(error)}"
            ) from error


def parse_url(url: str) -> URL:
    """Return the SQLAlchemy URL with our driver in it.

    Heroku's `postgres://` is accepted. Raise `DatabaseUrlError` for anything but a SQLite file or
    PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        # `from None`: the original error repeats the URL, password and all.
        raise DatabaseUrlError(
            "DATABASE_URL is not a database URL; write sqlite:///sluice.db or "
            "postgresql://user:password@host/database"
        ) from None
    kind = parsed.drivername.partition("+")[0]
    if kind in ("postgres", _POSTGRESQL):
        return parsed.set(drivername="postgresql+psycopg")
    if kind != _SQLITE:
        raise DatabaseUrlError(
            f"DATABASE_URL names {kind}; Sluice runs on SQLite (sqlite:///sluice.db) or PostgreSQL "
            "(postgresql://user:password@host/database)"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise DatabaseUrlError(
            "DATABASE_URL names a SQLite database in memory, which web and worker can't share; "
            "name a file: sqlite:///sluice.db"
        )
    return parsed.set(drivername="sqlite+pysqlite")


def _without_secrets(url: URL) -> str:
    # The query part may carry a password, too (`?password=…`).
    return url.set(query={}).render_as_string(hide_password=True)


def _sqlite_engine(url: URL) -> tuple[Engine, WriterLock]:
    assert url.database is not None
    lock = WriterLock(Path(f"{url.database}-lock"), timeout_seconds=LOCK_TIMEOUT_SECONDS)
    engine = create_engine(
        url,
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=LOCK_TIMEOUT_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        prepare_sqlite_connection(connection, lock)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_BEGIN) == "read":
            connection.exec_driver_sql("PRAGMA query_only=ON")
            connection.exec_driver_sql("BEGIN")
        else:
            # IMMEDIATE: a transaction that reads first and writes later would otherwise fail,
            # without waiting, when another one wrote in between.
            connection.exec_driver_sql("PRAGMA query_only=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine, lock


def _postgresql_engine(url: URL) -> Engine:
    given = url.query.get("options", "")
    options = [
        given if isinstance(given, str) else " ".join(given),
        "-c timezone=UTC",
        f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s",
        f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s",
        f"-c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_SECONDS}s",
    ]
    return create_engine(
        url,
        connect_args={
            "options": " ".join(options).strip(),
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "sluice",
        },
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=LOCK_TIMEOUT_SECONDS,
        # A server that restarted leaves dead connections in the pool.
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _is_unavailability(error: exc.DBAPIError) -> bool:
    """Whether trying again later may help: not a bug in a statement, not a broken constraint."""
    if error.connection_invalidated or isinstance(
        error, exc.OperationalError | exc.InterfaceError | exc.InternalError
    ):
        return True
    # PostgreSQL's word for a table that migrations have not made yet; SQLite's is operational.
    return getattr(error.orig, "sqlstate", None) == "42P01"


def _first_line(error: exc.DBAPIError | exc.TimeoutError | OSError) -> str:
    # The driver's own sentence: it holds neither the statement nor its parameters.
    source = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(source).strip().partition("\n")[0]
