"""What a channel is: a receiver with its addresses, and the ways in which a try can end.

It may not send anything itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

from store.dispatches import Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notification for one address of a channel."""

    told: Told
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver has it."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """It is not known that the receiver has it; the same is sent again, under the same id."""

    note: str
    receiver_unwell: bool = False
    """Others would fare no better now: the receiver gets a rest."""
    after_seconds: float | None = None
    """What the receiver asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undeliverable:
    """It was refused, and would be again: a person has to look."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The receiver wants no more of anything."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotWanted:
    """There is nobody to send it to."""

    note: str


Outcome: TypeAlias = Delivered | TryLater | Undeliverable | Gone | NotWanted


class Channel(Protocol):
    """One way to tell. Safe to share between threads."""

    @property
    def receiver(self) -> str:
        """The name its dispatches are stored under."""

    @property
    def batch(self) -> int:
        """How many messages one claim takes."""

    @property
    def lease(self) -> timedelta:
        """Longer than a batch takes; a worker that died holds its messages up so long."""

    def addresses(self, told: Told) -> Sequence[str]:
        """Return whom it tells of this: none, one (empty: the receiver itself) or several."""

    def test_addresses(self) -> Sequence[str]:
        """Return whom a test message goes to."""

    def send(self, message: Message) -> Outcome:
        """Try once, in bounded time. Raise nothing that was to be expected."""
