"""Makes many held requests out of one, each with a payment of its own at the sandbox.

It may not leave anything out that books are judged by: whatever a copy does later is real.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from sqlalchemy import Table, func, insert, select, update

from refunds.ids import AccountId, ChargeId, RequestId
from store.database import Unit
from store.tables.base import Row, table_of
from store.tables.lanes import Lane
from store.tables.ledger import LedgerEntry
from store.tables.observations import ConnectedAccount
from store.tables.requests import Charge, EvaluationRow, RefundRequest, RequestBucket, Waiver
from tests.support.event_stage import EventStage

Names: TypeAlias = Mapping[Any, str]
"""What is called otherwise in a copy, by what it is called in the original."""

OF_A_REQUEST: Final[Sequence[type[Row]]] = (EvaluationRow, RequestBucket, LedgerEntry, Waiver)


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment to a connected account, as Stripe names it."""

    account: AccountId
    charge: ChargeId
    intent: str
    transfer: str


def pay(stage: EventStage, account: AccountId, amount: int) -> Paid:
    """Let a buyer pay an account."""
    body = {"charge_type": "destination", "account": account, "amount": amount}
    charge = stage.order("payments", **body)["charge"]
    return Paid(account, ChargeId(charge["id"]), charge["payment_intent"], charge["transfer"])


def hold_alike(
    stage: EventStage, original: RequestId, paid: Paid, others: Sequence[Paid]
) -> list[RequestId]:
    """Ask for the refunds of `others` as `original` asks for that of `paid`; return the requests.

    They are as old as the original and stand where it stands, with its whole history; lanes of
    accounts that had none are due when the original's is.
    """
    requests = [RequestId(f"{original[:-6]}{number:06}") for number in range(len(others))]
    with stage.database.unit_of_work() as unit:
        key = unit.get_one(RefundRequest, original).idempotency_key
        names: list[Names] = [
            {
                original: request,
                key: f"{key}-{number}",
                paid.account: other.account,
                paid.charge: other.charge,
                paid.intent: other.intent,
                paid.transfer: other.transfer,
            }
            for number, (request, other) in enumerate(zip(requests, others, strict=True))
        ]
        strangers = {each[paid.account]: each for each in names}
        strangers.pop(paid.account, None)
        _copy(unit, table_of(ConnectedAccount), "id", paid.account, strangers.values())
        _copy(unit, table_of(Lane), "id", paid.account, strangers.values())
        _copy(unit, table_of(Charge), "id", paid.charge, names)
        _copy(unit, table_of(RefundRequest), "id", original, names)
        for table in OF_A_REQUEST:
            _copy(unit, table_of(table), "request_id", original, names)
        _point_to_evaluations(unit, original)
    return requests


def _copy(unit: Unit, table: Table, column: str, value: str, names: Iterable[Names]) -> None:
    rows = unit.connection().execute(select(table).where(table.c[column] == value)).mappings()
    serial = table.autoincrement_column
    originals = [
        {name: kept for name, kept in row.items() if serial is None or name != serial.name}
        for row in rows
    ]
    copies = [
        {name: _renamed(kept, each) for name, kept in row.items()}
        for each in names
        for row in originals
    ]
    if copies:
        unit.connection().execute(insert(table), copies)


def _renamed(value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if isinstance(value, str) and not isinstance(value, Enum):
        return names.get(value, value)
    return value


def _point_to_evaluations(unit: Unit, original: RequestId) -> None:
    request, evaluation = table_of(RefundRequest), table_of(EvaluationRow)
    latest = unit.get_one(RefundRequest, original).evaluation_id
    own = select(func.max(evaluation.c.id)).where(evaluation.c.request_id == request.c.id)
    unit.connection().execute(
        update(request)
        .where(request.c.evaluation_id == latest, request.c.id != original)
        .values(evaluation_id=own.scalar_subquery())
    )
