"""The PostgreSQL that tests run on: it starts, recovers from a crash, and never outlives its owner.

It may not test Sluice's tables; the databases here are empty or hold a table of the test's own.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.databases import PostgresDatabases
from tests.support.postgres import (
    SERVER_TIME_ZONE,
    Binaries,
    PostgresServer,
    PostgresUnavailableError,
    find_binaries,
    running_server,
)

REPOSITORY = Path(__file__).parents[3]
DEADLINE_SECONDS = 30


def connect(url: str) -> psycopg.Connection:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def test_committed_rows_survive_a_crash(durable_postgres: PostgresServer) -> None:
    with PostgresDatabases(durable_postgres.url()).empty() as url:
        with connect(url) as connection:
            connection.execute("CREATE TABLE kept (n integer)")
            connection.execute("INSERT INTO kept VALUES (1)")
        durable_postgres.crash()
        with pytest.raises(psycopg.OperationalError):
            connect(url)
        durable_postgres.start()
        with connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_a_durable_server_keeps_fsync_and_a_quick_one_does_not(
    durable_postgres: PostgresServer, postgres_databases: PostgresDatabases
) -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("TEST_DATABASE_URL names a server with settings of its own")
    with connect(durable_postgres.url()) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with postgres_databases.empty() as url, connect(url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("off",)
        assert connection.execute("SHOW timezone").fetchone() == (SERVER_TIME_ZONE,)


def test_databases_are_apart_and_dropped_though_somebody_is_connected(
    postgres_databases: PostgresDatabases,
) -> None:
    with postgres_databases.migrated() as first, postgres_databases.migrated() as second:
        assert first != second
        forgotten = connect(first)
        forgotten.execute("CREATE TABLE mine (n integer)")
        with connect(second) as connection:
            assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(first)


@pytest.mark.parametrize(
    "binaries", [pytest.param(each, id=str(each.folder)) for each in find_binaries()]
)
def test_every_postgresql_on_this_machine_starts(binaries: Binaries) -> None:
    with running_server([binaries]) as server, connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the binaries to another user")
def test_root_copies_binaries_that_the_servers_user_cannot_reach(tmp_path: Path) -> None:
    wheels = [each for each in find_binaries() if each.origin == "the wheel"]
    if not wheels or wheels[0].libraries is None:
        pytest.skip("the wheel is not installed on this platform")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    installation = home / "package" / "pg"
    libraries = home / wheels[0].libraries.name
    shutil.copytree(wheels[0].folder.parent, installation, symlinks=True)
    shutil.copytree(wheels[0].libraries, libraries, symlinks=True)
    private = Binaries(folder=installation / "bin", origin="a private home", libraries=libraries)
    with running_server([private]) as server, connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_machine_without_postgresql_is_told_what_was_tried(tmp_path: Path) -> None:
    nothing = Binaries(folder=tmp_path, origin="an empty folder")
    with (
        pytest.raises(PostgresUnavailableError, match=r"TEST_DATABASE_URL.*an empty folder"),
        running_server([nothing]),
    ):
        pass
    with pytest.raises(PostgresUnavailableError, match="there is none"), running_server([]):
        pass


OWNER = """
import sys
from tests.support.postgres import running_server
with running_server() as server:
    print(server.url(), flush=True)
    sys.stdin.read()
"""


def test_the_server_ends_when_its_owner_is_killed() -> None:
    if not find_binaries():
        pytest.skip("there is no PostgreSQL on this machine")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    with owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        with connect(url) as connection:
            found = connection.execute("SHOW data_directory").fetchone()
        owner.send_signal(signal.SIGKILL)
    assert found is not None
    folders = [Path(str(make_url(url).query["host"])), Path(found[0])]
    deadline = time.monotonic() + DEADLINE_SECONDS
    while any(map(Path.exists, folders)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(Path.exists, folders))
    with pytest.raises(psycopg.OperationalError):
        connect(url)
