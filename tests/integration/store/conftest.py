"""An open database of each kind for the tests of this room."""

from collections.abc import Iterator

import pytest

from store.database import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database; once on SQLite, once on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.dispose()
