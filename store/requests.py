"""Refund requests, their evaluations and waivers: written once, listed by age, claimed when
waiting.

It may not move money between buckets; the ledger does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, text, update
from sqlmodel import col, select

from refunds.decision import Decision, Evaluation, Rule
from refunds.errors import RequestNotFoundError
from refunds.eta import Eta
from refunds.ids import LaneId, RequestId, RunId
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency, Money
from refunds.need import Need
from refunds.notifications import Kind
from store.database import Unit
from store.outbox import tell_of_deadline
from store.tables.requests import (
    UNDECIDED_ONLY,
    WAITING_ONLY,
    Charge,
    EvaluationRow,
    Mode,
    RefundRequest,
    RequestBucket,
    Waiver,
)
from store.upsert import insert_or_ignore

RUN_LIMIT: Final = 2_000
"""Most requests one run looks at, oldest first; later ones wait until these have left."""
LIST_LIMIT: Final = 100

# Built once: building a statement takes longer than running it.
_LOCKED: Final = (
    select(RefundRequest)
    .where(col(RefundRequest.id) == bindparam("request"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_WAIVERS: Final = (
    select(Waiver).where(col(Waiver.request_id) == bindparam("request")).order_by(col(Waiver.id))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request that waits in a lane, with its charge and what it has in which waiting bucket."""

    request: RefundRequest
    charge: Charge
    bucket: Bucket
    amount_minor: int
    latest: Evaluation | None
    """The decision stored last."""


def add_request(unit: Unit, request: RefundRequest) -> bool:
    """Store a new request; return whether its idempotency key was free."""
    return insert_or_ignore(unit, RefundRequest, **request.model_dump())


def get_request(unit: Unit, request: RequestId | str) -> RefundRequest:
    """Return a request; raise `RequestNotFoundError`."""
    row = unit.get(RefundRequest, request)
    if row is None:
        raise RequestNotFoundError(request)
    return row


def lock_request(unit: Unit, request: RequestId | str) -> RefundRequest:
    """Return a request, its row locked until the unit ends; raise `RequestNotFoundError`."""
    row = unit.exec(_LOCKED, params={"request": request}).one_or_none()
    if row is None:
        raise RequestNotFoundError(request)
    return row


def find_by_key(unit: Unit, idempotency_key: str) -> RefundRequest | None:
    """Return the request recorded under an idempotency key."""
    statement = select(RefundRequest).where(col(RefundRequest.idempotency_key) == idempotency_key)
    return unit.exec(statement).one_or_none()


def list_requests(
    unit: Unit,
    *,
    status: Status | None = None,
    account: str | None = None,
    before: RequestId | None = None,
    after: RequestId | None = None,
    limit: int = LIST_LIMIT,
) -> list[RefundRequest]:
    """Return requests, the newest first: the newest older than `before`, or with `after` the oldest
    newer than that.
    """
    id_ = col(RefundRequest.id)
    statement = select(RefundRequest).order_by(id_.desc() if after is None else id_.asc())
    if status is not None:
        statement = statement.where(col(RefundRequest.status) == status)
    if account is not None:
        statement = statement.where(col(RefundRequest.account) == account)
    if before is not None:
        statement = statement.where(id_ < before)
    if after is not None:
        statement = statement.where(id_ > after)
    rows = list(unit.exec(statement.limit(limit)))
    return rows if after is None else rows[::-1]


def waiting_in(unit: Unit, lane: LaneId, mode: Mode, now: datetime) -> list[Waiting]:
    """Return what a run may take: requested and held requests, and reviewed ones a person released.

    Oldest first, at most `RUN_LIMIT`.
    """
    released = (
        select(Waiver.request_id)
        .where(col(Waiver.request_id) == col(RequestBucket.request_id))
        .where(col(Waiver.rule) == Rule.PERSON, col(Waiver.used_at).is_(None))
        .exists()
    )
    statement = (
        select(RefundRequest, Charge, RequestBucket, EvaluationRow)
        .join(RequestBucket, col(RefundRequest.id) == col(RequestBucket.request_id))
        .join(
            EvaluationRow, col(EvaluationRow.id) == col(RefundRequest.evaluation_id), isouter=True
        )
        .join(Charge, col(Charge.id) == col(RefundRequest.charge_id))
        .where(text(WAITING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.lane) == lane, col(RefundRequest.mode) == mode)
        .where((col(RequestBucket.bucket) != Bucket.REVIEW) | released)
        .where(col(RefundRequest.not_before).is_(None) | (col(RefundRequest.not_before) <= now))
        .order_by(col(RequestBucket.request_id))
        .limit(RUN_LIMIT)
    )
    return [
        Waiting(
            request=request,
            charge=charge,
            bucket=bucket.bucket,
            amount_minor=bucket.amount_minor,
            latest=_evaluation_or_none(latest),
        )
        for request, charge, bucket, latest in unit.exec(statement)
    ]


def next_wake(unit: Unit, lane: LaneId, mode: Mode, now: datetime) -> datetime | None:
    """Return when the lane's next postponed request of this mode may be taken again."""
    statement = (
        select(RefundRequest.not_before)
        .join(RequestBucket, col(RefundRequest.id) == col(RequestBucket.request_id))
        .where(text(WAITING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.lane) == lane, col(RefundRequest.mode) == mode)
        .where(col(RefundRequest.not_before) > now)
        .order_by(col(RefundRequest.not_before))
        .limit(1)
    )
    return unit.exec(statement).one_or_none()


def claim_undecided(
    unit: Unit, now: datetime, retry_at: datetime, mode: Mode = Mode.LIVE
) -> tuple[RequestId, int] | None:
    """Take one request that Stripe could not be asked about yet; it is due again at `retry_at`."""
    statement = (
        select(RefundRequest)
        .where(text(UNDECIDED_ONLY), col(RefundRequest.decide_after) <= now)
        .where(col(RefundRequest.mode) == mode)
        .order_by(col(RefundRequest.decide_after))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = unit.exec(statement).first()
    if row is None:
        return None
    row.decide_after = retry_at
    row.decide_attempts += 1
    unit.add(row)
    return RequestId(row.id), row.decide_attempts


def record_evaluation(
    unit: Unit,
    request: RefundRequest,
    evaluation: Evaluation,
    *,
    at: datetime,
    cause: str,
    inputs: Mapping[str, Any],
    run: RunId | None = None,
) -> None:
    """Store a decision as the request's latest, unless it says what the latest one said already.

    A sweep over unchanged figures would otherwise add a row per request and minute for ever.
    """
    latest = latest_evaluation(unit, request)
    if latest is not None and evaluation_of(latest) == evaluation:
        return
    need = evaluation.need
    row = EvaluationRow(
        request_id=request.id,
        run_id=run,
        at=at,
        cause=cause,
        outcome=evaluation.decision.outcome,
        rule=evaluation.decision.rule,
        why=evaluation.decision.why,
        need_minor=need.amount_minor if need else None,
        need_currency=need.currency if need else None,
        fx_buffer_minor=need.fx_buffer_minor if need else None,
        spendable_minor=evaluation.spendable_minor,
        shortfall_minor=evaluation.shortfall_minor,
        eta_at=evaluation.eta.at if evaluation.eta else None,
        eta_confidence=evaluation.eta.confidence if evaluation.eta else None,
        inputs=dict(inputs),
    )
    unit.add(row)
    unit.flush()
    request.evaluation_id = row.id
    unit.add(request)
    if evaluation.decision.rule is Rule.DEADLINE:
        tell_of_deadline(unit, Kind.DEADLINE_PASSED, request, at=at, why=row.why)


def latest_evaluation(unit: Unit, request: RefundRequest) -> EvaluationRow | None:
    """Return the request's latest decision."""
    if request.evaluation_id is None:
        return None
    return unit.get(EvaluationRow, request.evaluation_id)


def evaluations_of(unit: Unit, request: RequestId, limit: int = 1_000) -> list[EvaluationRow]:
    """Return a request's decisions in the order they were made."""
    statement = select(EvaluationRow).where(col(EvaluationRow.request_id) == request)
    return list(unit.exec(statement.order_by(col(EvaluationRow.id)).limit(limit)))


def evaluation_of(row: EvaluationRow) -> Evaluation:
    """Return a stored decision as a value."""
    need = None
    if row.need_minor is not None and row.need_currency is not None:
        need = Need(
            amount_minor=row.need_minor,
            currency=Currency(row.need_currency),
            fx_buffer_minor=row.fx_buffer_minor or 0,
        )
    eta = None
    if row.eta_at is not None and row.eta_confidence is not None:
        eta = Eta(at=row.eta_at, confidence=row.eta_confidence)
    return Evaluation(
        decision=Decision(outcome=row.outcome, rule=row.rule, why=row.why),
        need=need,
        spendable_minor=row.spendable_minor,
        shortfall_minor=row.shortfall_minor,
        eta=eta,
    )


def count_skipped(unit: Unit, requests: list[RequestId]) -> None:
    """Note that a younger request of the lane was released past these; locks them by id."""
    ordered = sorted(requests)
    for start in range(0, len(ordered), 500):
        batch = ordered[start : start + 500]
        # An UPDATE of many rows locks them as it finds them, others lock by id.
        locked = select(RefundRequest.id).where(col(RefundRequest.id).in_(batch))
        unit.exec(locked.order_by(col(RefundRequest.id)).with_for_update()).all()
        unit.exec(
            update(RefundRequest)
            .where(col(RefundRequest.id).in_(batch))
            .values(skipped_runs=col(RefundRequest.skipped_runs) + 1)
        )


def add_waiver(
    unit: Unit,
    request: RefundRequest,
    rule: Rule,
    amount: Money,
    *,
    actor: str,
    note: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> None:
    """Store a person's permission; without `expires_at` it holds for good."""
    unit.add(
        Waiver(
            request_id=request.id,
            rule=rule,
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            actor=actor,
            note=note,
            created=now,
            expires_at=expires_at,
        )
    )


def waivers_of(unit: Unit, request: RequestId | str) -> list[Waiver]:
    """Return every waiver of a request, used ones included, oldest first."""
    return list(unit.exec(_WAIVERS, params={"request": request}))


def waived_rules(unit: Unit, request: RequestId | str, now: datetime) -> frozenset[Rule]:
    """Return the rules a person has waived for this request and that still hold."""
    return frozenset(
        waiver.rule
        for waiver in waivers_of(unit, request)
        if waiver.used_at is None and (waiver.expires_at is None or waiver.expires_at > now)
    )


def use_person_waiver(unit: Unit, request: RequestId | str, now: datetime) -> None:
    """Mark a person's release as used: it is good for one attempt."""
    unit.exec(
        update(Waiver)
        .where(col(Waiver.request_id) == request, col(Waiver.rule) == Rule.PERSON)
        .where(col(Waiver.used_at).is_(None))
        .values(used_at=now)
    )


def _evaluation_or_none(row: EvaluationRow | None) -> Evaluation | None:
    # An outer join's missing side is None, which the row's type doesn't say.
    return None if row is None else evaluation_of(row)
