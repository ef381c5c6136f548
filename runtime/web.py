"""Puts the web application together from settings: the doors, health, and errors as JSON.

It may not hold a rule: each door knows its own, and handlers know the rest.
"""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from api.door import build_blueprint as build_api
from api.meter import Meter
from handlers.platform import confirm_at_intake
from handlers.services import Services
from refunds.clock import utc_now
from runtime.bootstrap import web_services
from runtime.health import build_health_blueprint
from runtime.logs import configure_logs
from runtime.rates import METER
from runtime.settings import Settings, load_settings
from store.database import Database
from store.group_commit import InboxRecorder
from webhooks.door import build_blueprint as build_webhooks


def create_app(
    settings: Settings | None = None,
    *,
    database: Database | None = None,
    services: Services | None = None,
    meter: Meter = METER,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """Return the application; gunicorn calls this in each of its processes.

    `services` are what the API works with, unless it is to make them from the settings. Raise
    `SettingsError` or `DatabaseUrlError` where a setting is missing or can't be used.
    """
    if settings is None:
        configure_logs()
        settings = load_settings()
    if database is None:
        database = Database(settings.database_url.get_secret_value())
    app = Flask("sluice", static_folder=None)
    # `//` would be answered with a redirect, which is no answer to a program.
    app.url_map.merge_slashes = False
    app.register_blueprint(
        build_webhooks(settings.require_webhook_secrets(), InboxRecorder(database).record, clock)
    )
    app.register_blueprint(_build_api(settings, database, services, meter, clock))
    app.register_blueprint(build_health_blueprint(database, clock))
    app.register_error_handler(HTTPException, _as_json)
    return app


def _build_api(
    settings: Settings,
    database: Database,
    services: Services | None,
    meter: Meter,
    clock: Callable[[], datetime],
) -> Blueprint:
    """Return the platform's door; without a token it is closed, and needs no key of Stripe's."""
    tokens = settings.api_tokens()
    if tokens and services is None:
        services = web_services(settings, database)
    return build_api(
        tokens=tokens,
        services=services,
        confirm_platform=_Confirmed(services),
        meter=meter,
        clock=clock,
    )


class _Confirmed:
    """Asks Stripe once in the life of a process whose key this is."""

    def __init__(self, services: Services | None) -> None:
        self._services = services
        self._done = False

    def __call__(self) -> None:
        if self._done or self._services is None:
            return
        self._done = confirm_at_intake(self._services)


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
