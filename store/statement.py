"""The facts of a period for a statement, read a page at a time along an index by time.

It may not sum facts or word them; what only shadow mode pretended is no fact.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlmodel import col, select

from refunds.exposure import ExposureBucket
from refunds.lifecycle import Bucket
from refunds.money import Currency, Money
from refunds.statement import Fact, Line, Period, Record
from refunds.steps import StepKind
from store.database import Unit
from store.tables.attempts import AttemptStep, ReleaseAttempt
from store.tables.ledger import ExposureEntry, LedgerEntry
from store.tables.legs import Transfer
from store.tables.observations import Refund
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Charge, Mode, RefundRequest

BATCH: Final = 500
"""Rows in memory at once."""

_Found = TypeVar("_Found")

_ENDED: Final = (Bucket.REJECTED, Bucket.CANCELED, Bucket.CLOSED)
_FAILED: Final = (Bucket.FAILED, Bucket.STRIPE_CANCELED)
_BEFORE_STRIPE: Final = (Bucket.RELEASING, Bucket.REVERSED)
"""Where an amount comes from when its refund is made. What waits for a buyer comes back from
review, for the same refund."""


def facts_of(unit: Unit, period: Period, batch: int = BATCH) -> Iterator[Line]:
    """Yield every fact of a period: what the ledger says, refunds of other hands, reversals and
    transfers, recoveries, exposure; each part in order of time.

    In a `reading()` unit all are of one moment.
    """
    for part in (_moves, _observed, _steps, _recoveries, _exposures):
        yield from part(unit, period, batch)


def exposure_at(unit: Unit, before: datetime) -> dict[str, Money]:
    """Return what the platform stood in for, per currency in which it ever did, just before a
    moment; minor units.
    """
    exposed = case(
        (col(ExposureEntry.to_bucket) == ExposureBucket.EXPOSED, col(ExposureEntry.amount_minor)),
        (
            col(ExposureEntry.from_bucket) == ExposureBucket.EXPOSED,
            -col(ExposureEntry.amount_minor),
        ),
        else_=0,
    )
    statement = (
        select(ExposureEntry.currency, func.sum(exposed))
        .where(col(ExposureEntry.at) < before)
        .group_by(col(ExposureEntry.currency))
    )
    return {
        currency: Money(int(minor), Currency(currency)) for currency, minor in unit.exec(statement)
    }


def _paged(
    read: Callable[[ColumnElement[bool]], list[_Found]],
    place: Callable[[_Found], tuple[datetime, Any]],
    columns: tuple[Any, Any],
    period: Period,
    batch: int,
) -> Iterator[_Found]:
    """Yield what `read` finds, page by page, by time and then by key."""
    at, key = (col(column) for column in columns)
    within = and_(at >= period.begins, at < period.ends)
    while True:
        page = read(within)
        yield from page
        if len(page) < batch:
            return
        last_at, last_key = place(page[-1])
        after = or_(at > last_at, and_(at == last_at, key > last_key))
        within = and_(at >= last_at, at < period.ends, after)


def _moves(unit: Unit, period: Period, batch: int) -> Iterator[Line]:
    source, target = col(LedgerEntry.from_bucket), col(LedgerEntry.to_bucket)
    statement = (
        select(LedgerEntry, RefundRequest, Charge, Refund)
        .join(RefundRequest, col(RefundRequest.id) == col(LedgerEntry.request_id))
        .join(Charge, col(Charge.id) == col(RefundRequest.charge_id), isouter=True)
        .join(Refund, col(Refund.id) == col(LedgerEntry.refund_id), isouter=True)
        .where(
            col(RefundRequest.mode) == Mode.LIVE,
            or_(
                source == Bucket.OPENED,
                target.in_((*_ENDED, *_FAILED, Bucket.SUCCEEDED)),
                and_(target == Bucket.SUBMITTED, source.in_(_BEFORE_STRIPE)),
            ),
        )
        .order_by(col(LedgerEntry.at), col(LedgerEntry.id))
        .limit(batch)
    )

    def read(within: ColumnElement[bool]) -> list[_Move]:
        return list(unit.exec(statement.where(within)))

    rows = _paged(
        read,
        lambda found: (found[0].at, found[0].id),
        (LedgerEntry.at, LedgerEntry.id),
        period,
        batch,
    )
    for entry, request, charge, refund in rows:
        yield _move_line(entry, request, charge, refund)


_Move = tuple[LedgerEntry, RefundRequest, Charge | None, Refund | None]


def _move_line(
    entry: LedgerEntry, request: RefundRequest, charge: Charge | None, refund: Refund | None
) -> Line:
    kind = _kind_of(entry)
    transaction = None
    if refund is not None and kind is Fact.REFUND:
        transaction = refund.balance_transaction
    if refund is not None and kind is Fact.REFUND_FAILED:
        transaction = refund.failure_balance_transaction
    return Line(
        record=Record.FACT,
        kind=kind,
        at=entry.at,
        amount=Money(entry.amount_minor, Currency(entry.currency)),
        request=entry.request_id,
        attempt=entry.attempt_id,
        account=entry.account,
        payment_intent=charge.payment_intent if charge else None,
        charge=charge.id if charge else None,
        stripe_object=entry.refund_id,
        balance_transaction=transaction,
        reversal=refund.reversal if refund and kind is Fact.REFUND else None,
        status=entry.to_bucket,
        key=request.idempotency_key,
        why=entry.why,
    )


def _kind_of(entry: LedgerEntry) -> Fact:
    if entry.from_bucket is Bucket.OPENED:
        return Fact.REQUEST
    if entry.to_bucket in _ENDED:
        return Fact.REQUEST_ENDED
    if entry.to_bucket in _FAILED:
        return Fact.REFUND_FAILED
    return Fact.REFUND if entry.to_bucket is Bucket.SUBMITTED else Fact.REFUND_SUCCEEDED


def _observed(unit: Unit, period: Period, batch: int) -> Iterator[Line]:
    statement = (
        select(Refund, Charge)
        .join(Charge, col(Charge.id) == col(Refund.charge_id))
        .where(col(Refund.observed).is_(True))
        .order_by(col(Refund.created), col(Refund.id))
        .limit(batch)
    )
    rows = _paged(
        lambda within: list(unit.exec(statement.where(within))),
        lambda found: (found[0].created, found[0].id),
        (Refund.created, Refund.id),
        period,
        batch,
    )
    for refund, charge in rows:
        yield Line(
            record=Record.FACT,
            kind=Fact.OBSERVED_REFUND,
            at=refund.created,
            amount=Money(refund.amount_minor, Currency(refund.currency)),
            account=charge.account,
            payment_intent=charge.payment_intent,
            charge=charge.id,
            stripe_object=refund.id,
            balance_transaction=refund.balance_transaction,
            reversal=refund.reversal,
            status=refund.status,
        )


def _steps(unit: Unit, period: Period, batch: int) -> Iterator[Line]:
    statement = (
        select(AttemptStep, ReleaseAttempt, Charge, Transfer)
        .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(AttemptStep.attempt_id))
        .join(Charge, col(Charge.id) == col(ReleaseAttempt.charge_id))
        .join(Transfer, col(Transfer.id) == col(AttemptStep.target), isouter=True)
        # A step that was made has an amount; the refund's stands in the ledger.
        .where(col(AttemptStep.object_minor).is_not(None))
        .where(col(AttemptStep.kind) != StepKind.REFUND)
        .order_by(col(AttemptStep.settled_at), col(AttemptStep.idempotency_key))
        .limit(batch)
    )

    def read(
        within: ColumnElement[bool],
    ) -> list[tuple[AttemptStep, ReleaseAttempt, Charge, Transfer | None]]:
        return list(unit.exec(statement.where(within)))

    rows = _paged(
        read,
        lambda found: (_known(found[0].settled_at), found[0].idempotency_key),
        (AttemptStep.settled_at, AttemptStep.idempotency_key),
        period,
        batch,
    )
    for step, attempt, charge, transfer in rows:
        account, currency = _side_of(charge, transfer)
        reversal = step.kind is StepKind.REVERSAL
        yield Line(
            record=Record.FACT,
            kind=Fact.REVERSAL if reversal else Fact.COMPENSATION,
            at=step.settled_at,
            amount=Money(_known(step.object_minor), currency),
            request=attempt.request_id,
            attempt=attempt.id,
            account=account,
            payment_intent=charge.payment_intent,
            charge=charge.id,
            stripe_object=step.object_id,
            balance_transaction=step.balance_transaction,
            reversal=step.object_id if reversal else None,
        )


def _recoveries(unit: Unit, period: Period, batch: int) -> Iterator[Line]:
    statement = (
        select(RecoveryAttempt, Charge, Transfer)
        .join(Charge, col(Charge.id) == col(RecoveryAttempt.charge_id))
        .join(Transfer, col(Transfer.id) == col(RecoveryAttempt.transfer), isouter=True)
        .where(col(RecoveryAttempt.reversal).is_not(None))
        .order_by(col(RecoveryAttempt.settled_at), col(RecoveryAttempt.id))
        .limit(batch)
    )

    def read(
        within: ColumnElement[bool],
    ) -> list[tuple[RecoveryAttempt, Charge, Transfer | None]]:
        return list(unit.exec(statement.where(within)))

    rows = _paged(
        read,
        lambda found: (_known(found[0].settled_at), found[0].id),
        (RecoveryAttempt.settled_at, RecoveryAttempt.id),
        period,
        batch,
    )
    for recovery, charge, transfer in rows:
        _, currency = _side_of(charge, transfer)
        yield Line(
            record=Record.FACT,
            kind=Fact.RECOVERY,
            at=recovery.settled_at,
            amount=Money(_known(recovery.reversed_minor), currency),
            request=recovery.request_id,
            attempt=recovery.attempt_id,
            account=recovery.account,
            payment_intent=charge.payment_intent,
            charge=charge.id,
            stripe_object=recovery.reversal,
            balance_transaction=recovery.balance_transaction,
            reversal=recovery.reversal,
        )


def _exposures(unit: Unit, period: Period, batch: int) -> Iterator[Line]:
    statement = (
        select(ExposureEntry, Charge)
        .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(ExposureEntry.attempt_id))
        .join(Charge, col(Charge.id) == col(ReleaseAttempt.charge_id))
        .order_by(col(ExposureEntry.at), col(ExposureEntry.id))
        .limit(batch)
    )
    rows = _paged(
        lambda within: list(unit.exec(statement.where(within))),
        lambda found: (found[0].at, found[0].id),
        (ExposureEntry.at, ExposureEntry.id),
        period,
        batch,
    )
    for entry, charge in rows:
        yield Line(
            record=Record.FACT,
            kind=_EXPOSURE_KINDS[entry.from_bucket, entry.to_bucket],
            at=entry.at,
            amount=Money(entry.amount_minor, Currency(entry.currency)),
            request=entry.request_id,
            attempt=entry.attempt_id,
            account=entry.account,
            payment_intent=charge.payment_intent,
            charge=charge.id,
            why=entry.why,
        )


_EXPOSURE_KINDS: Final = {
    (ExposureBucket.PLATFORM, ExposureBucket.EXPOSED): Fact.EXPOSED,
    (ExposureBucket.EXPOSED, ExposureBucket.RECOVERED): Fact.EXPOSURE_RECOVERED,
    (ExposureBucket.EXPOSED, ExposureBucket.PLATFORM): Fact.EXPOSURE_ENDED,
}


def _side_of(charge: Charge, transfer: Transfer | None) -> tuple[str | None, Currency]:
    """Return whose money a reversal took, and the transfer's currency."""
    if transfer is not None:
        return transfer.account, Currency(transfer.currency)
    return charge.account, Currency(_known(charge.transfer_currency))


def _known(value: _Found | None) -> _Found:
    assert value is not None, "what was settled has its time, its amount and its currency"
    return value
