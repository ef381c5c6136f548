"""The web application around a database of each kind, called in this process.

It may not replace a part: the clock is real, the database is real, the signatures are real.
"""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from runtime.settings import Settings
from runtime.web import create_app
from store.database import Database
from tests.support.stripe_events import OTHER_SECRET, SECRET


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database; once on SQLite, once on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def client(database: Database) -> FlaskClient:
    """A client of the application on `database`."""
    settings = Settings(stripe_webhook_secrets=(SecretStr(SECRET), SecretStr(OTHER_SECRET)))
    return create_app(settings, database=database).test_client()
