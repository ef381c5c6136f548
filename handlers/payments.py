"""Reads payments anew whose refunds changed since: what a held request needs may be less by now.

It may not judge a request; a payment that can't be read stays as it was last read.
"""

from typing import Final

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.services import Services
from handlers.split import read_whole
from refunds.ids import LaneId
from store.charges import changed_charges, save_charge
from store.legs import transfers_of

_log = structlog.get_logger(__name__)

AT_ONCE: Final = 50
"""Payments read before one run; the next run goes on with the others."""


def read_changed_payments(services: Services, lane: LaneId) -> None:
    """Store the payments of the lane's waiting requests as they are now, where a refund of theirs
    was heard of after they were read.

    A refund that failed late has reversed its transfer all the same, and one that was under way at
    intake has by now: a need computed from before would hold what the account covers.
    """
    with services.database.reading() as unit:
        changed = changed_charges(unit, lane, AT_ONCE)
        transfers = {charge.charge: transfers_of(unit, charge.charge) for charge in changed}
    for charge in changed:
        try:
            facts = read_whole(services, charge.charge, charge.lives_in, transfers[charge.charge])
        except UnavailableError as error:
            circuit.note_trouble(services, error.account, error.trouble)
            _log.warning("payment.unavailable", charge=charge.charge, trouble=error.trouble)
            return
        except ReadError as error:
            _log.warning("payment.unreadable", charge=charge.charge, reason=str(error))
            continue
        with services.database.unit_of_work() as unit:
            save_charge(unit, facts)
