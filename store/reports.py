"""The books as a whole, for audits and status: read in bounded batches, each consistent in itself.

It may not judge them; `refunds.invariants` does.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from sqlalchemy import bindparam, func, text
from sqlmodel import col, select

from refunds.attempt import Purpose
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

# Built once: building a statement takes longer than running it.
_CHARGES: Final = (
    select(Charge.id, Charge.amount_minor)
    .where(col(Charge.id) > bindparam("last"))
    .order_by(col(Charge.id))
    .limit(bindparam("batch"))
)
_REQUESTS_ON: Final = (
    select(RefundRequest)
    .where(col(RefundRequest.charge_id).in_(bindparam("charges", expanding=True)))
    .order_by(col(RefundRequest.id))
)
_REFUNDS_ON: Final = (
    select(Refund)
    .where(col(Refund.charge_id).in_(bindparam("charges", expanding=True)))
    .order_by(col(Refund.id))
)
_REQUESTS_ALONE: Final = (
    select(RefundRequest)
    .where(col(RefundRequest.charge_id).is_(None), col(RefundRequest.id) > bindparam("last"))
    .order_by(col(RefundRequest.id))
    .limit(bindparam("batch"))
)
_BUCKETS: Final = select(
    RequestBucket.request_id, RequestBucket.bucket, RequestBucket.amount_minor
).where(col(RequestBucket.request_id).in_(bindparam("requests", expanding=True)))
_ENTRIES: Final = (
    select(
        LedgerEntry.request_id,
        LedgerEntry.from_bucket,
        LedgerEntry.to_bucket,
        LedgerEntry.amount_minor,
    )
    .where(col(LedgerEntry.request_id).in_(bindparam("requests", expanding=True)))
    .order_by(col(LedgerEntry.id))
)
_RUNS: Final = (
    select(ReleaseRun)
    .where(col(ReleaseRun.id) > bindparam("last"))
    .order_by(col(ReleaseRun.id))
    .limit(bindparam("batch"))
)
_PROMISED: Final = (
    select(
        ReleaseAttempt.run_id,
        Reservation.holder,
        Reservation.currency,
        func.sum(Reservation.amount_minor),
    )
    .join(ReleaseAttempt, col(ReleaseAttempt.id) == col(Reservation.attempt_id))
    .where(col(ReleaseAttempt.run_id).in_(bindparam("runs", expanding=True)))
    .where(col(ReleaseAttempt.purpose) == Purpose.RELEASE)
    .where(col(ReleaseAttempt.queued).is_(False) | (col(Reservation.holder) == PLATFORM_LANE))
    .group_by(col(ReleaseAttempt.run_id), col(Reservation.holder), col(Reservation.currency))
)


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
    last, more = "", True
    while more:
        charges = unit.exec(_CHARGES, params={"last": last, "batch": batch}).all()
        if not charges:
            return
        ids = [charge for charge, _ in charges]
        requests = unit.exec(_REQUESTS_ON, params={"charges": ids}).all()
        refunds = unit.exec(_REFUNDS_ON, params={"charges": ids})
        yield Books(
            requests=_request_books(unit, requests),
            refunds=tuple(_refund_books(refund) for refund in refunds),
            charges=tuple(
                ChargeBooks(charge=ChargeId(charge), amount_minor=minor)
                for charge, minor in charges
            ),
        )
        last, more = ids[-1], len(ids) == batch


def _without_charge(unit: Unit, batch: int) -> Iterator[Books]:
    last, more = "", True
    while more:
        requests = unit.exec(_REQUESTS_ALONE, params={"last": last, "batch": batch}).all()
        if not requests:
            return
        yield Books(requests=_request_books(unit, requests))
        last, more = requests[-1].id, len(requests) == batch


def _runs(unit: Unit, batch: int) -> Iterator[Books]:
    last, more = "", True
    while more:
        runs = unit.exec(_RUNS, params={"last": last, "batch": batch}).all()
        if not runs:
            return
        promised = _promised_by(unit, [run.id for run in runs])
        yield Books(runs=tuple(each for run in runs for each in _run_books(run, promised)))
        last, more = runs[-1].id, len(runs) == batch


def _request_books(unit: Unit, requests: Sequence[RefundRequest]) -> tuple[RequestBooks, ...]:
    if not requests:
        return ()
    ids = {"requests": [request.id for request in requests]}
    projections: dict[str, dict[Bucket, int]] = defaultdict(dict)
    for request_id, bucket, minor in unit.exec(_BUCKETS, params=ids):
        projections[request_id][Bucket(bucket)] = minor
    entries: dict[str, list[Entry]] = defaultdict(list)
    for request_id, source, target, minor in unit.exec(_ENTRIES, params=ids):
        entries[request_id].append(
            Entry(
                request=RequestId(request_id),
                source=Bucket(source),
                target=Bucket(target),
                amount_minor=minor,
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
    found = unit.exec(_PROMISED, params={"runs": runs})
    return {(run, holder, currency): int(minor) for run, holder, currency, minor in found}


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
