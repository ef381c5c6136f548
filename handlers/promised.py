"""What other open requests of a split payment mean to take back of it.

It may not choose transfers or weigh a balance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refunds.ids import ChargeId, RequestId
from store.charges import claimed_minor, open_requests
from store.database import Unit
from store.legs import unmet_of
from store.tables.requests import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What a new request has to leave to those that were there before it."""

    refund_minor: int = 0
    """In the charge's currency."""
    by_transfer: Mapping[str, int] = field(default_factory=dict)
    """To be reversed, in each transfer's currency."""


NOTHING_PROMISED = Promised()


def promised_elsewhere(
    unit: Unit, charge: ChargeId, mode: Mode, besides: RequestId | None = None
) -> Promised:
    """Return what open requests of a charge in one mode mean to take back, `besides` aside.

    Call it with the charge locked where something is to be promised on top.
    """
    others = [row for row in open_requests(unit, charge, mode) if row.id != besides]
    if not others:
        return NOTHING_PROMISED
    return Promised(
        refund_minor=claimed_minor(unit, charge, mode, besides),
        by_transfer=unmet_of(unit, others),
    )
