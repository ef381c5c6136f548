"""Turns a verified body into the few facts the inbox needs, or says that it is no event.

It may not interpret the event: which object changed and what follows is the worker's business.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

from refunds.errors import SluiceError
from refunds.facts import EventFacts
from refunds.ids import AccountId
from refunds.strict_json import NotJsonError, read_json

MAX_WORD_CHARACTERS: Final = 255
_LATEST_CREATED: Final = 253_402_300_799
"""The last second of the year 9999, the last one both databases can store."""

_EVENT_ID: Final = re.compile(r"evt_[A-Za-z0-9_]{1,250}", re.ASCII)
# Printable ASCII only: a NUL or half a surrogate pair would be refused by the database, for ever.
_WORD: Final = re.compile(rf"[ -~]{{1,{MAX_WORD_CHARACTERS}}}", re.ASCII)


class NotAnEventError(SluiceError):
    """The body is not a Stripe event; `param` names the field, the message never quotes it."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def parse_event(body: bytes) -> EventFacts:
    """Return the event's facts. Raise `NotAnEventError` for anything but a Stripe event.

    Source: Stripe docs, "The Event object".
    """
    event = _load(body)
    if not isinstance(event, dict):
        raise NotAnEventError("The body is JSON, but not an object.")
    if event.get("object") != "event":
        raise NotAnEventError('"object" must be "event".', param="object")
    identifier = event.get("id")
    if not isinstance(identifier, str) or not _EVENT_ID.fullmatch(identifier):
        raise NotAnEventError('"id" must be an event id such as evt_….', param="id")
    data = event.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("object"), dict):
        raise NotAnEventError('"data.object" must be an object.', param="data.object")
    if not isinstance(event.get("livemode"), bool):
        raise NotAnEventError('"livemode" must be true or false.', param="livemode")
    account = _word(event, "account", required=False)
    return EventFacts(
        event=identifier,
        type=_word(event, "type", required=True) or "",
        account=None if account is None else AccountId(account),
        livemode=event["livemode"],
        created=_created(event),
        api_version=_word(event, "api_version", required=False),
        body=body,
    )


def _word(event: dict[str, Any], name: str, *, required: bool) -> str | None:
    value = event.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise NotAnEventError(f'"{name}" must be a short, printable string.', param=name)
    return value


def _created(event: dict[str, Any]) -> datetime:
    created = event.get("created")
    # `bool` is an `int` in Python, and not in JSON.
    if isinstance(created, bool) or not isinstance(created, int):
        raise NotAnEventError('"created" must be an integer.', param="created")
    if not 0 <= created <= _LATEST_CREATED:
        raise NotAnEventError('"created" must be a time in Unix seconds.', param="created")
    return datetime.fromtimestamp(created, UTC)


def _load(body: bytes) -> object:
    try:
        return read_json(body)
    except NotJsonError as error:
        # `from None`: one sentence says it all, and nothing of the body may come along.
        raise NotAnEventError(str(error)) from None
