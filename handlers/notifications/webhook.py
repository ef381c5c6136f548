"""The channel to the platform's own systems: signed HTTP, in the format of Standard Webhooks.

It may not follow a redirect or read what the receiver answers beyond its status.
"""

import json
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import certifi
import urllib3
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

from handlers.notifications.channel import Delivered, Gone, Message, Outcome, TryLater
from handlers.notifications.configured import Endpoint
from refunds.clock import utc_now
from store.dispatches import Told

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 8.0
_GONE: Final = 410
_UNWELL: Final = frozenset({429, 502, 503, 504})
"""Statuses about the receiver, not about one message."""
_RETRY_AFTER_CHARACTERS: Final = 10


class WebhookChannel:
    """Posts notifications to one endpoint."""

    batch: Final = 1
    lease: Final = timedelta(seconds=20)

    def __init__(self, endpoint: Endpoint, clock: Callable[[], datetime] = utc_now) -> None:
        assert endpoint.secrets, "an endpoint without a secret is refused by the settings"
        self.receiver: Final = f"webhook:{endpoint.name}"
        self._url = endpoint.url
        self._signers = [Webhook(secret) for secret in endpoint.secrets]
        self._clock = clock
        context = ssl.create_default_context()
        # Beside the system's own: some images have none.
        context.load_verify_locations(certifi.where())
        # Not from the environment: a proxy or a .netrc meant for others must not see these.
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=False,
            ssl_context=context,
        )

    def addresses(self, told: Told) -> Sequence[str]:
        """Everything is told; receivers pick by `type`."""
        del told
        return ("",)

    def test_addresses(self) -> Sequence[str]:
        """The endpoint itself."""
        return ("",)

    def send(self, message: Message) -> Outcome:
        """Post the message once; any 2xx means that the receiver has it."""
        body = body_of(message.told)
        try:
            response = self._http.request(
                "POST",
                self._url,
                body=body.encode(),
                headers=self._headers(message.told.id, body),
                redirect=False,
                preload_content=False,
            )
        except HTTPError as error:
            # The class alone: its text may hold the URL, and with it a token.
            return TryLater(note=f"No answer ({type(error).__name__}).", receiver_unwell=True)
        status = response.status
        asked = response.headers.get("Retry-After", "")
        # Unread: whatever it says, the status is all that counts, and it may say it for ever.
        response.close()
        return _outcome(status, asked)

    def _headers(self, name: str, body: str) -> dict[str, str]:
        now = self._clock()
        signatures = (signer.sign(name, now, body) for signer in self._signers)
        return {
            "Content-Type": "application/json",
            "User-Agent": "Sluice",
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def body_of(told: Told) -> str:
    """Return the body: the same bytes at every try."""
    return json.dumps(told.payload, ensure_ascii=True, separators=(",", ":"))


def _outcome(status: int, asked: str) -> Outcome:
    if 200 <= status < 300:
        return Delivered(note=f"HTTP {status}")
    if status == _GONE:
        return Gone(note="HTTP 410: the endpoint wants no more.")
    seconds = asked.strip()
    understood = seconds.isascii() and seconds.isdigit() and len(seconds) < _RETRY_AFTER_CHARACTERS
    return TryLater(
        note=f"HTTP {status}",
        receiver_unwell=status in _UNWELL,
        after_seconds=float(seconds) if understood else None,
    )
