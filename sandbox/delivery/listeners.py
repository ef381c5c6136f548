"""The Stripe CLI's listeners: `stripe listen` gets every event over a websocket.

It speaks the CLI's protocol and may not deliver to registered endpoints; the courier does.
"""

import json
import queue
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from simple_websocket import ConnectionClosed, Server

from sandbox.clock import Wall, wall_seconds
from sandbox.delivery.signing import signature_header
from sandbox.shapes import JsonObject
from sandbox.world.core import API_VERSION, World
from sandbox.world.ids import token
from sandbox.world.shelves import Record

PATH = "/_sandbox/listen"
FEATURE = "webhooks"
SUBPROTOCOL = "stripecli-devproxy-v1"
RECONNECT_SECONDS = 86_400
"""How often the CLI drops its connection to make a new one; what happens between is lost to it."""
PING_SECONDS = 20
KEPT = 1_000
"""Answers of listeners that are remembered."""


@dataclass(eq=False, slots=True)
class _Line:
    """One connected CLI; what is put into `letters` is sent to it, None ends it."""

    letters: "queue.Queue[JsonObject | None]" = field(default_factory=queue.Queue)


class Listeners:
    """Every connected `stripe listen`, and what they answered."""

    def __init__(self, world: World, *, secret: str, wall: Wall = wall_seconds) -> None:
        self._world = world
        self._secret = secret
        self._wall = wall
        self._lock = threading.Lock()
        self._lines: list[_Line] = []
        self._answers: deque[JsonObject] = deque(maxlen=KEPT)
        self._count = 0
        world.listeners.append(self._tell)
        world.retellers.append(self._tell_again)

    def session(self, base_url: str) -> JsonObject:
        """What `POST /v1/stripecli/sessions` answers: where to connect, and the secret."""
        with self._lock:
            self._count += 1
            session = token(f"{self._secret}:session:{self._count}", 24)
        return {
            "websocket_id": f"cliws_{session}",
            "websocket_url": f"ws{base_url.removeprefix('http')}{PATH}",
            "websocket_authorized_feature": FEATURE,
            "reconnect_delay": RECONNECT_SECONDS,
            "secret": self._secret,
            "default_version": API_VERSION,
            "latest_version": API_VERSION,
            "display_connect_filter_warning": False,
        }

    def serve(self, environ: dict[str, Any]) -> None:
        """Serve one CLI until it hangs up; call it from the request's own thread."""
        socket = Server.accept(environ, subprotocols=[SUBPROTOCOL], ping_interval=PING_SECONDS)
        line = _Line()
        reader = threading.Thread(target=self._read, args=(socket, line), daemon=True)
        with self._lock:
            self._lines.append(line)
        try:
            reader.start()
            while (letter := line.letters.get()) is not None:
                socket.send(json.dumps(letter))
            socket.close()
        except (ConnectionClosed, OSError):
            pass  # the CLI went away, as it may at any time
        finally:
            with self._lock:
                self._lines.remove(line)

    def stop(self) -> None:
        """End every connection."""
        with self._lock:
            for line in self._lines:
                line.letters.put(None)

    def connected(self) -> int:
        """How many listeners there are."""
        with self._lock:
            return len(self._lines)

    def answers(self) -> list[JsonObject]:
        """What listeners' receivers answered: event, url and status, oldest first."""
        with self._lock:
            return list(self._answers)

    def _read(self, socket: Any, line: _Line) -> None:
        try:
            while True:
                self._note(json.loads(socket.receive()))
        except (ConnectionClosed, OSError, ValueError, TypeError):
            line.letters.put(None)

    def _note(self, message: JsonObject) -> None:
        if message.get("type") == "webhook_response":
            with self._lock:
                self._answers.append(
                    {
                        "event": message.get("webhook_id"),
                        "url": message.get("forward_url"),
                        "status": message.get("status"),
                    }
                )

    def _tell_again(self, event: Record, endpoint: Record | None) -> None:
        if endpoint is None:
            self._tell(event)

    def _tell(self, event: Record) -> None:
        with self._lock:
            if not self._lines:
                return
            self._count += 1
            payload = json.dumps(event.body)
            letter: JsonObject = {
                "type": "webhook_event",
                # A null version tells the CLI that this is the account's default one.
                "endpoint": {"api_version": None},
                "event_payload": payload,
                "http_headers": {
                    "Content-Type": "application/json; charset=utf-8",
                    "Stripe-Signature": signature_header(
                        payload.encode(), self._secret, int(self._wall())
                    ),
                    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                },
                "webhook_conversation_id": f"wc_{self._count}",
                "webhook_id": event.id,
            }
            for line in self._lines:
                line.letters.put(letter)
