"""The wire between workers and the sandbox: every call can be stopped on the way there or back.

It may not invent an effect: what it lets through is carried out by the sandbox, once.
"""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

UPSTREAM_TIMEOUT_SECONDS: Final = 60


class Mishap(StrEnum):
    """What happens to a call on the wire."""

    SWALLOWED = "swallowed"
    """Accepted and never passed on: the call does not reach Stripe."""
    CALL_HELD = "call held"
    """Waits here, and so does each that repeats it; all are passed on once they are let go, even
    where nobody waits for an answer any more."""
    ANSWER_HELD = "answer held"
    """Passed on; the answer waits here until it is let go."""
    ANSWERED_500 = "answered 500"
    """Refused by something in front of Stripe; Stripe itself never heard of it."""
    ANSWERED_429 = "answered 429"
    RESET = "reset"
    """The connection breaks before the call was passed on."""


@dataclass(slots=True, kw_only=True, eq=False)
class Snare:
    """Waits for one POST whose path begins so and whose path or body holds these words."""

    path: str
    words: str
    mishap: Mishap
    sprung: threading.Event = field(default_factory=threading.Event)
    """The call came; for a held answer, the answer is here."""
    _let_go: threading.Event = field(default_factory=threading.Event)
    _taken: bool = False

    def let_go(self) -> None:
        """Pass held calls or an answer on; forget a swallowed call."""
        self._let_go.set()

    def takes(self, method: str, path: str, body: bytes) -> bool:
        """Whether this is the call it waits for: the first, or each until held ones are let go."""
        if self._taken or method != "POST" or not path.startswith(self.path):
            return False
        found = self.words in path or self.words.encode() in body
        if self.mishap is Mishap.CALL_HELD:
            # A caller that gave up comes again: no effect may slip through before that.
            return found and not self._let_go.is_set()
        self._taken = found
        return found

    def wait(self) -> None:
        """Tell that the call is here, and wait until it is let go."""
        self.sprung.set()
        self._let_go.wait()


class Wire:
    """A relay on a free local port in front of the sandbox, as a context manager."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port: Final = upstream_port
        self.is_cut = False
        self._snares: list[Snare] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Relay)
        self._server.wire = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """What a worker takes for Stripe's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def snare(self, mishap: Mishap, path: str, words: str) -> Snare:
        """Lay a snare for one POST."""
        snare = Snare(path=path, words=words, mishap=mishap)
        with self._lock:
            self._snares.append(snare)
        return snare

    def find(self, method: str, path: str, body: bytes) -> Snare | None:
        """Return the snare that this call runs into, if any."""
        with self._lock:
            return next((each for each in self._snares if each.takes(method, path, body)), None)

    def cut(self) -> None:
        """Break every call from now on, as if Stripe could not be reached."""
        self.is_cut = True

    def mend(self) -> None:
        """Let calls through again."""
        self.is_cut = False

    def close(self) -> None:
        """Stop relaying; whatever is held is dropped."""
        self.is_cut = True
        for snare in self._snares:
            snare.let_go()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def start(self) -> None:
        """Begin to relay."""
        self._thread.start()


@contextmanager
def wired(upstream_port: int) -> Iterator[Wire]:
    """A running wire."""
    wire = Wire(upstream_port)
    wire.start()
    try:
        yield wire
    finally:
        wire.close()


_REFUSALS: Final = {
    Mishap.ANSWERED_500: (500, "api_error"),
    Mishap.ANSWERED_429: (429, "rate_limit_error"),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    wire: Wire

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that were killed are the point."""


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(
            "127.0.0.1", self.server.wire.upstream_port, timeout=UPSTREAM_TIMEOUT_SECONDS
        )

    def finish(self) -> None:
        self._upstream.close()
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        self._relay()

    def do_POST(self) -> None:
        self._relay()

    def do_DELETE(self) -> None:
        self._relay()

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wire = self.server.wire
        snare = wire.find(self.command, self.path, body)
        mishap = None if snare is None else snare.mishap
        if snare is not None and mishap in (Mishap.SWALLOWED, Mishap.CALL_HELD):
            snare.wait()
        elif snare is not None and mishap is not Mishap.ANSWER_HELD:
            snare.sprung.set()
        if wire.is_cut or mishap in (Mishap.SWALLOWED, Mishap.RESET):
            self._break()
        elif mishap in _REFUSALS:
            status, kind = _REFUSALS[mishap]
            error = {"error": {"type": kind, "message": "Refused on the wire."}}
            self._answer(status, json.dumps(error).encode(), {"Content-Type": "application/json"})
        else:
            self._pass_on(body, snare if mishap is Mishap.ANSWER_HELD else None)

    def _pass_on(self, body: bytes, snare: Snare | None) -> None:
        try:
            self._upstream.request(self.command, self.path, body or None, dict(self.headers))
            response = self._upstream.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self._break()
            return
        if snare is not None:
            snare.wait()
        if self.server.wire.is_cut:
            self._break()
        else:
            self._answer(response.status, answer, dict(response.getheaders()))

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("server", "date", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _break(self) -> None:
        self.close_connection = True
        # Closing with a linger time of zero sends RST.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
