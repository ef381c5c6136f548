"""Stops calling a Stripe that is unwell, or an account whose connection was revoked, and probes it.

It may not change a request: no request moves because Stripe is unwell.
"""

from datetime import datetime

import structlog

from handlers.services import Services
from refunds.ids import AccountId
from refunds.retry import CLOSED_CIRCUIT, after_trouble
from refunds.steps import Trouble
from store.lanes import STRIPE_SCOPE, load_circuit, save_circuit

_log = structlog.get_logger(__name__)


def closed_until(services: Services, account: AccountId | None) -> datetime | None:
    """Return when Stripe may be asked again on this account's behalf; `None`: now."""
    now = services.clock()
    with services.database.reading() as unit:
        circuits = [load_circuit(unit, scope) for scope in _scopes(account)]
    waits = [c.open_until for c in circuits if not c.allows(now) and c.open_until is not None]
    return max(waits, default=None)


def note_trouble(services: Services, account: AccountId | None, trouble: Trouble) -> None:
    """Count a call that brought no verdict; enough of them open the circuit.

    A denial in an account's context may mean that account alone, so it opens that account's.
    """
    now = services.clock()
    scope = account if account is not None and trouble is Trouble.DENIED else STRIPE_SCOPE
    with services.database.unit_of_work() as unit:
        before = load_circuit(unit, scope)
        after = after_trouble(before, trouble, now, services.jitter())
        if after != before:
            save_circuit(unit, scope, after, trouble, now)
    if after.open_until is not None and after != before:
        _log.warning(
            "circuit.opened",
            scope=scope,
            trouble=trouble,
            failures=after.failures,
            until=after.open_until.isoformat(),
        )


def note_success(services: Services, account: AccountId | None) -> None:
    """Close the circuits a call went through; costs one read where they were closed."""
    with services.database.reading() as unit:
        open_scopes = [s for s in _scopes(account) if load_circuit(unit, s) != CLOSED_CIRCUIT]
    if not open_scopes:
        return
    with services.database.unit_of_work() as unit:
        for scope in open_scopes:
            save_circuit(unit, scope, CLOSED_CIRCUIT, "none", services.clock())
    _log.info("circuit.closed", scopes=open_scopes)


def _scopes(account: AccountId | None) -> tuple[str, ...]:
    return (STRIPE_SCOPE,) if account is None else (STRIPE_SCOPE, account)
