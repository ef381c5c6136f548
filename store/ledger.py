"""Appends moves to the ledger and keeps the projection in step, in the same unit of work.

It may not change or remove an entry, nor move what the lifecycle's table does not allow.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import col, select

from refunds.errors import WrongStateError
from refunds.exposure import ExposureBucket
from refunds.ids import AccountId, AttemptId, RefundId, RequestId
from refunds.lifecycle import Bucket, check_move, status_of
from refunds.money import Currency, Money
from refunds.need import Need
from store.database import Unit
from store.guard_marks import money_moved
from store.outbox import tell_of_bucket, tell_of_exposure
from store.tables.ledger import ExposureEntry, LedgerEntry
from store.tables.requests import Mode, RefundRequest, RequestBucket
from store.upsert import insert_or_ignore

# Built once: building a statement takes longer than running it.
_AMOUNTS: Final = select(RequestBucket.bucket, RequestBucket.amount_minor).where(
    col(RequestBucket.request_id) == bindparam("request"), col(RequestBucket.amount_minor) > 0
)
_LOCKED_BUCKET: Final = (
    select(RequestBucket)
    .where(col(RequestBucket.request_id) == bindparam("request"))
    .where(col(RequestBucket.bucket) == bindparam("bucket"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Why an entry is made: shared by all entries of one act."""

    at: datetime
    cause: str
    """One word: `intake`, `release`, an event's type, `person`, …"""
    why: str
    """One sentence for a person."""
    actor: str = "sluice"
    attempt: AttemptId | None = None
    refund: RefundId | None = None
    need: Need | None = None


def move(
    unit: Unit,
    request: RefundRequest,
    source: Bucket,
    target: Bucket,
    amount_minor: int,
    because: Because,
) -> None:
    """Move `amount_minor` of a request from one bucket to another and project its status anew.

    Raise `IllegalMoveError` where no transition joins them, `WrongStateError` where `source` holds
    less: another hand was faster. The caller's unit must not be committed then.
    """
    check_move(source, target)
    assert amount_minor > 0, "an entry moves something"
    assert request.lane is not None, "a request without a lane has no amount yet"
    assert request.currency is not None, "a request without a currency has no amount yet"
    if source is not Bucket.OPENED:
        _add(unit, request, source, -amount_minor)
    _add(unit, request, target, amount_minor)
    unit.add(
        LedgerEntry(
            at=because.at,
            request_id=request.id,
            attempt_id=because.attempt,
            refund_id=because.refund,
            account=request.account,
            from_bucket=source,
            to_bucket=target,
            amount_minor=amount_minor,
            currency=request.currency,
            need_minor=because.need.amount_minor if because.need else None,
            need_currency=because.need.currency if because.need else None,
            cause=because.cause,
            why=because.why,
            actor=because.actor,
        )
    )
    unit.flush()
    request.status = status_of(amounts_of(unit, RequestId(request.id)))
    unit.add(request)
    if request.account is not None and request.mode is Mode.LIVE:
        money_moved(unit, request.id, AccountId(request.account), because.at, because.cause)
    tell_of_bucket(unit, request, target, at=because.at, why=because.why)


def move_along(
    unit: Unit,
    request: RefundRequest,
    path: tuple[Bucket, ...],
    amount_minor: int,
    because: Because,
) -> None:
    """Move an amount through several buckets, one entry each; `path` begins where it lies now."""
    for source, target in pairwise(path):
        move(unit, request, source, target, amount_minor, because)


def amounts_of(unit: Unit, request: RequestId) -> dict[Bucket, int]:
    """Return the request's buckets that hold something, minor units."""
    found = unit.exec(_AMOUNTS, params={"request": request})
    return {Bucket(word): minor for word, minor in found}


def entries_of(unit: Unit, request: RequestId) -> list[LedgerEntry]:
    """Return a request's entries in the order they were made."""
    statement = select(LedgerEntry).where(col(LedgerEntry.request_id) == request)
    return list(unit.exec(statement.order_by(col(LedgerEntry.id))))


def move_exposure(
    unit: Unit,
    request: RefundRequest,
    source: ExposureBucket,
    target: ExposureBucket,
    amount: Money,
    because: Because,
    *,
    account: AccountId | str | None = None,
) -> None:
    """Record money the platform stands in for, or has taken back, for one attempt; `account` is the
    request's home unless another one is given.
    """
    account = account or request.account
    assert amount.amount_minor > 0, "an entry moves something"
    assert account is not None, "only a connected account can be exposed"
    assert because.attempt is not None, "exposure comes from an attempt"
    unit.add(
        ExposureEntry(
            at=because.at,
            request_id=request.id,
            attempt_id=because.attempt,
            account=account,
            from_bucket=source,
            to_bucket=target,
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            cause=because.cause,
            why=because.why,
        )
    )
    tell_of_exposure(unit, request, target, amount, at=because.at, why=because.why)


def exposed_of(unit: Unit, attempt: AttemptId) -> Money | None:
    """Return what the platform still stands in for after an attempt on one account; `None`: it
    never did.
    """
    exposures = exposures_of(unit, attempt)
    assert len(exposures) <= 1, "an attempt on a split payment has an exposure for each account"
    return next(iter(exposures.values()), None)


def exposures_of(unit: Unit, attempt: AttemptId) -> dict[AccountId, Money]:
    """Return what the platform still stands in for after an attempt, per account."""
    statement = select(ExposureEntry).where(col(ExposureEntry.attempt_id) == attempt)
    exposures: dict[AccountId, Money] = {}
    for entry in unit.exec(statement):
        account, currency = AccountId(entry.account), Currency(entry.currency)
        minor = entry.amount_minor * (
            (entry.to_bucket is ExposureBucket.EXPOSED)
            - (entry.from_bucket is ExposureBucket.EXPOSED)
        )
        exposures[account] = exposures.get(account, Money(0, currency)) + Money(minor, currency)
    return exposures


def _add(unit: Unit, request: RefundRequest, bucket: Bucket, amount_minor: int) -> None:
    insert_or_ignore(
        unit,
        RequestBucket,
        request_id=request.id,
        bucket=bucket,
        lane=request.lane,
        amount_minor=0,
    )
    row = unit.exec(_LOCKED_BUCKET, params={"request": request.id, "bucket": bucket}).one()
    if row.amount_minor + amount_minor < 0:
        raise WrongStateError(
            request.id,
            f"move {-amount_minor} out of {bucket} of",
            request.status,
            f"it in {bucket}",
        )
    row.amount_minor += amount_minor
    unit.add(row)
    unit.flush()
