"""One list of event types: what handlers declare, what fixtures show and what the docs tell.

It may not hold a type itself; the registry is the only source.
"""

import json
import re
from typing import Final

import pytest

from gateway.client import MAX_EVENT_TYPES
from handlers.events.payload import object_id, read_event
from handlers.registry import EVENT_TYPES, HANDLERS, handler_for
from store.event_claims import EventClaim
from tests.support.inbox import NOON
from tests.support.repository import ROOT

FIXTURES: Final = ROOT / "fixtures" / "events"
PAGE: Final = ROOT / "docs" / "events.md"
ROW: Final = re.compile(r"^\| `([a-z_.]+)` \| (?:platform|Connect|both) \| \S.*\|$", re.MULTILINE)


def test_every_type_has_a_fixture_and_no_fixture_is_left_over() -> None:
    assert sorted(file.stem for file in FIXTURES.iterdir()) == list(EVENT_TYPES)


def test_every_type_has_a_row_in_the_docs_and_no_row_is_left_over() -> None:
    assert ROW.findall(PAGE.read_text()) == list(EVENT_TYPES)


def test_one_call_can_ask_stripe_for_all_of_them() -> None:
    assert len(EVENT_TYPES) <= MAX_EVENT_TYPES


def test_every_handler_is_found_by_its_types() -> None:
    assert [handler_for(type_) for handler in HANDLERS for type_ in handler.types] == [
        handler for handler in HANDLERS for _ in handler.types
    ]
    assert handler_for("invoice.paid") is None


PREFIXES: Final = {"refund": "re", "dispute": "dp", "payout": "po", "account": "acct"}


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_a_fixture_is_an_event_whose_object_can_be_found(type_: str) -> None:
    body = (FIXTURES / f"{type_}.json").read_bytes()
    payload = json.loads(body)
    assert (payload["object"], payload["type"], payload["livemode"]) == ("event", type_, False)
    event = read_event(
        EventClaim(
            event=payload["id"],
            type=type_,
            account=payload.get("account"),
            livemode=False,
            api_version=payload["api_version"],
            created=NOON,
            received_at=NOON,
            body=body,
            attempts=1,
            fence=1,
            worker="worker-1",
            claimed_at=NOON,
            lease_expires_at=NOON,
        )
    )
    prefix = PREFIXES.get(str(event.object["object"]))
    if prefix is not None:
        assert object_id(event, (prefix,))
