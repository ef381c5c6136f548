"""Migrations and tables say the same, in the words of each database's own catalogue.

It may not trust Alembic's comparison, which sees neither CHECKs nor triggers nor partial indexes.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from store.database import Database
from store.migrate import upgrade
from store.schema import HEAD, current_heads_match
from store.tables import extra_ddl, metadata
from store.tables.base import run_ddl
from tests.support.repository import ROOT

SQLITE_CATALOGUE = """
    SELECT type || ' ' || name || ' on ' || tbl_name, sql FROM sqlite_master
    WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'alembic_version'
"""
POSTGRES_CATALOGUE = """
    SELECT 'column ' || c.relname || '.' || a.attname,
           format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text
               || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
       AND c.relname <> 'alembic_version'
    UNION ALL
    SELECT 'constraint ' || conname || ' on ' || conrelid::regclass, pg_get_constraintdef(oid)
      FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
    UNION ALL
    SELECT 'index ' || indexname, indexdef FROM pg_indexes
     WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass, pg_get_triggerdef(oid)
      FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function ' || proname, pg_get_functiondef(oid)
      FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def catalogue(connection: Connection) -> dict[str, list[str]]:
    """Everything the database knows about our schema, spacing and order of columns aside."""
    query = SQLITE_CATALOGUE if connection.dialect.name == "sqlite" else POSTGRES_CATALOGUE
    return {
        name: sorted(part.strip(" ,") for part in re.sub(r"[ \t]+", " ", sql or "").splitlines())
        for name, sql in connection.execute(text(query))
    }


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


def run(url: str, statements: str) -> None:
    with opened(url) as database, database.unit_of_work() as unit:
        for statement in statements.split(";"):
            unit.connection().execute(text(statement))


def create_from_tables(url: str) -> None:
    with opened(url) as database, database.unit_of_work() as unit:
        metadata.create_all(unit.connection())
        run_ddl(unit.connection(), extra_ddl(database.dialect))


def catalogue_of(url: str) -> dict[str, list[str]]:
    with opened(url) as database, database.reading() as unit:
        return catalogue(unit.connection())


def is_current(url: str) -> bool:
    with opened(url) as database:
        return current_heads_match(database)


def drop_everything(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).unlink()
    else:
        run(url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def test_migrations_make_exactly_what_the_tables_declare(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    migrated = catalogue_of(empty_database_url)
    drop_everything(empty_database_url)
    create_from_tables(empty_database_url)
    declared = catalogue_of(empty_database_url)
    assert migrated == declared
    assert any("ix_inbox_event_due" in name for name in migrated), "the catalogue was read"


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX ix_inbox_event_due",
        (
            "DROP INDEX ix_inbox_event_due; CREATE INDEX ix_inbox_event_due "
            "ON inbox_event (next_attempt_at, id)"
        ),
        "DROP TABLE event_attempt",
    ],
)
def test_the_comparison_sees_a_missing_or_different_index(
    empty_database_url: str, change: str
) -> None:
    upgrade(empty_database_url)
    before = catalogue_of(empty_database_url)
    run(empty_database_url, change)
    assert catalogue_of(empty_database_url) != before


def test_a_database_is_current_only_once_it_is_migrated(empty_database_url: str) -> None:
    assert not is_current(empty_database_url)
    upgrade(empty_database_url)
    assert is_current(empty_database_url)


def test_the_head_that_every_command_asks_for_is_the_newest_revision() -> None:
    scripts = ScriptDirectory(str(ROOT / "store" / "migrations"))
    assert scripts.get_heads() == [HEAD]


def test_upgrading_twice_changes_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    before = catalogue_of(empty_database_url)
    upgrade(empty_database_url)
    assert catalogue_of(empty_database_url) == before


def test_several_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    script = "import sys; from store.migrate import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_database_url],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert is_current(empty_database_url)
