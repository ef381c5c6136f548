"""How gunicorn runs the web: `gunicorn -c python:runtime.gunicorn_conf`.

It may not build the application or know a route. Figures behind the choices: docs/performance.md.
"""

from typing import Final

# Before the fork: what is in its memory then is shared by all processes.
import runtime.rates  # noqa: F401
from runtime.logs import DropStalledClients, json_formatter
from runtime.settings import load_settings

_settings: Final = load_settings()

wsgi_app = "runtime.web:create_app()"
bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_concurrency

# Threads, because a delivery waits for the disk and shares that wait with the others; many, because
# a client that stalls in the middle of its request occupies one for a few seconds.
worker_class = "runtime.gunicorn_worker.StallProofWorker"
threads = 128
worker_connections = 1000

# Each process opens its own database connections: one that is shared over a fork breaks both.
preload_app = False

# SIGTERM has to end everything within 10 seconds, this included.
graceful_timeout = 8
timeout = 30
keepalive = 15

# The control socket would let whoever reaches it run commands in here.
control_socket_disable = True

# Only Stripe's and the platform's own requests come here, and those are small.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": json_formatter}},
    "filters": {"stalled": {"()": DropStalledClients}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["stalled"],
            "stream": "ext://sys.stderr",
        }
    },
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
    },
}
