"""Joins the handlers of `handlers/events/`: the one list of event types that Sluice reacts to.

It may not name a type: each module there declares its own, once.
"""

from collections.abc import Mapping
from typing import Any, Final

from handlers.events import account, balance, dispute, payout, payout_settings, refund
from handlers.events.reaction import Handler

HANDLERS: Final[tuple[Handler[Any], ...]] = (
    balance.HANDLER,
    refund.HANDLER,
    account.UPDATE_HANDLER,
    account.DEPARTURE_HANDLER,
    dispute.HANDLER,
    payout.HANDLER,
    payout_settings.HANDLER,
)
"""Adding a type to a module's handler is enough; adding a module needs its line here."""

_BY_TYPE: Final[Mapping[str, Handler[Any]]] = {
    type_: handler for handler in HANDLERS for type_ in handler.types
}
assert len(_BY_TYPE) == sum(len(handler.types) for handler in HANDLERS), "a type has one handler"

EVENT_TYPES: Final = tuple(sorted(_BY_TYPE))
"""Every type there is a reaction to: what endpoints subscribe to and what catch-up asks for."""


def handler_for(type_: str) -> Handler[Any] | None:
    """Return the handler of an event type; `None`: Sluice does not react to it."""
    return _BY_TYPE.get(type_)
