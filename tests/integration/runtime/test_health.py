"""Readiness names what is missing and what to do about it; liveness needs nothing."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from freezegun import freeze_time

from refunds.clock import utc_now
from runtime.health import WORKER_SILENT_AFTER, build_health_blueprint
from store.database import Database
from store.migrate import upgrade
from store.workers import FORGET_AFTER, beat, live_workers, retire
from tests.support.inbox import NOON


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    """A database without tables."""
    opened = Database(empty_database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def client(database: Database) -> FlaskClient:
    """A client of the health routes alone."""
    app = Flask(__name__)
    app.register_blueprint(build_health_blueprint(database, utc_now))
    return app.test_client()


def readiness(client: FlaskClient) -> tuple[int, dict[str, str]]:
    answer = client.get("/readyz")
    assert answer.json is not None
    checks = answer.json["checks"]
    assert isinstance(checks, dict)
    return answer.status_code, checks


def test_readiness_says_what_is_missing_step_by_step(
    client: FlaskClient, database: Database, empty_database_url: str
) -> None:
    assert client.get("/healthz").status_code == 200
    status, checks = readiness(client)
    assert (status, checks["database"]) == (503, "ok")
    assert "sluice migrate" in checks["migrations"]
    upgrade(empty_database_url)
    status, checks = readiness(client)
    assert (status, checks["migrations"]) == (503, "ok")
    assert "sluice worker" in checks["worker"]
    with freeze_time(NOON) as clock:
        with database.unit_of_work() as unit:
            beat(unit, "ann", utc_now())
        assert readiness(client) == (200, {"database": "ok", "migrations": "ok", "worker": "ok"})
        clock.tick(WORKER_SILENT_AFTER + timedelta(seconds=1))
        assert readiness(client)[0] == 503
    assert client.get("/healthz").status_code == 200


def test_a_database_out_of_reach_is_unavailable_and_not_described() -> None:
    database = Database("postgresql://user:hunter2@127.0.0.1:1/sluice")
    app = Flask(__name__)
    app.register_blueprint(build_health_blueprint(database, utc_now))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text
    assert "unavailable" in answer.text


def test_workers_live_as_long_as_they_beat(database: Database, empty_database_url: str) -> None:
    upgrade(empty_database_url)
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    with database.unit_of_work() as unit:
        beat(unit, "ann", NOON)
        beat(unit, "bob", NOON)
        beat(unit, "ann", NOON + minute)
        assert live_workers(unit, NOON + minute, within=minute) == 2
        assert live_workers(unit, NOON + minute + second, within=minute) == 1
        retire(unit, "ann")
        assert live_workers(unit, NOON + minute + second, within=minute) == 0
        beat(unit, "cleo", NOON + FORGET_AFTER + second)
        assert live_workers(unit, NOON, within=2 * FORGET_AFTER) == 1, "bob is forgotten"
