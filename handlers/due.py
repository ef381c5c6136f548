"""Marks lanes due where money may have come in: a hint, after which a run reads the balance anew.

It may not read a balance or release anything.
"""

from datetime import datetime
from typing import Final

from handlers.signals import announce_work
from refunds.ids import AccountId, ChargeId, LaneId, lane_of
from store.affected import (
    accounts_behind,
    lane_has_work,
    lanes_drawing_on,
    lanes_short_of_platform,
)
from store.database import Unit
from store.lanes import mark_due

_PAGE: Final = 500
MAX_LANES: Final = 10_000
"""Lanes one event may mark: those beyond wait for the sweep."""


def money_came_in(unit: Unit, *accounts: AccountId | None, now: datetime, cause: str) -> int:
    """Mark due whoever waits for money of these accounts; return how many lanes that were.

    `None` is the platform, whose balance every lane's refunds are paid from first: its own lane,
    and all lanes in which a request waits because the platform is short. An account nothing waits
    for gets no lane.
    """
    lanes = {lane for lane in map(lane_of, accounts) if lane_has_work(unit, lane)}
    for account in accounts:
        if account is not None:
            lanes |= set(lanes_drawing_on(unit, account, MAX_LANES))
    if None in accounts:
        lanes |= _short_lanes(unit)
    # One order for everybody, or two units that mark several lanes wait for each other.
    for lane in sorted(lanes):
        mark_due(unit, lane, now, cause)
    if lanes:
        announce_work(unit)
    return len(lanes)


def promise_ended(unit: Unit, charge: ChargeId, *, now: datetime, cause: str) -> None:
    """Mark due whoever waits beside a refund of this charge whose outcome became known.

    What was kept for it is free again, or gone from the balance it was deducted from: a run in
    between counted it twice, and nothing else would tell those it then left on hold. For outcomes
    that come from elsewhere than the run that prepared them; that run knows what it took.
    """
    money_came_in(unit, *accounts_behind(unit, charge), None, now=now, cause=cause)


def _short_lanes(unit: Unit) -> set[LaneId]:
    found: list[LaneId] = []
    while len(found) < MAX_LANES:
        page = lanes_short_of_platform(unit, found[-1] if found else None, _PAGE)
        found += page
        if len(page) < _PAGE:
            break
    return set(found)
