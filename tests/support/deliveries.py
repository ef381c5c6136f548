"""Delivers events to a running door as Stripe does, one by one or many at once.

It may not judge answers: it counts those that acknowledged an event.
"""

import threading
from contextlib import suppress

import requests

from tests.support.stripe_events import build_body, sign
from tests.support.web import WebServer

PATH = "/webhooks/stripe"


def deliver(
    web: WebServer, body: bytes, session: requests.Session | None = None
) -> requests.Response:
    """Deliver these bytes, signed now."""
    return (session or requests).post(
        web.url + PATH, data=body, headers={"Stripe-Signature": sign(body)}, timeout=20
    )


class Load:
    """Connections that deliver `balance.available` of one account, every event id used once.

    Each goes on until it is stopped, through refusals and broken connections.
    """

    def __init__(self, web: WebServer, account: str, *, connections: int = 8) -> None:
        self._web = web
        self._account = account
        self._acknowledged: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,), daemon=True)
            for number in range(connections)
        ]

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> set[str]:
        """Stop; return every event that was acknowledged with a 2xx."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return set(self._acknowledged)

    @property
    def count(self) -> int:
        """How many events were acknowledged so far."""
        return len(self._acknowledged)

    def _send(self, connection: int) -> None:
        number = 0
        while not self._stop.is_set():
            with requests.Session() as session, suppress(requests.RequestException):
                while not self._stop.is_set():
                    number += 1
                    event = f"evt_load{connection}_{number}"
                    if deliver(self._web, self._body(event), session).status_code == 200:
                        self._acknowledged.append(event)
                    # Not as fast as possible: the test asks what is lost, not how much fits.
                    self._stop.wait(0.01)
            self._stop.wait(0.05)

    def _body(self, event: str) -> bytes:
        return build_body(event, account=self._account)
