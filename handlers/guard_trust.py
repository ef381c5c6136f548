"""Whether money that comes into an account stays there: what its payout guard is good for.

It may not start a guard or enter what a release may spend: only estimates ask.
"""

from typing import Final

from handlers.policies import policy_of
from handlers.services import Services
from refunds.guard import GuardState
from refunds.ids import AccountId
from refunds.policy import PayoutGuard
from store.database import Unit
from store.guards import load_guard
from store.tables.requests import Mode

_WORKS: Final = frozenset({GuardState.ON, GuardState.OFF})
"""One that is off is on a moment after a request is held: nobody waits without it."""


def is_guarded(services: Services, unit: Unit, account: AccountId) -> bool:
    """Whether automatic payouts leave what open requests need, as far as is known."""
    if services.mode is not Mode.LIVE:
        return False
    if policy_of(services, unit, account).payout_guard is PayoutGuard.OFF:
        return False
    row = load_guard(unit, account)
    return row is None or row.state in _WORKS
