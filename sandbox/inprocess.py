"""The sandbox without sockets: an HTTP client for the real SDK that answers from memory.

It carries requests between `stripe` and the door and may not know what they mean.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import stripe

from sandbox.api.door import Exchange, Fate, Request, Wait
from sandbox.assembly import Sandbox
from sandbox.clock import Clock
from sandbox.delivery.mailbox import Mailbox
from sandbox.shapes import JsonObject
from sandbox.world.core import START

BASE = "http://sandbox.invalid"
"""Never resolved: requests don't leave the process."""


class InProcessSandbox:
    """A sandbox in this process: frozen time, no sockets, nothing in the background.

    `clock` None stands still at a fixed moment until advanced. `webhook_url` makes platform and
    Connect endpoints whose signed deliveries wait in `mailbox`. `wait` is told of every delay that
    a fault asks for; unless given, delays take no time.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        connect_webhook_secret: str | None = None,
        api_key: str | None = None,
        wait: Wait | None = None,
    ) -> None:
        self._sandbox = Sandbox(
            seed=seed,
            clock=clock or Clock(start=START),
            wait=wait or _no_time,
            api_key=api_key,
            webhook_secret=webhook_secret,
        )
        self.world = self._sandbox.world
        self.door = self._sandbox.door
        self.secret = self._sandbox.secret
        self.mailbox = Mailbox(self.world)
        self._sandbox.deliver_through(self.mailbox)
        if webhook_url:
            self._sandbox.listen(webhook_url, connect=False)
            self._sandbox.listen(webhook_url, connect=True, secret=connect_webhook_secret)

    def http_client(self) -> "InProcessClient":
        """An HTTP client for `stripe.StripeClient`."""
        return InProcessClient(self)

    def client(self, api_key: str = "sk_test_sandbox_key", **options: Any) -> stripe.StripeClient:
        """The real SDK in front of this sandbox."""
        return stripe.StripeClient(
            api_key,
            base_addresses={"api": BASE},
            http_client=self.http_client(),
            **options,
        )

    def control(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Carry out a control verb; raises ValueError if it is refused."""
        return self._sandbox.control(method, path, body)

    def snapshot(self) -> JsonObject:
        """The whole world as JSON: the same story gives the same snapshot."""
        return self._sandbox.snapshot()


class InProcessClient(stripe.HTTPClient):
    """What `stripe` sends, answered by the door; a broken connection is raised as the SDK does."""

    name = "sandbox"

    def __init__(self, sandbox: InProcessSandbox) -> None:
        super().__init__()
        self._sandbox = sandbox

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One exchange; raises stripe.APIConnectionError when the answer is lost."""
        exchange = self._exchange(method, url, headers, post_data)
        return exchange.body.decode(), exchange.status, _Headers(exchange.headers)

    def request_stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[BytesIO, int, Mapping[str, str]]:
        """As `request`, with the body as a stream."""
        exchange = self._exchange(method, url, headers, post_data)
        return BytesIO(exchange.body), exchange.status, _Headers(exchange.headers)

    def close(self) -> None:
        """Nothing is open."""

    def _sleep_time_seconds(self, num_retries: int) -> float:  # noqa: ARG002 the SDK's signature
        """The SDK's own retries needn't wait for a network that isn't there."""
        return 0.0

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any
    ) -> Exchange:
        parts = urlsplit(url)
        exchange = self._sandbox.door.exchange(
            Request(
                method=method.upper(),
                path=parts.path,
                query=parts.query,
                body=post_data if isinstance(post_data, str) else "",
                headers={name.lower(): str(value) for name, value in (headers or {}).items()},
            )
        )
        if exchange.fate is not Fate.ANSWERED:
            raise stripe.APIConnectionError(  # type: ignore[no-untyped-call]  # untyped in the SDK
                f"Unexpected error communicating with the sandbox: {exchange.fate.value}",
                should_retry=True,
            )
        return exchange


class _Headers(dict[str, str]):
    """Header names in any case, as the SDK expects of its HTTP clients."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _no_time(seconds: float) -> None:
    del seconds
