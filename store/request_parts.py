"""What belongs to refund requests, read for a whole page of them at once.

It may not read request by request: a page of a hundred would be five hundred questions.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select

from refunds.facts import ChargeType
from refunds.lifecycle import Bucket
from store.database import Unit
from store.tables.observations import Refund
from store.tables.requests import Charge, EvaluationRow, RefundRequest, RequestBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestParts:
    """A request with what is stored about it elsewhere."""

    row: RefundRequest
    payment_intent: str | None
    charge_type: ChargeType | None
    amounts: dict[Bucket, int]
    """Minor units by bucket, empty buckets left out."""
    latest: EvaluationRow | None
    """The decision stored last."""
    refunds: list[str]
    """Oldest first."""


def load_parts(unit: Unit, rows: Sequence[RefundRequest]) -> list[RequestParts]:
    """Return the parts of each request, in the order given. Four queries however many there are."""
    charges = _charges(unit, {row.charge_id for row in rows if row.charge_id is not None})
    amounts = _amounts(unit, [row.id for row in rows])
    latest = _latest(unit, [row.evaluation_id for row in rows if row.evaluation_id is not None])
    refunds = _refunds(unit, [row.id for row in rows])
    parts = []
    for row in rows:
        payment_intent, charge_type = charges.get(row.charge_id or "", (None, None))
        parts.append(
            RequestParts(
                row=row,
                payment_intent=payment_intent,
                charge_type=charge_type,
                amounts=amounts[row.id],
                latest=latest.get(row.evaluation_id or 0),
                refunds=refunds[row.id],
            )
        )
    return parts


def _charges(unit: Unit, ids: set[str]) -> dict[str, tuple[str | None, ChargeType]]:
    statement = select(Charge.id, Charge.payment_intent, Charge.charge_type)
    found = unit.exec(statement.where(col(Charge.id).in_(ids)))
    return {charge: (payment_intent, ChargeType(kind)) for charge, payment_intent, kind in found}


def _amounts(unit: Unit, requests: list[str]) -> dict[str, dict[Bucket, int]]:
    statement = select(
        RequestBucket.request_id, RequestBucket.bucket, RequestBucket.amount_minor
    ).where(col(RequestBucket.request_id).in_(requests), col(RequestBucket.amount_minor) > 0)
    found: dict[str, dict[Bucket, int]] = defaultdict(dict)
    for request, bucket, amount_minor in unit.exec(statement):
        found[request][Bucket(bucket)] = amount_minor
    return found


def _latest(unit: Unit, ids: list[int]) -> dict[int, EvaluationRow]:
    statement = select(EvaluationRow).where(col(EvaluationRow.id).in_(ids))
    return {row.id: row for row in unit.exec(statement) if row.id is not None}


def _refunds(unit: Unit, requests: list[str]) -> dict[str, list[str]]:
    statement = (
        select(Refund.request_id, Refund.id)
        .where(col(Refund.request_id).in_(requests))
        .order_by(col(Refund.created), col(Refund.id))
    )
    found: dict[str, list[str]] = defaultdict(list)
    for request, refund in unit.exec(statement):
        assert request is not None
        found[request].append(refund)
    return found
