"""A sandbox over HTTP and the real SDK in front of it, for the tests of this folder."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from sandbox.clock import Clock
from sandbox.server import SandboxServer
from sandbox.world.core import START

SECRET = "whsec_sandbox_test"


@dataclass
class Receiver:
    """A webhook endpoint that verifies signatures with the SDK; `answers` are its next statuses."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    forged: int = 0

    def types(self, account: str | None = None) -> list[str]:
        """The types received of the platform or of one connected account, in order."""
        return [event["type"] for event in self.events if event.get("account") == account]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    book = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            header = self.headers["Stripe-Signature"]
            try:
                stripe.WebhookSignature.verify_header(body.decode(), header, SECRET, 300)
            except stripe.SignatureVerificationError:
                book.forged += 1
            status = book.answers.pop(0) if book.answers else 200
            if status == 200:
                book.events.append(json.loads(body))
            book.signatures.append(header)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    book.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield book
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[SandboxServer]:
    """A sandbox whose clock stands still, delivering to the receiver."""
    with SandboxServer(
        clock=Clock(start=START),
        webhook_url=receiver.url,
        webhook_secret=SECRET,
        retry_seconds=(0.05, 0.05, 0.05),
    ) as server:
        yield server
        assert server.control("GET", "books")["problems"] == []


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[stripe.StripeClient]:
    """The real SDK, without retries of its own."""
    http = stripe.RequestsClient(timeout=(3, 8))
    yield stripe.StripeClient(
        "sk_test_sandbox_key", base_addresses={"api": sandbox.base_url}, http_client=http
    )
    http.close()  # type: ignore[no-untyped-call]  # the SDK left it without types
