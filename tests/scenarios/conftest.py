"""Fixtures of stories with real processes: databases, several to a test, and platforms on them.

It may not tell a story.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.databases import PostgresDatabases, SqliteTemplate
from tests.support.processes import Platform, running_platform

NewPlatform = Callable[[str], Platform]


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which kind of database the story runs on; once on each."""
    return str(request.param)


@pytest.fixture
def new_platform(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[NewPlatform]:
    """Make platforms by name, each with a database and a sandbox of its own."""
    with ExitStack() as stack:

        def make(name: str) -> Platform:
            folder = tmp_path / name
            folder.mkdir()
            if kind == "sqlite":
                template: SqliteTemplate = request.getfixturevalue("sqlite_template")
                url = template.copy_to(folder)
            else:
                databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
                url = stack.enter_context(databases.migrated())
            platform = stack.enter_context(running_platform(url, folder))
            stack.callback(platform.show_logs)
            return platform

        yield make


@pytest.fixture
def platform(new_platform: NewPlatform) -> Platform:
    """The one platform of a story."""
    return new_platform("platform")
