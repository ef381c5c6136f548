"""A refund request as the outside sees it: the one object that API, CLI and notifications share.

It may not decide anything or show what is not stored.
"""

from datetime import datetime
from typing import Final, TypedDict

from refunds.decision import Evaluation
from refunds.ids import RequestId
from refunds.lifecycle import SENT, Status
from store.charges import load_charge
from store.database import Unit
from store.ledger import amounts_of
from store.observations import refunds_of_request
from store.requests import evaluation_of, get_request, latest_evaluation
from store.tables.requests import EvaluationRow, RefundRequest

_STANDS_STILL: Final = frozenset({Status.REQUESTED, Status.HELD, Status.REVIEW, Status.REJECTED})
"""In these a request waits for something, or for somebody."""


class NeedView(TypedDict):
    """What the connected account must have; minor units of its settlement currency."""

    amount: int
    currency: str
    fx_buffer: int


class DecisionView(TypedDict):
    """The latest decision; `at` in seconds since 1970."""

    outcome: str
    rule: str
    why: str
    at: int


class RequestView(TypedDict):
    """The refund request object. Amounts in minor units, times in seconds since 1970."""

    id: str | None
    object: str
    created: int
    status: str
    livemode: bool
    mode: str
    payment_intent: str | None
    charge: str | None
    charge_type: str | None
    account: str | None
    amount: int | None
    currency: str | None
    amounts: dict[str, int]
    released_amount: int
    refunds: list[str]
    need: NeedView | None
    spendable: int | None
    shortfall: int | None
    decision: DecisionView | None
    next_steps: list[str]
    deadline: int | None
    eta: int | None
    eta_confidence: str | None
    reason: str | None
    metadata: dict[str, str]


def view_request(unit: Unit, request: RequestId | str) -> RequestView:
    """Return the request as it stands; raise `RequestNotFoundError`."""
    row = get_request(unit, request)
    charge = _charge_of(unit, row)
    amounts = amounts_of(unit, RequestId(row.id))
    decided = latest_evaluation(unit, row)
    evaluation = None if decided is None else evaluation_of(decided)
    need = None if evaluation is None else evaluation.need
    waits = row.status in (Status.REQUESTED, Status.HELD)
    eta = evaluation.eta if evaluation is not None and waits else None
    return RequestView(
        id=row.id,
        object="refund_request",
        created=_seconds(row.created),
        status=row.status,
        livemode=row.livemode,
        mode=row.mode,
        payment_intent=charge[0] or (row.payment if row.payment.startswith("pi_") else None),
        charge=row.charge_id,
        charge_type=charge[1],
        account=row.account,
        amount=row.amount_minor if row.amount_minor is not None else row.asked_minor,
        currency=row.currency,
        amounts={str(bucket): minor for bucket, minor in sorted(amounts.items())},
        released_amount=sum(minor for bucket, minor in amounts.items() if bucket in SENT),
        refunds=[refund.id for refund in refunds_of_request(unit, row.id)],
        need=None
        if need is None
        else NeedView(
            amount=need.amount_minor, currency=need.currency, fx_buffer=need.fx_buffer_minor
        ),
        spendable=None if evaluation is None else evaluation.spendable_minor,
        shortfall=None if evaluation is None else evaluation.shortfall_minor,
        decision=_decision(decided),
        next_steps=_next_steps(row, evaluation),
        deadline=_seconds(row.deadline) if row.charge_id is not None else None,
        eta=None if eta is None else _seconds(eta.at),
        eta_confidence=None if eta is None else eta.confidence,
        reason=row.reason,
        metadata={str(key): str(value) for key, value in row.meta.items()},
    )


def _charge_of(unit: Unit, row: RefundRequest) -> tuple[str | None, str | None]:
    """Return the payment intent and the charge type of a request, where they are known."""
    charge = None if row.charge_id is None else load_charge(unit, row.charge_id)
    return (None, None) if charge is None else (charge.payment_intent, charge.charge_type)


def _next_steps(row: RefundRequest, evaluation: Evaluation | None) -> list[str]:
    # A decision to release has no steps left once it was acted on; a rejection keeps its advice.
    if evaluation is None or row.status not in _STANDS_STILL:
        return []
    return list(evaluation.decision.next_steps)


def _decision(row: EvaluationRow | None) -> DecisionView | None:
    if row is None:
        return None
    return DecisionView(outcome=row.outcome, rule=row.rule, why=row.why, at=_seconds(row.at))


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
