"""Fixtures of the handlers' stories: a stage on each database."""

from collections.abc import Iterator

import pytest

from tests.support.books import books_in_order
from tests.support.stage import Stage, staged


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """A sandbox, a database and our services on both; on SQLite and on PostgreSQL.

    After every story the books must be in order.
    """
    with staged(database_url) as stage, books_in_order(stage.services.database):
        yield stage
