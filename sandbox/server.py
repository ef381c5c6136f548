"""The sandbox over HTTP: API, control desk and courier in one process on this machine.

It carries bytes between sockets and the door and may not know what they mean.
"""

import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.api.admission import authenticate
from sandbox.api.door import Fate, Request
from sandbox.assembly import Sandbox
from sandbox.clock import Clock
from sandbox.delivery import listeners
from sandbox.delivery.courier import RETRY_SECONDS, Courier
from sandbox.delivery.listeners import Listeners
from sandbox.errors import ApiError
from sandbox.shapes import JsonObject
from sandbox.world import course

HOST = "127.0.0.1"
TICK_SECONDS = 0.5
"""How often a running clock's due things are looked at when nobody asks anything."""

MAX_BODY = 1 << 20

Environ = dict[str, Any]


class _Handler(WSGIRequestHandler):
    """HTTP/1.1 without waiting for more to send, and without a line per request."""

    protocol_version = "HTTP/1.1"
    # Headers and body go out as two writes: with Nagle's algorithm the second waits 40 ms.
    disable_nagle_algorithm = True

    def connection_dropped(self, error: BaseException, environ: Environ | None = None) -> None:
        """The connection is gone: don't wait for another request on it."""
        del error, environ
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the journal knows every request."""


class SandboxServer:
    """A sandbox on a port of 127.0.0.1, between `start` and `stop` or as a context manager.

    `port` 0 takes a free one. `webhook_url` gets the platform's events, `connect_webhook_url`
    (the same one unless given) those of connected accounts, both signed with `webhook_secret`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        clock: Clock | None = None,
        api_key: str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        connect_webhook_url: str | None = None,
        connect_webhook_secret: str | None = None,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        webhook_timeout_seconds: float = 10.0,
    ) -> None:
        self._sandbox = Sandbox(
            seed=seed,
            clock=clock or Clock.running(),
            wait=time.sleep,
            api_key=api_key,
            webhook_secret=webhook_secret,
        )
        self.world = self._sandbox.world
        self.door = self._sandbox.door
        self.desk = self._sandbox.desk
        self.secret = self._sandbox.secret
        self.courier = Courier(
            self.world, retry_seconds=retry_seconds, timeout_seconds=webhook_timeout_seconds
        )
        self._sandbox.deliver_through(self.courier)
        self.listeners = Listeners(self.world, secret=self.secret)
        self._api_key = api_key
        if webhook_url:
            self._sandbox.listen(webhook_url, connect=False)
            self._sandbox.listen(
                connect_webhook_url or webhook_url, connect=True, secret=connect_webhook_secret
            )
        self._server: BaseWSGIServer = make_server(
            HOST, port, self._application, threaded=True, request_handler=_Handler
        )
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name="sandbox-http", daemon=True),
            threading.Thread(target=self._tick, name="sandbox-clock", daemon=True),
        ]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    @property
    def base_url(self) -> str:
        """What `stripe` takes as the API's base address."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Begin to answer and to deliver, from threads of its own."""
        self.courier.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop answering and delivering."""
        self._stopping.set()
        self.listeners.stop()
        self._server.shutdown()
        self._server.server_close()
        self.courier.stop()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self) -> None:
        """Wait until somebody stops it."""
        self._stopping.wait()

    def control(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Carry out a control verb without HTTP; raises ValueError if it is refused."""
        return self._sandbox.control(method, path, body)

    def snapshot(self) -> JsonObject:
        """The whole world as JSON: the same story gives the same snapshot."""
        return self._sandbox.snapshot()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            with self.world.lock:
                course.catch_up(self.world)

    def _application(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MAX_BODY:
            return _answer(start_response, 413, b'{"error": {"message": "Too large."}}', {})
        body = environ["wsgi.input"].read(length) if length else b""
        if path == listeners.PATH and "websocket" in environ.get("HTTP_UPGRADE", "").lower():
            self.listeners.serve(environ)
            raise ConnectionAbortedError("the listener hung up")
        if path.startswith("/_sandbox"):
            return self._control(start_response, method, path, body)
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if (method, path) == ("POST", "/v1/stripecli/sessions"):
            return self._session(start_response, headers)
        request = Request(
            method=method,
            path=path,
            query=environ.get("QUERY_STRING", ""),
            body=body.decode("utf-8", errors="replace"),
            headers=headers,
        )
        exchange = self.door.exchange(request)
        if exchange.fate is not Fate.ANSWERED:
            _hang_up(environ, reset=exchange.fate is Fate.RESET)
            raise ConnectionAbortedError("the sandbox dropped this connection by rule")
        return _answer(start_response, exchange.status, exchange.body, exchange.headers)

    def _session(self, start_response: Any, headers: dict[str, str]) -> Iterable[bytes]:
        """What the Stripe CLI asks for before it listens."""
        try:
            authenticate(headers, self._api_key)
        except ApiError as error:
            return _answer_json(start_response, error.status, error.body())
        return _answer_json(start_response, 200, self.listeners.session(self.base_url))

    def _control(self, start_response: Any, method: str, path: str, body: bytes) -> Iterable[bytes]:
        try:
            wish = json.loads(body) if body else {}
        except ValueError:
            wish = None
        if not isinstance(wish, dict):
            message = b'{"error": {"message": "The body must be a JSON object."}}'
            return _answer(start_response, 400, message, {"Content-Type": "application/json"})
        status, answer = self.desk.handle(method, path, wish)
        return _answer_json(start_response, status, answer)


def _answer_json(start_response: Any, status: int, body: JsonObject) -> Iterable[bytes]:
    payload = json.dumps(body, indent=2).encode()
    return _answer(start_response, status, payload, {"Content-Type": "application/json"})


def _answer(
    start_response: Any, status: int, body: bytes, headers: dict[str, str]
) -> Iterable[bytes]:
    start_response(
        f"{status} {_REASONS.get(status, 'Status')}",
        [*headers.items(), ("Content-Length", str(len(body)))],
    )
    return [body]


_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required"}


def _hang_up(environ: Environ, *, reset: bool) -> None:
    """Close the connection under the request, as a broken network does."""
    connection: socket.socket = environ["werkzeug.socket"]
    if reset:
        # Closing with a linger time of zero sends RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The handler's file objects would keep a merely closed socket open: take it from them.
        os.close(connection.detach())
        return
    connection.shutdown(socket.SHUT_RDWR)


def run(
    *,
    port: int = 12111,
    seed: int = 0,
    clock: Clock | None = None,
    webhook_url: str | None = None,
    webhook_secret: str | None = None,
    connect_webhook_url: str | None = None,
    api_key: str | None = None,
) -> None:
    """Serve a sandbox until interrupted; prints one line with the URL when it is ready."""
    # A shell that starts it in the background lets it ignore interrupts otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    server = SandboxServer(
        port=port,
        seed=seed,
        clock=clock,
        webhook_url=webhook_url,
        webhook_secret=webhook_secret,
        connect_webhook_url=connect_webhook_url,
        api_key=api_key,
    )
    with server:
        _say(f"Sandbox ready at {server.base_url} (signing secret {server.secret})")
        try:
            server.wait()
        except KeyboardInterrupt:
            _say("Sandbox stopped.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
