"""The database fixtures: each test gets all tables and nobody else's rows, on both databases.

It may not test what the tables mean.
"""

import pytest
from sqlalchemy import create_engine, inspect, text

from store.database import Database
from store.schema import current_heads_match


def test_a_migrated_database_has_the_newest_schema(database_url: str) -> None:
    database = Database(database_url)
    assert current_heads_match(database)
    database.dispose()


# Two runs of one test: whichever comes second would see the first one's table.
@pytest.mark.parametrize("run", [1, 2])
def test_nothing_is_left_from_another_test(database_url: str, run: int) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_behind (n integer)"))
    engine.dispose()


def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_each_parameter_is_the_database_it_says(
    database_url: str, request: pytest.FixtureRequest
) -> None:
    asked = request.node.callspec.params["database_url"]
    engine = create_engine(database_url)
    assert engine.dialect.name == asked
    engine.dispose()
