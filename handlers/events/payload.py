"""Takes from an event's payload the only thing that is believed: which object it is about.

It may not read amounts or statuses; those are read anew from Stripe.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from handlers.events.reaction import Event, UnusableEventError
from refunds.ids import AccountId
from store.event_claims import EventClaim

# An id becomes part of a URL: nothing that could end the path or begin a query.
_ID: Final = re.compile(r"([a-z]{2,8})_[A-Za-z0-9_]{1,200}", re.ASCII)


def read_event(claim: EventClaim) -> Event:
    """Return a claimed event with its object; raise `UnusableEventError`.

    `account.updated` may come through the platform's endpoint without a top-level `account`: the
    object is the account then.
    """
    subject = _object_of(claim.body)
    account = claim.account
    if account is None and subject.get("object") == "account":
        account = AccountId(_checked(subject.get("id"), ("acct",), "data.object.id"))
    elif account is not None:
        account = AccountId(_checked(account, ("acct",), "account"))
    return Event(
        event=claim.event,
        type=claim.type,
        account=account,
        created=claim.created,
        object=subject,
    )


def object_id(event: Event, prefixes: tuple[str, ...]) -> str:
    """Return the object's id if it has one of the prefixes (`re` for `re_…`).

    Raise `UnusableEventError` otherwise.
    """
    return _checked(event.object.get("id"), prefixes, "data.object.id")


def _checked(value: object, prefixes: tuple[str, ...], place: str) -> str:
    expected = " or ".join(f"{prefix}_…" for prefix in prefixes)
    # Never quoted: what stands there is not ours and may be anything.
    if not isinstance(value, str):
        raise UnusableEventError(f"{place} is not an id; expected {expected}.")
    matched = _ID.fullmatch(value)
    if matched is None or matched[1] not in prefixes:
        raise UnusableEventError(f"{place} is an id of another kind; expected {expected}.")
    return value


def _object_of(body: bytes) -> Mapping[str, object]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        # `from None`: the decoder's error carries the body.
        raise UnusableEventError("The stored body is not JSON.") from None
    data = payload.get("data") if isinstance(payload, dict) else None
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise UnusableEventError("The event has no data.object.")
    return subject
