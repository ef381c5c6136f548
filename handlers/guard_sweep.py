"""Lets every guard be looked after: the timer behind the marks and the events.

It may not read Stripe or write a setting; the work it causes does.
"""

from collections.abc import Callable
from typing import Final

from handlers.policies import policy_of
from handlers.services import Services
from handlers.signals import announce_work
from refunds.ids import AccountId, LaneId
from refunds.policy import PayoutGuard
from store.database import Unit
from store.guard_marks import accounts_waited_for, guards_in_force, mark_guards, open_guard
from store.lanes import lanes_with_waiting
from store.tables.requests import Mode

_PAGE: Final = 200


def sweep_guards(services: Services, keep: Callable[[], None]) -> str:
    """Mark the guards of accounts for which something waits and of those that hold something;
    return what was done in words.
    """
    if services.mode is not Mode.LIVE:
        return "no guards in shadow mode"
    count = _sweep_waiting(services, keep) + _sweep_in_force(services, keep)
    return f"{count} {'guard' if count == 1 else 'guards'} looked after"


def _sweep_waiting(services: Services, keep: Callable[[], None]) -> int:
    after: LaneId | None = None
    count = 0
    while True:
        with services.database.unit_of_work() as unit:
            lanes = lanes_with_waiting(unit, after, _PAGE)
            behind = accounts_waited_for(unit, lanes)
            accounts = [each for each in behind if _wants(services, unit, each)]
            for account in accounts:
                open_guard(unit, account, services.clock())
            _mark(services, unit, accounts)
        count += len(accounts)
        if len(lanes) < _PAGE:
            return count
        after = lanes[-1]
        keep()


def _sweep_in_force(services: Services, keep: Callable[[], None]) -> int:
    after: AccountId | None = None
    count = 0
    while True:
        with services.database.unit_of_work() as unit:
            accounts = guards_in_force(unit, after, _PAGE)
            _mark(services, unit, accounts)
        count += len(accounts)
        if len(accounts) < _PAGE:
            return count
        after = accounts[-1]
        keep()


def _wants(services: Services, unit: Unit, account: AccountId) -> bool:
    return policy_of(services, unit, account).payout_guard is not PayoutGuard.OFF


def _mark(services: Services, unit: Unit, accounts: list[AccountId]) -> None:
    mark_guards(unit, accounts, services.clock(), "sweep")
    if accounts:
        announce_work(unit)
