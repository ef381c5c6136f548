"""The figures of a day: what waits, what the platform stands in for, what nobody looked at.

It may not word them or send them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, text
from sqlmodel import col, select

from refunds.exposure import ExposureBucket
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency, Money
from store.database import Unit
from store.inbox import counts
from store.reports import counts_by_status, held_sums
from store.tables.inbox import InboxState
from store.tables.ledger import ExposureEntry
from store.tables.outbox import DispatchState
from store.tables.requests import WAITING_ONLY, Mode, RefundRequest, RequestBucket
from store.told import dispatch_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """How things stand at `at`, and what moved since `since`. Sums are one per currency."""

    since: datetime
    at: datetime
    held_requests: int
    held: tuple[Money, ...]
    oldest_held: tuple[str, datetime] | None
    """The request, and when it was asked for."""
    in_review: int
    covered: tuple[Money, ...]
    """What the platform began to stand in for."""
    recovered: tuple[Money, ...]
    exposure: tuple[Money, ...]
    """What it stands in for in all."""
    dead_letters: int
    undelivered: int


def read_digest(unit: Unit, mode: Mode, since: datetime, at: datetime) -> Digest:
    """Return the figures of the time from `since` to `at`, of requests in this mode."""
    statuses = counts_by_status(unit, mode)
    platform, exposed, recovered = ExposureBucket
    into = _exposure_sums(unit, to=exposed)
    out = _exposure_sums(unit, source=exposed)
    return Digest(
        since=since,
        at=at,
        held_requests=statuses[Status.HELD],
        held=tuple(held_sums(unit, mode)),
        oldest_held=_oldest_held(unit, mode),
        in_review=statuses[Status.REVIEW],
        covered=_money(_exposure_sums(unit, source=platform, to=exposed, since=since)),
        recovered=_money(_exposure_sums(unit, to=recovered, since=since)),
        exposure=_money({name: minor - out.get(name, 0) for name, minor in into.items()}),
        dead_letters=counts(unit).by_state[InboxState.DEAD],
        undelivered=dispatch_counts(unit)[DispatchState.DEAD],
    )


def _oldest_held(unit: Unit, mode: Mode) -> tuple[str, datetime] | None:
    statement = (
        select(RefundRequest.id, RefundRequest.created)
        .join(RequestBucket, col(RequestBucket.request_id) == col(RefundRequest.id))
        .where(text(WAITING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.bucket) == Bucket.HELD, col(RefundRequest.mode) == mode)
        .order_by(col(RefundRequest.id))
        .limit(1)
    )
    return unit.exec(statement).one_or_none()


def _exposure_sums(
    unit: Unit,
    *,
    source: ExposureBucket | None = None,
    to: ExposureBucket | None = None,
    since: datetime | None = None,
) -> dict[str, int]:
    statement = select(ExposureEntry.currency, func.sum(ExposureEntry.amount_minor)).group_by(
        col(ExposureEntry.currency)
    )
    if source is not None:
        statement = statement.where(col(ExposureEntry.from_bucket) == source)
    if to is not None:
        statement = statement.where(col(ExposureEntry.to_bucket) == to)
    if since is not None:
        statement = statement.where(col(ExposureEntry.at) >= since)
    return {currency: int(minor) for currency, minor in unit.exec(statement)}


def _money(sums: dict[str, int]) -> tuple[Money, ...]:
    return tuple(Money(minor, Currency(name)) for name, minor in sorted(sums.items()) if minor)
