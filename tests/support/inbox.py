"""Makes verified deliveries for tests of the inbox and what stands behind it.

It may not store anything: a test does that through the functions it is about.
"""

from datetime import UTC, datetime
from typing import Final

from refunds.facts import EventFacts
from refunds.ids import AccountId
from store.inbox import Delivery

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)


def build_delivery(
    event: str = "evt_1",
    *,
    type: str = "balance.available",  # noqa: A002 - Stripe's word for it
    account: str | None = None,
    received_at: datetime = NOON,
    created: datetime | None = None,
    body: bytes = b'{"id": "evt_1"}',
    secret_index: int | None = 0,
    livemode: bool = False,
) -> Delivery:
    """A delivery of one event, received at noon unless said otherwise."""
    facts = EventFacts(
        event=event,
        type=type,
        account=None if account is None else AccountId(account),
        livemode=livemode,
        created=created or received_at,
        api_version="2026-10-28.endive",
        body=body,
    )
    return Delivery(event=facts, received_at=received_at, secret_index=secret_index)
