"""Receivers of notifications: an HTTP server that verifies signatures, and a mail server.

They keep what arrives and answer as they are told; they may not know the project.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook

from tests.support.web import free_port

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBwbGF0Zm9ybSBmb3IgdGVzdHM="
OLD_SECRET = "whsec_" + "YW4gb2xkZXIgc2VjcmV0LCB3aGljaCBpcyByb2xsaW5n"


GATE_SECONDS: Final = 30.0


def _open_gate() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


@dataclass(kw_only=True)
class HttpReceiver:
    """One of the platform's own systems: takes each message once, by its id."""

    secret: str = SECRET
    answers: list[int] = field(default_factory=list)
    """Statuses to answer with, in turn; then 200."""
    headers: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    """So many messages are taken without an answer."""
    gate: threading.Event = field(default_factory=_open_gate)
    """While it is closed, messages are taken and their answers wait."""
    tries: list[tuple[str, int]] = field(default_factory=list)
    """Every request: the message's id and the status."""
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The effect: each message once."""
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/sluice"

    def hear(self, headers: dict[str, str], body: bytes) -> int | None:
        """Verify, note and take a message; return the status, or `None` for no answer."""
        # Raises on a signature that is not right: the server answers with nothing, tests see it.
        payload = Webhook(self.secret).verify(body, headers)
        name = headers["webhook-id"]
        with self._lock:
            self.bodies.setdefault(name, set()).add(body)
            status = self.answers.pop(0) if self.answers else 200
            self.tries.append((name, status))
            if 200 <= status < 300:
                self.taken.setdefault(name, payload)
                if self.lost:
                    self.lost -= 1
                    return None
        self.gate.wait(GATE_SECONDS)
        return status

    def types(self) -> list[str]:
        """The types of what was taken, in the order it arrived first."""
        return [str(payload["type"]) for payload in self.taken.values()]

    def tries_of(self) -> Counter[str]:
        """How often each message came."""
        return Counter(name for name, _ in self.tries)


@contextmanager
def http_receiver(**more: Any) -> Iterator[HttpReceiver]:
    """A receiver on a free port of this machine."""
    receiver = HttpReceiver(**more)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.hear(headers, body)
            if status is None:
                self.connection.close()
                return
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed says nothing to anybody."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join(10)


@dataclass(kw_only=True)
class MailReceiver:
    """A mail server: takes each letter once, by its Message-ID."""

    answers: list[str] = field(default_factory=list)
    """Replies to DATA, in turn; then 250."""
    refuses: dict[str, str] = field(default_factory=dict)
    """Replies to RCPT for these addresses."""
    lost: int = 0
    """So many letters are taken and the connection is closed without a word."""
    gate: threading.Event = field(default_factory=_open_gate)
    """While it is closed, letters are taken and their answers wait."""
    tries: list[str] = field(default_factory=list)
    letters: dict[str, EmailMessage] = field(default_factory=dict)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take an address, or refuse it."""
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Take a letter, or refuse it."""
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=default)
        name = str(letter["Message-ID"])
        self.tries.append(name)
        if self.answers:
            return self.answers.pop(0)
        self.letters.setdefault(name, letter)
        while not self.gate.is_set():
            await asyncio.sleep(0.02)
        if self.lost:
            self.lost -= 1
            assert server.transport is not None
            server.transport.close()
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        """The letters to this address, in the order they came first."""
        return [letter for letter in self.letters.values() if str(letter["To"]) == address]

    @property
    def url(self) -> str:
        """Where it listens, as a setting says it."""
        return f"smtp://127.0.0.1:{self.port}"


@contextmanager
def mail_receiver(**more: Any) -> Iterator[MailReceiver]:
    """A mail server on a free port of this machine."""
    receiver = MailReceiver(**more)
    receiver.port = free_port()
    controller = Controller(receiver, hostname="127.0.0.1", port=receiver.port, ready_timeout=30)
    controller.start()
    try:
        yield receiver
    finally:
        controller.stop()


def text_of(letter: EmailMessage, kind: str = "plain") -> str:
    """A letter's text, or its HTML."""
    body = letter.get_body((kind,))
    assert body is not None
    return str(body.get_content())
