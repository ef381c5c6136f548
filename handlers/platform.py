"""Makes sure that database and key belong to one platform, before anything is asked or recorded.

It may not go on with a key of another platform, or with one that Stripe denies.
"""

from gateway.port import Gateway, UnavailableError
from handlers import circuit
from handlers.services import Services
from refunds.clock import utc_now
from refunds.steps import Trouble
from store.database import Database
from store.installation import pin_platform, pinned_platform


def confirm_platform(
    database: Database, gateway: Gateway, *, stripe_may_be_away: bool = False
) -> bool:
    """Tie the database to the key's platform; return whether Stripe could say whose key it is.

    With `stripe_may_be_away` a database that was tied before is enough while Stripe doesn't
    answer: for intake, which records a wish all the same. Raise `WrongPlatformError`, or the
    gateway's `ReadError`.
    """
    try:
        platform = gateway.read_platform()
    except UnavailableError as error:
        # A key that Stripe denies is no outage: nothing may be recorded with it.
        if not stripe_may_be_away or error.trouble is Trouble.DENIED or not _pinned(database):
            raise
        return False
    with database.unit_of_work() as unit:
        pin_platform(unit, platform, utc_now())
    return True


def confirm_at_intake(services: Services) -> bool:
    """Do the same before a wish is taken, without making its caller wait for a Stripe that is known
    to be away; return whether it need not be done again.
    """
    if circuit.closed_until(services, None) is not None and _pinned(services.database):
        return False
    try:
        return confirm_platform(services.database, services.gateway)
    except UnavailableError as error:
        if error.trouble is Trouble.DENIED or not _pinned(services.database):
            # Not counted: the circuit is about Stripe, and this may be about our key alone.
            raise
        circuit.note_trouble(services, error.account, error.trouble)
        return False


def _pinned(database: Database) -> bool:
    with database.reading() as unit:
        return pinned_platform(unit) is not None
