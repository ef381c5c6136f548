"""Puts the web application together from settings: the doors, health, and errors as JSON.

It may not hold a rule: each door knows its own, and handlers know the rest.
"""

from collections.abc import Callable
from datetime import datetime

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from refunds.clock import utc_now
from runtime.health import build_health_blueprint
from runtime.logs import configure_logs
from runtime.settings import Settings, load_settings
from store.database import Database
from store.group_commit import InboxRecorder
from webhooks.door import build_blueprint


def create_app(
    settings: Settings | None = None,
    *,
    database: Database | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """Return the application; gunicorn calls this in each of its processes.

    Raise `SettingsError` or `DatabaseUrlError` where a setting is missing or can't be used.
    """
    if settings is None:
        configure_logs()
        settings = load_settings()
    if database is None:
        database = Database(settings.database_url.get_secret_value())
    app = Flask("sluice", static_folder=None)
    app.register_blueprint(
        build_blueprint(settings.require_webhook_secrets(), InboxRecorder(database).record, clock)
    )
    app.register_blueprint(build_health_blueprint(database, clock))
    app.register_error_handler(HTTPException, _as_json)
    return app


def _as_json(error: HTTPException) -> Response:
    """Answer in Stripe's shape where Flask would answer in HTML."""
    status = error.code or 500
    kind = "api_error" if status >= 500 else "invalid_request_error"
    code = error.name.lower().replace(" ", "_")
    response = jsonify(
        error={"type": kind, "code": code, "message": error.description, "param": None}
    )
    response.status_code = status
    # What the exception says besides its text, such as `Allow` on a 405.
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response
