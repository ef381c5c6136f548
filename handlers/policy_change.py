"""Takes a changed policy into force: deadlines are counted anew from creation, lanes become due.

It may not judge a request; the runs it causes do.
"""

from collections.abc import Callable
from typing import Final

import structlog

from handlers.policies import policy_of
from handlers.services import Services
from handlers.signals import announce_work
from refunds.ids import LaneId, RequestId, account_of
from store.accounts import tiers_in_use
from store.affected import unsent_in
from store.database import Unit
from store.lanes import lanes_with_waiting, mark_due
from store.policies import adopt_policy, policy_in_force
from store.requests import lock_request

_log = structlog.get_logger(__name__)

_LANES: Final = 100
_REQUESTS: Final = 200
"""Requests whose deadline one unit of work sets anew."""


def heed_policy_change(
    services: Services, keep_going: Callable[[], bool] = lambda: True
) -> int | None:
    """Take this process's policy into force; return how many lanes it concerns, `None` if it is the
    one in force already.

    The note that it is in force is written last: a crash on the way begins it anew. Workers with
    different files, as while a new version is rolled out, take turns; nothing is lost by that.
    """
    digest = services.policies.digest()
    with services.database.reading() as unit:
        if policy_in_force(unit) == digest:
            return None
        unknown = sorted(set(tiers_in_use(unit)) - set(services.policies.tiers))
    for tier in unknown:
        _log.warning("policy.unknown_tier", tier=tier)
    after: LaneId | None = None
    count = 0
    while keep_going():
        with services.database.reading() as unit:
            lanes = lanes_with_waiting(unit, after, _LANES)
        for lane in lanes:
            count_deadlines_anew(services, lane, cause="policy")
        count += len(lanes)
        if len(lanes) < _LANES:
            with services.database.unit_of_work() as unit:
                adopt_policy(unit, digest, services.clock())
            _log.info("policy.adopted", digest=digest, lanes=count)
            return count
        after = lanes[-1]
    return count


def count_deadlines_anew(services: Services, lane: LaneId, *, cause: str) -> None:
    """Give what waits in a lane the deadline its policy now sets, counted from its creation, and
    mark the lane due.
    """
    after: RequestId | None = None
    while True:
        with services.database.unit_of_work() as unit:
            page = _set_deadlines(services, unit, lane, after)
            if len(page) < _REQUESTS:
                mark_due(unit, lane, services.clock(), cause, services.mode)
                announce_work(unit)
                return
        after = page[-1]


def _set_deadlines(
    services: Services, unit: Unit, lane: LaneId, after: RequestId | None
) -> list[RequestId]:
    hold_for = policy_of(services, unit, account_of(lane)).hold_for
    page = unsent_in(unit, lane, after, _REQUESTS)
    for request in page:
        row = lock_request(unit, request)
        row.deadline = row.created + hold_for
        unit.add(row)
    return page
