"""Fixtures of the API's tests: a caller before the real application, over a sandbox."""

from collections.abc import Iterator

import pytest

from tests.support.books import books_in_order
from tests.support.caller import Caller, caller_on
from tests.support.databases import SqliteTemplate
from tests.support.stage import Stage, staged


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """A sandbox, a database and our services on both; on SQLite and on PostgreSQL."""
    with staged(database_url) as stage, books_in_order(stage.services.database):
        yield stage


@pytest.fixture
def caller(stage: Stage) -> Caller:
    """Someone who holds tokens of every kind."""
    return caller_on(stage)


@pytest.fixture
def sqlite_caller(sqlite_url: str) -> Iterator[Caller]:
    """The same on SQLite alone, for what doesn't depend on the database."""
    with staged(sqlite_url) as stage, books_in_order(stage.services.database):
        yield caller_on(stage)


@pytest.fixture(scope="module")
def shared_caller(
    sqlite_template: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    """One for all tests of a file that leave nothing behind."""
    url = sqlite_template.copy_to(tmp_path_factory.mktemp("shared"))
    with staged(url) as stage:
        yield caller_on(stage)
