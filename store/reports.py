"""The books as a whole, for audits and status: read in bounded batches, each consistent in itself.

It may not judge them; `refunds.invariants` does.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from sqlalchemy import func, text
from sqlmodel import col, select

from refunds.facts import NOT_LIVE, RefundStatus
from refunds.ids import (
    PLATFORM_LANE,
    AttemptId,
    ChargeId,
    RefundId,
    RequestId,
    RunId,
)
from refunds.invariants import Books, ChargeBooks, Entry, RefundBooks, RequestBooks, RunBooks
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency, Money
from store.database import Unit
from store.tables.attempts import ReleaseAttempt, ReleaseRun, Reservation
from store.tables.ledger import LedgerEntry
from store.tables.observations import Refund
from store.tables.requests import SHADOW_ONLY, Charge, Mode, RefundRequest, RequestBucket

BATCH: Final = 200
"""Charges, or runs, whose books are in memory at once."""

_Promised: TypeAlias = dict[tuple[str, str, str], int]


def load_books(unit: Unit, batch: int = BATCH) -> Iterator[Books]:
    """Yield all books: first by charge, each with all its requests and refunds, then requests that
    have no charge yet, then runs.

    In a `reading()` unit all batches show one moment. Each is judged by itself.
    """
    yield from _by_charge(unit, batch)
    yield from _without_charge(unit, batch)
    yield from _runs(unit, batch)


def counts_by_status(unit: Unit, mode: Mode = Mode.LIVE) -> dict[Status, int]:
    """Return how many requests of a mode have which status; every status is there."""
    statement = select(RefundRequest.status, func.count()).group_by(col(RefundRequest.status))
    in_all = {status: int(count) for status, count in unit.exec(statement)}
    # Each from an index of its own: asking for live ones alone would read every row.
    pretended = statement.where(text(SHADOW_ONLY))
    in_shadow = {status: int(count) for status, count in unit.exec(pretended)}
    if mode is Mode.SHADOW:
        return {status: in_shadow.get(status, 0) for status in Status}
    return {status: in_all.get(status, 0) - in_shadow.get(status, 0) for status in Status}


def held_sums(unit: Unit, mode: Mode = Mode.LIVE) -> list[Money]:
    """Return what is on hold in a mode, one sum per currency, in order of the currency's code."""
    statement = (
        select(RefundRequest.currency, func.sum(RequestBucket.amount_minor))
        .join(RefundRequest, col(RefundRequest.id) == col(RequestBucket.request_id))
        .where(col(RequestBucket.bucket) == Bucket.HELD, col(RequestBucket.amount_minor) > 0)
        .where(col(RefundRequest.mode) == mode)
        .group_by(col(RefundRequest.currency))
        .order_by(col(RefundRequest.currency))
    )
    return [Money(int(minor), Currency(str(currency))) for currency, minor in unit.exec(statement)]


def _by_charge(unit: Unit, batch: int) -> Iterator[Books]:
    last = ""
    while True:
        statement = select(Charge.id, Charge.amount_minor).where(col(Charge.id) > last)
        charges = unit.exec(statement.order_by(col(Charge.id)).limit(batch)).all()
        if not charges:
            return
        ids = [charge for charge, _ in charges]
        requests = (
            select(RefundRequest)
            .where(col(RefundRequest.charge_id).in_(ids))
            .order_by(col(RefundRequest.id))
        )
        refunds = select(Refund).where(col(Refund.charge_id).in_(ids)).order_by(col(Refund.id))
        yield Books(
            requests=_request_books(
                unit, unit.exec(requests.order_by(col(RefundRequest.id))).all()
            ),
            refunds=tuple(_refund_books(refund) for refund in unit.exec(refunds)),
            charges=tuple(
                ChargeBooks(charge=ChargeId(charge), amount_minor=minor)
                for charge, minor in charges
            ),
        )
        last = ids[-1]


def _without_charge(unit: Unit, batch: int) -> Iterator[Books]:
    last = ""
    while True:
        statement = (
            select(RefundRequest)
            .where(col(RefundRequest.charge_id).is_(None), col(RefundRequest.id) > last)
            .order_by(col(RefundRequest.id))
            .limit(batch)
        )
        requests = unit.exec(statement).all()
        if not requests:
            return
        last = requests[-1].id
        yield Books(requests=_request_books(unit, requests))


def _runs(unit: Unit, batch: int) -> Iterator[Books]:
    last = ""
    while True:
        statement = select(ReleaseRun).where(col(ReleaseRun.id) > last)
        runs = unit.exec(statement.order_by(col(ReleaseRun.id)).limit(batch)).all()
        if not runs:
            return
        promised = _promised_by(unit, [run.id for run in runs])
        yield Books(runs=tuple(each for run in runs for each in _run_books(run, promised)))
        last = runs[-1].id


def _request_books(unit: Unit, requests: Sequence[RefundRequest]) -> tuple[RequestBooks, ...]:
    ids = [request.id for request in requests]
    projections: dict[str, dict[Bucket, int]] = defaultdict(dict)
    buckets = select(RequestBucket).where(col(RequestBucket.request_id).in_(ids))
    for row in unit.exec(buckets):
        projections[row.request_id][row.bucket] = row.amount_minor
    entries: dict[str, list[Entry]] = defaultdict(list)
    ledger = select(LedgerEntry).where(col(LedgerEntry.request_id).in_(ids))
    for entry in unit.exec(ledger.order_by(col(LedgerEntry.id))):
        entries[entry.request_id].append(
            Entry(
                request=RequestId(entry.request_id),
                source=entry.from_bucket,
                target=entry.to_bucket,
                amount_minor=entry.amount_minor,
            )
        )
    return tuple(
        RequestBooks(
            request=RequestId(request.id),
            charge=ChargeId(request.charge_id) if request.charge_id else None,
            amount_minor=request.amount_minor,
            status=request.status,
            projection=projections[request.id],
            entries=tuple(entries[request.id]),
            shadow=request.mode is Mode.SHADOW,
        )
        for request in requests
    )


def _refund_books(refund: Refund) -> RefundBooks:
    return RefundBooks(
        refund=RefundId(refund.id),
        charge=ChargeId(refund.charge_id),
        attempt=AttemptId(refund.attempt_id) if refund.attempt_id else None,
        observed=refund.observed,
        live=refund.status not in NOT_LIVE,
        amount_minor=refund.amount_minor,
        requires_action=refund.status is RefundStatus.REQUIRES_ACTION,
    )


def _promised_by(unit: Unit, runs: Sequence[str]) -> _Promised:
    """Return what runs promised, per run, holder and currency.

    An attempt's reservation is what it takes from the available balance: own pending money that a
    policy lets it count on is not in it, nor what the platform stands in for. What Stripe was to
    queue takes more than there is by intention; of the platform's balance it takes as any other.
    """
    statement = (
        select(
            ReleaseAttempt.run_id,
            Reservation.holder,
            Reservation.currency,
            func.sum(Reservation.amount_minor),
        )
        .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(Reservation.attempt_id))
        .where(col(ReleaseAttempt.run_id).in_(runs))
        .where(col(ReleaseAttempt.queued).is_(False) | (col(Reservation.holder) == PLATFORM_LANE))
        .group_by(col(ReleaseAttempt.run_id), col(Reservation.holder), col(Reservation.currency))
    )
    return {
        (run, holder, currency): int(minor) for run, holder, currency, minor in unit.exec(statement)
    }


def _run_books(run: ReleaseRun, promised: _Promised) -> Iterator[RunBooks]:
    for (run_id, holder, currency), minor in promised.items():
        if run_id != run.id:
            continue
        spendable = (
            run.platform_spendable if holder == PLATFORM_LANE else run.spendable.get(holder, {})
        )
        yield RunBooks(
            run=RunId(run.id),
            currency=Currency(currency),
            spendable_minor=spendable.get(currency, 0),
            released_minor=minor,
        )
