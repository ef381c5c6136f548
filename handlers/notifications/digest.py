"""Tells finance once a day how things stand.

It may not judge the figures.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from handlers.services import Services
from refunds.money import Money
from refunds.notifications import Kind
from store.digest import Digest, read_digest
from store.outbox import tell

DAY: Final = timedelta(days=1)


def digest(services: Services, keep: Callable[[], None]) -> str:
    """Write today's digest into the outbox, once; return what was done in words."""
    del keep
    now = services.clock()
    with services.database.unit_of_work() as unit:
        figures = read_digest(unit, services.mode, now - DAY, now)
        tell(
            unit,
            Kind.DIGEST,
            at=now,
            subject=_day(now),
            why="The state of refunds, once a day.",
            data=shown(figures),
            occasion=_day(now),
        )
    return f"the digest of {_day(now)} is in the outbox"


def shown(figures: Digest) -> dict[str, Any]:
    """Return the digest as an object in the API's style: minor units, seconds since 1970."""
    oldest = figures.oldest_held
    return {
        "id": _day(figures.at),
        "object": "digest",
        "date": _day(figures.at),
        "held_requests": figures.held_requests,
        "held": _sums(figures.held),
        "oldest_held": None
        if oldest is None
        else {"id": oldest[0], "created": int(oldest[1].timestamp())},
        "in_review": figures.in_review,
        "covered": _sums(figures.covered),
        "recovered": _sums(figures.recovered),
        "exposure": _sums(figures.exposure),
        "dead_letters": figures.dead_letters,
        "undelivered": figures.undelivered,
    }


def _sums(amounts: Iterable[Money]) -> list[dict[str, Any]]:
    return [{"amount": each.amount_minor, "currency": each.currency} for each in amounts]


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
