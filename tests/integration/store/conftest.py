"""An open database of each kind for the tests of this room."""

from collections.abc import Iterator

import pytest

from handlers.view import view_request
from store.database import Database, Telling


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database; once on SQLite, once on PostgreSQL."""
    opened = Database(database_url)
    opened.tell_with(Telling(describe=view_request, announce=lambda _kinds: None))
    yield opened
    opened.dispose()
