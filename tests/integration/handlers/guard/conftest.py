"""The stage of the payout guard's stories, once on SQLite and once on PostgreSQL.

It may not hold a story; after every one the books must be in order.
"""

from collections.abc import Iterator

import pytest

from tests.support.books import books_in_order
from tests.support.guard_stage import GuardStage, Life, MortalDatabase


@pytest.fixture
def stage(database_url: str) -> Iterator[GuardStage]:
    """A platform that guards payouts."""
    life = Life()
    database = MortalDatabase(database_url, life)
    with books_in_order(database):
        yield GuardStage(database=database, life=life)
    database.dispose()
