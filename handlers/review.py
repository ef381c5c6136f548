"""Puts requests before a person, with the reason, and stores decisions that facts forced on us.

It may not weigh balances; the release run and intake do.
"""

from dataclasses import replace
from datetime import datetime

import structlog

from refunds.decision import Decision, Evaluation
from refunds.ids import ChargeId, RequestId
from refunds.lifecycle import WAITING, Bucket
from store.charges import open_requests
from store.database import Unit
from store.ledger import Because, amounts_of, move
from store.requests import evaluation_of, latest_evaluation, lock_request, record_evaluation
from store.tables.requests import RefundRequest

_log = structlog.get_logger(__name__)


def record_decision(
    unit: Unit, request: RefundRequest, decision: Decision, *, now: datetime, cause: str
) -> None:
    """Store a decision that no balance was read for; the latest figures stay beside it."""
    latest = latest_evaluation(unit, request)
    evaluation = (
        Evaluation(decision=decision, need=None, spendable_minor=None, shortfall_minor=None)
        if latest is None
        else replace(evaluation_of(latest), decision=decision)
    )
    record_evaluation(unit, request, evaluation, at=now, cause=cause, inputs={})


def send_to_review(
    unit: Unit,
    request: RefundRequest,
    decision: Decision,
    *,
    now: datetime,
    cause: str,
    actor: str = "sluice",
) -> bool:
    """Move what waits of a locked request to review; return whether anything did.

    What is being released can't be called back; its own outcome decides.
    """
    because = Because(at=now, cause=cause, why=decision.why, actor=actor)
    moved = False
    for bucket, amount_minor in amounts_of(unit, RequestId(request.id)).items():
        if bucket in WAITING:
            move(unit, request, bucket, Bucket.REVIEW, amount_minor, because)
            moved = True
    if moved:
        record_decision(unit, request, decision, now=now, cause=cause)
        _log.info("request.review", request=request.id, rule=decision.rule, cause=cause)
    return moved


def send_charge_to_review(
    unit: Unit, charge: ChargeId, decision: Decision, *, now: datetime, cause: str
) -> int:
    """Send every waiting request of a locked charge to review; return how many there were."""
    return sum(
        send_to_review(unit, lock_request(unit, request.id), decision, now=now, cause=cause)
        for request in open_requests(unit, charge)
    )
