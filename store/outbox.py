"""Writes what is to be told, in the transaction of the fact that it tells of.

It may not decide who is told, nor send anything; what was rolled back was never told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import col, select

from refunds.exposure import ExposureBucket
from refunds.ids import mint
from refunds.lifecycle import Bucket
from refunds.money import Currency, Money
from refunds.notifications import (
    STANDING,
    STATES,
    TOLD_OF_BUCKET,
    TOLD_OF_EXPOSURE,
    Kind,
    buyer_text,
)
from store.database import Unit
from store.tables.outbox import Notification
from store.tables.requests import Mode, RefundRequest
from store.upsert import insert_or_ignore

_DRAFTS: Final = "outbox drafts"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """Something to tell once the unit is committed."""

    kind: Kind
    at: datetime
    subject: str
    why: str
    account: str | None
    mode: Mode
    data: Mapping[str, Any] | None
    """`None`: the request as it stands when the unit is committed."""
    amount: Money | None = None
    """The request's, for the buyer."""
    more: Mapping[str, Any] | None = None
    occasion: str | None = None


def tell(
    unit: Unit,
    kind: Kind,
    *,
    at: datetime,
    subject: str,
    why: str,
    data: Mapping[str, Any],
    account: str | None = None,
    occasion: str | None = None,
) -> None:
    """Tell of something other than a request. `data` is the object it is about, in the API's style.

    With an `occasion` it is told once, however often that is noticed.
    """
    draft = _Draft(
        kind=kind,
        at=at,
        subject=subject,
        why=why,
        account=account,
        mode=Mode.LIVE,
        data=data,
        occasion=None if occasion is None else f"{kind}:{occasion}",
    )
    _keep(unit, draft)


def tell_of_request(
    unit: Unit,
    kind: Kind,
    request: RefundRequest,
    *,
    at: datetime,
    why: str,
    more: Mapping[str, Any] | None = None,
    occasion: str | None = None,
) -> None:
    """Tell of a request; what is sent shows it as it stands when the unit is committed."""
    draft = _Draft(
        kind=kind,
        at=at,
        subject=request.id,
        why=why,
        account=request.account,
        mode=request.mode,
        data=None,
        amount=_amount_of(request),
        more=more,
        occasion=None if occasion is None else f"{kind}:{occasion}",
    )
    _keep(unit, draft)


def tell_of_bucket(
    unit: Unit, request: RefundRequest, target: Bucket, *, at: datetime, why: str
) -> None:
    """Tell that an amount of the request reached a bucket, where that is worth telling."""
    kind = TOLD_OF_BUCKET[target]
    if kind is not None:
        tell_of_request(unit, kind, request, at=at, why=why)


def tell_of_exposure(
    unit: Unit,
    request: RefundRequest,
    target: ExposureBucket,
    amount: Money,
    *,
    at: datetime,
    why: str,
) -> None:
    """Tell that the platform stands in for an amount, or has recovered it."""
    kind = TOLD_OF_EXPOSURE[target]
    if kind is not None:
        exposure = {"amount": amount.amount_minor, "currency": amount.currency}
        tell_of_request(unit, kind, request, at=at, why=why, more={"exposure": exposure})


def tell_of_deadline(
    unit: Unit, kind: Kind, request: RefundRequest, *, at: datetime, why: str
) -> None:
    """Tell that a request's deadline is near, or has passed; once for each deadline it gets."""
    occasion = f"{request.id}:{int(request.deadline.timestamp())}"
    tell_of_request(unit, kind, request, at=at, why=why, occasion=occasion)


def told_of(unit: Unit, subject: str, limit: int = 100) -> list[Notification]:
    """Return what was told of a subject, oldest first."""
    statement = select(Notification).where(col(Notification.subject) == subject)
    return list(unit.exec(statement.order_by(col(Notification.number)).limit(limit)))


def _amount_of(request: RefundRequest) -> Money | None:
    if request.amount_minor is None or request.currency is None:
        return None
    return Money(request.amount_minor, Currency(request.currency))


def _keep(unit: Unit, draft: _Draft) -> None:
    drafts: list[_Draft] = unit.info.setdefault(_DRAFTS, [])
    if not drafts:
        unit.before_commit(lambda: _write(unit))
    same = (draft.subject, draft.kind)
    # Several buckets of one request may move at once, which is one fact to the outside.
    if draft.more is not None or all((each.subject, each.kind) != same for each in drafts):
        drafts.append(draft)


def _write(unit: Unit) -> None:
    telling = unit.telling
    drafts: list[_Draft] = unit.info.pop(_DRAFTS)
    unit.flush()
    shown: dict[str, Mapping[str, Any]] = {}
    for draft in drafts:
        if draft.data is None and draft.subject not in shown:
            if telling is None:
                raise RuntimeError("units that tell of requests need a database that services use")
            shown[draft.subject] = telling.describe(unit, draft.subject)
    rows = []
    for draft in drafts:
        data = shown[draft.subject] if draft.data is None else draft.data
        if _is_news(unit, draft, data):
            rows.append(_row(draft, data))
    # One order for everybody: two units with the same occasions would wait for each other. Facts
    # without an occasion keep theirs.
    rows.sort(key=lambda row: row.occasion or "")
    written = [
        row.kind
        for row in rows
        if insert_or_ignore(unit, Notification, **row.model_dump(exclude={"number"}))
    ]
    if telling is not None and written:
        unit.after_commit(lambda: telling.announce(written))


def _is_news(unit: Unit, draft: _Draft, data: Mapping[str, Any]) -> bool:
    bucket = STANDING.get(draft.kind)
    if bucket is None:
        return True
    if not data["amounts"].get(bucket):
        return False
    # A release that Stripe refuses puts a request back where everybody believes it to be.
    return draft.kind is not Kind.HELD or _last_state(unit, draft.subject) is not Kind.HELD


def _last_state(unit: Unit, subject: str) -> Kind | None:
    statement = (
        select(Notification.kind)
        .where(col(Notification.subject) == subject, col(Notification.kind).in_(STATES))
        .order_by(col(Notification.number).desc())
        .limit(1)
    )
    found = unit.exec(statement).one_or_none()
    return None if found is None else Kind(found)


def _row(draft: _Draft, data: Mapping[str, Any]) -> Notification:
    payload: dict[str, Any] = {
        "type": draft.kind,
        "timestamp": draft.at.isoformat().replace("+00:00", "Z"),
        "data": dict(data),
        "why": draft.why,
        **(draft.more or {}),
    }
    if draft.data is None:
        payload["buyer_text"] = buyer_text(draft.kind, draft.amount)
    return Notification(
        id=mint("ntf", draft.at),
        kind=draft.kind,
        at=draft.at,
        subject=draft.subject,
        account=draft.account,
        mode=draft.mode,
        occasion=draft.occasion,
        payload=payload,
    )
