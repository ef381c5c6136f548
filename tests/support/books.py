"""Checks after a story that the books are in order, whatever the story was about.

It may not repair them or leave a check out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from refunds.invariants import violations
from store.database import Database
from store.reports import load_books


@contextmanager
def books_in_order(database: Database) -> Iterator[None]:
    """Run a story, then judge everything it left in the database, in batches of two."""
    yield
    with database.reading() as unit:
        found = [each for books in load_books(unit, batch=2) for each in violations(books)]
    assert found == []
