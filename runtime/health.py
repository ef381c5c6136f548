"""`/healthz`: this process answers. `/readyz`: the database, its schema and a worker are there.

It may not call Stripe: an outage there is no reason to take Sluice's doors away.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, Response, jsonify

from store.database import Database, DatabaseUnavailableError
from store.schema import current_heads_match
from store.workers import live_workers

WORKER_SILENT_AFTER: Final = timedelta(seconds=30)
"""A worker that has given no sign of life for so long counts as gone."""

OK: Final = "ok"


def build_health_blueprint(database: Database, clock: Callable[[], datetime]) -> Blueprint:
    """Return the two routes, which need no credentials and tell nothing but words."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def alive() -> Response:
        return jsonify(status=OK)

    @blueprint.get("/readyz")
    def ready() -> tuple[Response, int]:
        checks = check_readiness(database, clock())
        is_ready = all(word == OK for word in checks.values())
        return jsonify(status=OK if is_ready else "not ready", checks=checks), (
            200 if is_ready else 503
        )

    return blueprint


def check_readiness(database: Database, now: datetime) -> dict[str, str]:
    """Return for database, migrations and worker either `ok` or what to do."""
    unknown = "unknown: the database does not answer"
    try:
        current = current_heads_match(database)
    except DatabaseUnavailableError:
        # Without the reason: it names hosts, and this route is open to everybody.
        return {"database": "unavailable", "migrations": unknown, "worker": unknown}
    if not current:
        return {
            "database": OK,
            "migrations": "not at the newest: run `sluice migrate`",
            "worker": "unknown: migrate first",
        }
    try:
        with database.reading() as unit:
            workers = live_workers(unit, now, within=WORKER_SILENT_AFTER)
    except DatabaseUnavailableError:
        return {"database": "unavailable", "migrations": OK, "worker": unknown}
    return {
        "database": OK,
        "migrations": OK,
        "worker": OK if workers else "none alive: run `sluice worker`",
    }
