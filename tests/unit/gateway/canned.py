"""A transport that answers the SDK with canned replies, and JSON objects to answer with.

It stands at the `stripe.HTTPClient` seam, so that serialisation, headers and error mapping of the
real SDK are exercised; it may not know what a call means.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

import stripe

from gateway.client import StripeGateway

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
THEN = 1_795_406_071
KEY = "sk_test_canned0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the SDK put on the wire."""

    method: str
    path: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What comes back; a body that is not bytes is sent as JSON."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)


class Canned(stripe.HTTPClient):
    """Answers each request by `answer` and remembers it."""

    name: ClassVar[str] = "canned"

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._answer = answer

    def request(  # type: ignore[override]  # the base declares a keyword the SDK never passes
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        parts = urlsplit(url)
        text = post_data if method == "post" else parts.query
        request = Request(
            method=method,
            path=parts.path,
            fields=dict(parse_qsl(text or "", keep_blank_values=True)),
            headers=dict(headers or {}),
        )
        self.requests.append(request)
        reply = self._answer(request)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        return body, reply.status, {"Request-Id": "req_canned", **reply.headers}

    def close(self) -> None:
        """There is nothing to close."""


def always(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> Callable[[Request], Reply]:
    """Answer everything alike."""
    return lambda _request: Reply(status, body, headers or {})


def by_path(bodies: Mapping[str, object]) -> Callable[[Request], Reply]:
    """Answer by path: a `Reply` as it is, anything else with 200, an unknown path with 404."""

    def answer(request: Request) -> Reply:
        if request.path not in bodies:
            return Reply(404, error("resource_missing", f"No such object: {request.path}"))
        body = bodies[request.path]
        return body if isinstance(body, Reply) else Reply(200, body)

    return answer


def gateway_over(transport: stripe.HTTPClient) -> StripeGateway:
    """Return the gateway under test, its clock standing at `NOW`."""
    return StripeGateway(KEY, http_client=transport, clock=lambda: NOW)


def error(
    code: str | None = None, message: str = "No.", kind: str = "invalid_request_error"
) -> dict[str, object]:
    """An error object in Stripe's shape."""
    said: dict[str, object] = {"type": kind, "message": message}
    if code is not None:
        said["code"] = code
    return {"error": said}


def listing(*items: Mapping[str, object], has_more: bool = False) -> dict[str, object]:
    """A list object in Stripe's shape."""
    return {"object": "list", "data": list(items), "has_more": has_more, "url": "/v1/things"}


def refund(**changes: object) -> dict[str, object]:
    """A refund of 50.00 USD that succeeded."""
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 5000,
        "currency": "usd",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "status": "succeeded",
        "created": THEN,
        "metadata": {"sluice_request": "rr_1"},
        "transfer_reversal": "trr_1",
    } | changes


def reversal(**changes: object) -> dict[str, object]:
    """A reversal of 40.00 USD."""
    return {
        "id": "trr_1",
        "object": "transfer_reversal",
        "amount": 4000,
        "currency": "usd",
        "transfer": "tr_1",
        "metadata": {},
        "created": THEN,
    } | changes


def charge(**changes: object) -> dict[str, object]:
    """A card charge of 100.00 USD on the platform that nobody else got a share of."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 10_000,
        "amount_captured": 10_000,
        "amount_refunded": 0,
        "application_fee_amount": None,
        "balance_transaction": transaction(),
        "captured": True,
        "created": THEN,
        "currency": "usd",
        "disputed": False,
        "livemode": False,
        "paid": True,
        "payment_intent": "pi_1",
        "payment_method_details": {"type": "card"},
        "status": "succeeded",
        "transfer": None,
        "transfer_data": None,
        "transfer_group": None,
    } | changes


def transfer(**changes: object) -> dict[str, object]:
    """A transfer of 100.00 USD to acct_1."""
    return {
        "id": "tr_1",
        "object": "transfer",
        "amount": 10_000,
        "amount_reversed": 0,
        "currency": "usd",
        "destination": "acct_1",
        "destination_payment": "py_1",
        "source_transaction": "ch_1",
    } | changes


def transaction(**changes: object) -> dict[str, object]:
    """A balance transaction of 100.00 USD, 90.00 net, available."""
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 10_000,
        "net": 9_000,
        "currency": "usd",
        "status": "available",
        "available_on": THEN + 86_400,
    } | changes


def dispute(**changes: object) -> dict[str, object]:
    """A chargeback that waits for an answer."""
    return {
        "id": "dp_1",
        "object": "dispute",
        "charge": "ch_1",
        "status": "needs_response",
        "is_charge_refundable": False,
    } | changes


def event(number: int, **changes: object) -> dict[str, object]:
    """An event, the `number`-th of its list's account."""
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": "balance.available",
        "created": THEN + number,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": {"object": {"object": "balance", "note": "grüße"}},
    } | changes
