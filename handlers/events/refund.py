"""`refund.*` and `charge.refund.updated`: what became of a refund, ours or another hand's.

It may not take a status from the event: the same change arrives under several ids, in any order.
"""

from datetime import datetime
from typing import Final

from handlers.circuit import note_success
from handlers.due import promise_ended
from handlers.events.payload import object_id
from handlers.events.reaction import Event, Handler, Verdict, done, ignored
from handlers.services import Services
from handlers.settle import Applied, apply_refund
from refunds.facts import RefundFacts
from refunds.ids import ChargeId, RefundId
from store.charges import load_charge
from store.database import Unit

_MIRROR: Final = "pyr_"
_REFUNDS: Final = ("re", "pyr")
# Endpoints pinned to an old API version may still send the charge that the refund belongs to.
_CHARGES: Final = ("ch", "py")


def _look(event: Event, services: Services) -> tuple[RefundFacts, ...]:
    identifier = object_id(event, (*_REFUNDS, *_CHARGES))
    if identifier.startswith(_MIRROR) and not _of_a_known_payment(event, services):
        # A transfer reversal as the connected account sees it, not a refund to a customer; reading
        # each of them would double the reads of a platform that reverses transfers.
        return ()
    if identifier.split("_")[0] in _REFUNDS:
        found: tuple[RefundFacts, ...] = (
            services.gateway.read_refund(RefundId(identifier), event.account),
        )
    else:
        found = (*services.gateway.list_refunds(ChargeId(identifier), event.account),)
    note_success(services, event.account)
    return found


def _of_a_known_payment(event: Event, services: Services) -> bool:
    if event.account is None:
        return True
    payment = event.object.get("charge")
    if not isinstance(payment, str):
        return False
    with services.database.reading() as unit:
        return load_charge(unit, payment) is not None


def _apply(unit: Unit, event: Event, found: tuple[RefundFacts, ...], now: datetime) -> Verdict:
    applied = {
        facts.refund: apply_refund(unit, facts, now=now, cause=event.type) for facts in found
    }
    ended = {
        facts.charge
        for facts in found
        if facts.charge is not None and (applied[facts.refund] is Applied.MOVED or not facts.live)
    }
    # After the last refund: lanes come after requests in everybody's order.
    for charge in sorted(ended):
        promise_ended(unit, charge, now=now, cause=event.type)
    if all(each is Applied.IGNORED for each in applied.values()):
        return ignored("No refund of a payment that a refund request touches.")
    return done("; ".join(f"{refund}: {each}" for refund, each in applied.items()) + ".")


HANDLER = Handler(
    types=("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"),
    look=_look,
    apply=_apply,
)
