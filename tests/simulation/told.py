"""Whether those who only read notifications know how things stand, whatever crashed on the way.

It may not look at how they are sent; the outbox is what is judged.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from refunds.ids import RequestId
from refunds.lifecycle import Status
from refunds.notifications import STATES, Kind
from store.database import Unit
from store.ledger import amounts_of
from store.outbox import told_of
from store.tables.requests import RefundRequest

LAST_TOLD: Final[Mapping[Status, Kind]] = {
    Status.HELD: Kind.HELD,
    Status.REVIEW: Kind.REVIEW,
    Status.SUBMITTED: Kind.RELEASED,
    Status.SUCCEEDED: Kind.SUCCEEDED,
    Status.FAILED: Kind.FAILED,
    Status.REJECTED: Kind.REJECTED,
    Status.CANCELED: Kind.CANCELED,
    Status.CLOSED: Kind.CLOSED,
}
"""What was told last of a request that lies whole in one bucket; what isn't here is on its way."""


def misled(unit: Unit, requests: Iterable[RefundRequest]) -> Iterator[str]:
    """Yield the requests of which the last word is not how they stand."""
    for request in requests:
        expected = LAST_TOLD.get(request.status)
        if expected is None or len(amounts_of(unit, RequestId(request.id))) > 1:
            continue
        kinds = [row.kind for row in told_of(unit, request.id) if row.kind in STATES]
        if kinds[-1:] != [expected]:
            last = kinds[-1] if kinds else "nothing"
            yield f"{request.id}: {request.status}, and told last was {last}"
