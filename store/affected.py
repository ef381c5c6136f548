"""Whom a piece of news concerns: lanes with work, requests on an account, refunds of other hands.

It may not change anything, nor judge whether the news matters.
"""

from datetime import datetime

from sqlalchemy import or_, text
from sqlmodel import col, select

from refunds.blocks import CLOCKS_DIFFER
from refunds.decision import Rule
from refunds.facts import NOT_LIVE
from refunds.ids import AccountId, LaneId, RequestId, lane_of
from refunds.lifecycle import WAITING
from store.database import Unit
from store.tables.attempts import PREPARED_ONLY, ReleaseAttempt
from store.tables.lanes import Lane
from store.tables.legs import RequestLeg, Transfer
from store.tables.observations import Refund, RefundObservation
from store.tables.requests import (
    WAITING_ONLY,
    Charge,
    EvaluationRow,
    RefundRequest,
    RequestBucket,
)


def lane_has_work(unit: Unit, lane: LaneId) -> bool:
    """Whether requests wait in the lane, or an attempt there may put one back on hold.

    One statement: a request that moves from one to the other meanwhile is in either.
    """
    waits = (
        select(RequestBucket.request_id)
        .where(text(WAITING_ONLY), col(RequestBucket.lane) == lane)
        .exists()
    )
    attempted = (
        select(ReleaseAttempt.id)
        .where(text(PREPARED_ONLY), col(ReleaseAttempt.lane) == lane)
        .exists()
    )
    return bool(unit.exec(select(or_(waits, attempted))).one())


def lanes_short_of_platform(unit: Unit, after: LaneId | None, limit: int) -> list[LaneId]:
    """Return up to `limit` lanes, in order and after `after`, in which a request waits because the
    platform's own balance was short.
    """
    statement = (
        select(RequestBucket.lane)
        .join(RefundRequest, col(RefundRequest.id) == col(RequestBucket.request_id))
        .join(EvaluationRow, col(EvaluationRow.id) == col(RefundRequest.evaluation_id))
        .where(text(WAITING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.bucket).in_(WAITING))
        .where(col(EvaluationRow.rule) == Rule.PLATFORM_SHORT)
        .distinct()
        .order_by(col(RequestBucket.lane))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(RequestBucket.lane) > after)
    return [LaneId(lane) for lane in unit.exec(statement)]


def lanes_drawing_on(unit: Unit, account: AccountId, limit: int) -> list[LaneId]:
    """Return up to `limit` lanes in which requests wait that draw on this account as well as on
    their own.
    """
    statement = (
        select(RequestBucket.lane)
        .join(RequestLeg, col(RequestLeg.request_id) == col(RequestBucket.request_id))
        .where(text(WAITING_ONLY), col(RequestLeg.account) == account)
        .distinct()
        .order_by(col(RequestBucket.lane))
        .limit(limit)
    )
    return [LaneId(lane) for lane in unit.exec(statement)]


def accounts_behind(unit: Unit, charge: str) -> list[AccountId]:
    """Return the connected accounts that refunds of a payment draw on."""
    row = unit.get(Charge, charge)
    if row is not None and row.account is not None:
        return [AccountId(row.account)]
    statement = select(Transfer.account).where(col(Transfer.charge_id) == charge).distinct()
    return [AccountId(account) for account in unit.exec(statement.order_by(col(Transfer.account)))]


def lanes_of(unit: Unit, charge: str) -> list[LaneId]:
    """Return the lanes in which a payment's requests are, in order."""
    statement = select(RefundRequest.lane).where(col(RefundRequest.charge_id) == charge).distinct()
    return sorted(LaneId(lane) for lane in unit.exec(statement) if lane is not None)


def concerns_account(unit: Unit, account: AccountId) -> bool:
    """Whether a request draws on the account, or its lane was ever due."""
    requested = select(RefundRequest.id).where(col(RefundRequest.account) == account).exists()
    due = select(Lane.id).where(col(Lane.id) == lane_of(account)).exists()
    drawn = select(RequestLeg.request_id).where(col(RequestLeg.account) == account).exists()
    return bool(unit.exec(select(or_(requested, due, drawn))).one())


def waiting_on(
    unit: Unit, account: AccountId, after: RequestId | None, limit: int
) -> list[RequestId]:
    """Return up to `limit` requests, the oldest first and after `after`, that a run may take from
    this account without a person.
    """
    drawn = (
        select(RequestLeg.request_id)
        .where(col(RequestLeg.account) == account)
        .where(col(RequestLeg.request_id) == col(RequestBucket.request_id))
        .exists()
    )
    statement = (
        select(RequestBucket.request_id)
        .where(text(WAITING_ONLY), (col(RequestBucket.lane) == lane_of(account)) | drawn)
        .where(col(RequestBucket.bucket).in_(WAITING))
        .distinct()
        .order_by(col(RequestBucket.request_id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(RequestBucket.request_id) > after)
    return [RequestId(request) for request in unit.exec(statement)]


def unsent_in(unit: Unit, lane: LaneId, after: RequestId | None, limit: int) -> list[RequestId]:
    """Return up to `limit` requests of a lane, the oldest first and after `after`, of which
    something waits or lies in review.
    """
    statement = (
        select(RequestBucket.request_id)
        .where(text(WAITING_ONLY), col(RequestBucket.lane) == lane)
        .distinct()
        .order_by(col(RequestBucket.request_id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(RequestBucket.request_id) > after)
    return [RequestId(request) for request in unit.exec(statement)]


def refund_seen_since(
    unit: Unit, charge: str, since: datetime, approved_at: datetime | None = None
) -> Refund | None:
    """Return a refund of the charge by another hand that still counts and was not known before
    `since`, when a request was made that did not count it; nor by `approved_at`, when a person saw
    what was known of them and approved the request beside it.
    """
    known = col(RefundObservation.at) < since
    if approved_at is not None:
        known |= col(RefundObservation.at) <= approved_at
    earlier = (
        select(RefundObservation.refund_id)
        .where(col(RefundObservation.refund_id) == col(Refund.id))
        .where(known)
        .exists()
    )
    statement = (
        select(Refund)
        .where(col(Refund.charge_id) == charge, col(Refund.observed).is_(True))
        .where(col(Refund.status).not_in(NOT_LIVE), ~earlier)
        .where(col(Refund.created) >= since - CLOCKS_DIFFER)
        .order_by(col(Refund.id))
        .limit(1)
    )
    return unit.exec(statement).first()


def refunds_by_others_since(unit: Unit, charge: str, since: datetime) -> list[Refund]:
    """Return the refunds of the charge by another hand that still count and were made at or after
    `since`, by Stripe's clock, oldest first.
    """
    statement = (
        select(Refund)
        .where(col(Refund.charge_id) == charge, col(Refund.observed).is_(True))
        .where(col(Refund.status).not_in(NOT_LIVE), col(Refund.created) >= since)
        .order_by(col(Refund.created), col(Refund.id))
    )
    return list(unit.exec(statement))
