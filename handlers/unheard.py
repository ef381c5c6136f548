"""Looks, before a refund is sent, whether Stripe counts refunds that we never heard of.

It may not judge them; what the list shows is taken in exactly as an event's news is.
"""

import structlog

from handlers.reconcile import reconcile_charge
from handlers.services import Services
from refunds.facts import ChargeFacts
from store.charges import ChargePlace, known_refunded_minor

_log = structlog.get_logger(__name__)


def heed_unheard_refunds(services: Services, charge: ChargeFacts) -> None:
    """List the payment's refunds where Stripe counts more as refunded than we do.

    An event may come late, or never, and the buyer must not be paid twice meanwhile: a refund by
    another hand sends what waits to review. Raise the gateway's `ReadError`.
    """
    with services.database.reading() as unit:
        known_minor = known_refunded_minor(unit, charge.charge)
    if charge.refunded_minor <= known_minor:
        return
    _log.warning(
        "refund.unheard",
        charge=charge.charge,
        refunded_minor=charge.refunded_minor,
        known_minor=known_minor,
    )
    reconcile_charge(services, ChargePlace(charge=charge.charge, lives_in=charge.lives_in))
