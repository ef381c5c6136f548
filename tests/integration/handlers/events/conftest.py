"""The stage for stories told by events, once on SQLite and once on PostgreSQL.

It may not hold a story; after every one the books must be in order.
"""

from collections.abc import Iterator

import pytest

from store.database import Database
from tests.support.books import books_in_order
from tests.support.event_stage import EventStage


@pytest.fixture
def stage(database_url: str) -> Iterator[EventStage]:
    """A platform with an empty inbox; the books are checked when the story is over."""
    database = Database(database_url)
    with books_in_order(database):
        yield EventStage(database=database)
    database.dispose()
