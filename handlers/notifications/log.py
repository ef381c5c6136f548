"""The channel that is always there: one structured log line per notification.

It may not log the object a notification is about, whose fields may be personal.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from handlers.notifications.channel import Delivered, Message, Outcome
from store.dispatches import Told

_log = structlog.get_logger(__name__)


class LogChannel:
    """Writes to the worker's log. After a crash a line may come twice; its `id` is the same."""

    receiver: Final = "log"
    batch: Final = 100
    lease: Final = timedelta(seconds=10)

    def addresses(self, told: Told) -> Sequence[str]:
        """Everything is logged."""
        del told
        return ("",)

    def test_addresses(self) -> Sequence[str]:
        """The log itself."""
        return ("",)

    def send(self, message: Message) -> Outcome:
        """Write the line."""
        told = message.told
        _log.info(
            "notification",
            id=told.id,
            type=told.kind,
            at=told.at.isoformat(),
            subject=told.subject,
            account=told.account,
            status=told.payload["data"].get("status"),
            why=told.payload["why"],
        )
        return Delivered(note="Logged.")
