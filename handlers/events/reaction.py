"""The shape of a reaction to an event: look at Stripe first, then apply what was seen.

This module defines shapes; it may not know an event type or talk to Stripe or the database.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

from handlers.services import Services
from refunds.errors import SluiceError
from refunds.ids import AccountId, EventId
from store.database import Unit


class UnusableEventError(SluiceError):
    """The event lacks the id it is about: no retry can help, so a person has to look."""


class StaleLookError(SluiceError):
    """Another worker took in a reading while this one was looking: look again before applying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One inbox event as a handler sees it. `object` is the payload's object: ids only."""

    event: EventId
    type: str
    account: AccountId | None
    """The connected account it is about; `None` is the platform."""
    created: datetime
    object: Mapping[str, object] = field(repr=False)


class Ending(StrEnum):
    """How far a reaction got."""

    DONE = "done"
    IGNORED = "ignored"
    MORE = "more"
    """A bounded part of the work is done; the event is due again at once for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of an event, with a sentence for the inbox page."""

    ending: Ending
    note: str


def done(note: str) -> Verdict:
    """Return the verdict on an event that had its effect."""
    return Verdict(ending=Ending.DONE, note=note)


def ignored(note: str) -> Verdict:
    """Return the verdict on an event that is of no interest."""
    return Verdict(ending=Ending.IGNORED, note=note)


def more(note: str) -> Verdict:
    """Return the verdict on an event whose work goes on in another unit of work."""
    return Verdict(ending=Ending.MORE, note=note)


Apply: TypeAlias = Callable[[Unit, datetime], Verdict]
"""The second phase, with the facts of the first one in it."""

FactsT = TypeVar("FactsT")


def look_at_nothing(_event: Event, _services: Services) -> None:
    """Ask Stripe nothing: the event's ids are all that its handler needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler(Generic[FactsT]):
    """The reaction to some event types, in two phases.

    `look` reads Stripe, outside any transaction. `apply` writes in the unit of work in which the
    inbox row is finished, so that the effect and "done" are one commit.
    """

    types: tuple[str, ...]
    look: Callable[[Event, Services], FactsT]
    apply: Callable[[Unit, Event, FactsT, datetime], Verdict]

    @property
    def asks_stripe(self) -> bool:
        """Whether the event has to wait while Stripe can't be asked."""
        return self.look is not look_at_nothing

    def look_at(self, event: Event, services: Services) -> Apply:
        """Run the first phase and return the second."""
        facts = self.look(event, services)

        def apply(unit: Unit, now: datetime) -> Verdict:
            return self.apply(unit, event, facts, now)

        return apply
