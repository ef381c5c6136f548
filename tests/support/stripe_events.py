"""Events as Stripe would send them: bodies of the right shape, signed with the SDK's own signer.

It may not be fixtures of a kind of event: the inbox does not care what happened.
"""

import json
from datetime import datetime
from typing import Any, Final

from stripe import WebhookSignature

from refunds.clock import utc_now

SECRET: Final = "whsec_test_platform"
OTHER_SECRET: Final = "whsec_test_connect"


def build_event(event: str = "evt_1", **changes: Any) -> dict[str, Any]:
    """A small event; `changes` replace fields, and those set to `...` are left out."""
    fields = {
        "id": event,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "account": "acct_1Door",
        "created": 1795406071,
        "livemode": False,
        "type": "balance.available",
        "data": {"object": {"object": "balance", "livemode": False}},
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


def build_body(event: str = "evt_1", **changes: Any) -> bytes:
    """The event's raw bytes, indented as Stripe sends them."""
    return json.dumps(build_event(event, **changes), indent=2).encode()


def sign(body: bytes | str, secret: str = SECRET, *, at: datetime | None = None) -> str:
    """The value of the Stripe-Signature header for `body`, signed now unless said otherwise."""
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    seconds = int((at or utc_now()).timestamp())
    return str(WebhookSignature.generate_signature_header(text, secret, timestamp=seconds))
