"""Gets to know a connected account the first time anybody asks about it; events tell the rest.

It may not judge the account; `refunds.blocks` does.
"""

import structlog

from gateway.port import ReadError, UnavailableError
from handlers.services import Services
from refunds.facts import AccountStanding
from refunds.ids import AccountId
from store.observations import load_account, save_account
from store.tables.observations import ConnectedAccount

_log = structlog.get_logger(__name__)


def known_standing(services: Services, account: AccountId) -> AccountStanding:
    """Return an account's standing, read now if it never was.

    One that Stripe doesn't show counts as active: whether it can pay is its balance's to say. Raise
    the gateway's `UnavailableError` where Stripe could not be asked at all.
    """
    try:
        return known_account(services, account).standing
    except UnavailableError as error:
        if not error.denied_in_account:
            raise
    except ReadError as error:
        _log.warning("account.unreadable", account=account, reason=str(error))
    return AccountStanding.ACTIVE


def known_account(services: Services, account: AccountId) -> ConnectedAccount:
    """Return the account as last read; it is read now if it never was.

    Stripe tells of changes only: an account it had rejected before its first wish sends nothing.
    Raise the gateway's `ReadError` where Stripe doesn't say.
    """
    with services.database.reading() as unit:
        row = load_account(unit, account)
    if row is not None:
        return row
    facts = services.gateway.read_account(account)
    with services.database.unit_of_work() as unit:
        save_account(unit, facts)
        row = load_account(unit, account)
    assert row is not None, "saved above, and never deleted"
    return row
