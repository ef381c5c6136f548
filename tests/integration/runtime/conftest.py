"""Fixtures of the worker's stories: a stage on each database."""

from collections.abc import Iterator

import pytest

from tests.support.stage import Stage, staged


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """A sandbox, a database and our services on both; on SQLite and on PostgreSQL."""
    with staged(database_url) as stage:
        yield stage
