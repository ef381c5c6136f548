"""Fixtures every test may ask for: a fresh database of each kind, and a server of one's own.

It may not hold anything that knows a room of the project; such fixtures live beside their tests.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import PostgresDatabases, SqliteTemplate
from tests.support.postgres import PostgresServer, PostgresUnavailableError, running_server

# On a busy machine an example may be slow without being wrong; pytest's own timeout ends a hang.
settings.register_profile(
    "sluice", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("sluice")

# Set by .ci/run: a run that is meant to prove something must not pass by leaving PostgreSQL out.
POSTGRES_REQUIRED = os.environ.get("SLUICE_REQUIRE_POSTGRES") == "1"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    """The migrated SQLite file that tests get copies of."""
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_or_reason() -> Iterator[PostgresDatabases | str]:
    """PostgreSQL for this test process, or the reason why there is none.

    A fixture that skips is run again for every test; one that returns the reason is not, so a
    machine without PostgreSQL doesn't look for it a thousand times.
    """
    with ExitStack() as stack:
        url = os.environ.get("TEST_DATABASE_URL")
        if not url:
            try:
                url = stack.enter_context(running_server()).url()
            except PostgresUnavailableError as error:
                yield str(error)
                return
        databases = PostgresDatabases(url)
        stack.callback(databases.close)
        yield databases


@pytest.fixture
def postgres_databases(
    postgres_or_reason: PostgresDatabases | str,
) -> PostgresDatabases:
    """Makes databases on a real PostgreSQL; skips visibly where there is none."""
    if isinstance(postgres_or_reason, str):
        skip_or_fail(postgres_or_reason)
    return postgres_or_reason


@pytest.fixture
def sqlite_url(sqlite_template: SqliteTemplate, tmp_path: Path) -> str:
    """URL of a fresh, migrated SQLite database."""
    return sqlite_template.copy_to(tmp_path)


@pytest.fixture
def postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """URL of a fresh, migrated PostgreSQL database, dropped after the test."""
    with postgres_databases.migrated() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh, migrated database: the test runs once on SQLite and once on PostgreSQL."""
    return _url_from(request, {"sqlite": "sqlite_url", "postgresql": "postgres_url"})


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite database that doesn't exist yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def empty_postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """URL of a PostgreSQL database without tables, dropped after the test."""
    with postgres_databases.empty() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """URL of a database without tables, once on SQLite and once on PostgreSQL: for migrations."""
    return _url_from(request, {"sqlite": "empty_sqlite_url", "postgresql": "empty_postgres_url"})


@pytest.fixture
def durable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own that may be crashed and started again.

    It keeps fsync on. Its databases are empty: make them with ``PostgresDatabases(server.url())``.
    """
    with own_server(durable=True) as server:
        yield server


@contextmanager
def own_server(*, durable: bool) -> Iterator[PostgresServer]:
    """A server for one test, or a visible skip."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_server(durable=durable))
        except PostgresUnavailableError as error:
            skip_or_fail(str(error))
        yield server


def skip_or_fail(reason: str) -> NoReturn:
    """Leave the test out, unless this run promised that PostgreSQL is there."""
    if POSTGRES_REQUIRED:
        pytest.fail(f"SLUICE_REQUIRE_POSTGRES=1, but: {reason}", pytrace=False)
    pytest.skip(reason)


def _url_from(request: pytest.FixtureRequest, fixtures: dict[str, str]) -> str:
    # Asked for by name, so that a run on one database never starts the other.
    url = request.getfixturevalue(fixtures[request.param])
    assert isinstance(url, str)
    return url
