"""A real gunicorn on a free local port, with the project's own configuration.

It may not stand in for anything: what tests reach through it is what runs in production.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from tests.support.launch import Process, launch
from tests.support.stripe_events import OTHER_SECRET, SECRET

START_TIMEOUT_SECONDS: Final = 30
STOP_TIMEOUT_SECONDS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServer:
    """A running gunicorn; its processes form a group of their own, led by `process`."""

    process: Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End the whole tree at once, as `kill -9` or a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=STOP_TIMEOUT_SECONDS)


@contextmanager
def running_web(
    database_url: str,
    folder: Path,
    *,
    workers: int = 2,
    app: str | None = None,
    port: int = 0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[WebServer]:
    """Run gunicorn until the block ends; `app` replaces the project's application, `settings` come
    on top of what every web process needs.

    `folder` is its working directory and holds its log, `web.log`.
    """
    port = port or free_port()
    log = folder / "web.log"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STRIPE_", "SLUICE_"))
    } | {
        "STRIPE_WEBHOOK_SECRETS": f"{SECRET},{OTHER_SECRET}",
        "DATABASE_URL": database_url,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": str(workers),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **(settings or {}),
    }
    arguments = ["-c", "python:runtime.gunicorn_conf", *([app] if app else [])]
    with log.open("ab") as output:
        process = launch(
            "gunicorn",
            *arguments,
            folder=folder,
            environment=environment,
            stdout=output,
            stderr=output,
        )
    server = WebServer(process=process, port=port, log=log)
    try:
        _wait_until_it_answers(server)
        yield server
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=STOP_TIMEOUT_SECONDS)
    finally:
        server.kill()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def _wait_until_it_answers(server: WebServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"gunicorn ended at once:\n{server.log.read_text()}")
        with suppress(requests.RequestException):
            requests.get(f"{server.url}/healthz", timeout=5)
            return
        time.sleep(0.05)
    raise TimeoutError(f"gunicorn did not answer:\n{server.log.read_text()}")
