"""Puts requests before a person, with the reason, and stores decisions that facts forced on us.

It may not weigh balances; the release run and intake do.
"""

from dataclasses import replace
from datetime import datetime

import structlog

from refunds.blocks import counted_at_intake, stating_exposure
from refunds.decision import Decision, Outcome, Rule, decide, without_figures
from refunds.facts import RefundFacts, RefundStatus
from refunds.ids import ChargeId, RequestId
from refunds.lifecycle import WAITING, Bucket
from store.charges import load_charge, open_requests
from store.database import Unit
from store.ledger import Because, amounts_of, move
from store.observations import refunds_of_request
from store.requests import (
    evaluation_of,
    latest_evaluation,
    lock_request,
    record_evaluation,
    use_person_waiver,
)
from store.tables.ledger import SHADOW_CAUSE
from store.tables.requests import Mode, RefundRequest

_log = structlog.get_logger(__name__)


def record_decision(
    unit: Unit, request: RefundRequest, decision: Decision, *, now: datetime, cause: str
) -> None:
    """Store a decision that no balance was read for; the latest figures stay beside it."""
    latest = latest_evaluation(unit, request)
    evaluation = without_figures(decision)
    if latest is not None:
        known = evaluation_of(latest)
        charge = None if request.charge_id is None else load_charge(unit, request.charge_id)
        # Nobody can stand in for an account that the payment itself lives in.
        alone = charge is not None and charge.lives_in is None and len(known.shortfalls) <= 1
        told = stating_exposure(decision, known.need if alone else None)
        evaluation = replace(known, decision=told)
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


def question_charge(
    unit: Unit, facts: RefundFacts, charge: ChargeId, *, now: datetime, cause: str
) -> int:
    """Ask a person whether open requests of a locked charge and another hand's refund are the same
    wish; return how many requests that were.

    A release granted before the refund was known is void: its person didn't know either. A refund
    older than a request is none of its business: intake counted it.
    """
    decision = decide(
        Outcome.REVIEW,
        Rule.FOREIGN_REFUND,
        f"{facts.refund} over {facts.amount} was made on {charge} by another hand.",
    )
    asked = 0
    for each in open_requests(unit, charge):
        request = lock_request(unit, each.id)
        if counted_at_intake(facts.created, request.created):
            continue
        use_person_waiver(unit, request.id, now)
        if request.mode is Mode.SHADOW:
            asked += _end_shadow(unit, request, decision, now=now, cause=cause)
            continue
        if not send_to_review(unit, request, decision, now=now, cause=cause):
            if not waits_for_a_person(unit, request):
                continue
            record_decision(unit, request, decision, now=now, cause=cause)
        asked += 1
    return asked


def _end_shadow(
    unit: Unit, request: RefundRequest, decision: Decision, *, now: datetime, cause: str
) -> bool:
    """End a shadow request whose refund was made the platform's own way; return whether it waited.

    Its story is over, and nobody is to be asked about it: there is nothing it could pay twice.
    """
    send_to_review(unit, request, decision, now=now, cause=cause)
    amount_minor = amounts_of(unit, RequestId(request.id)).get(Bucket.REVIEW, 0)
    if not amount_minor:
        return False
    why = f"Shadow mode: a person would have been asked. {decision.why}"
    because = Because(at=now, cause=SHADOW_CAUSE, why=why)
    move(unit, request, Bucket.REVIEW, Bucket.CANCELED, amount_minor, because)
    return True


def waits_for_a_person(unit: Unit, request: RefundRequest) -> bool:
    """Whether it lies in review, and not because Stripe's refund of it waits for the buyer."""
    refunds = refunds_of_request(unit, request.id)
    if any(refund.status is RefundStatus.REQUIRES_ACTION for refund in refunds):
        return False
    return bool(amounts_of(unit, RequestId(request.id)).get(Bucket.REVIEW))


def send_charge_to_review(
    unit: Unit, charge: ChargeId, decision: Decision, *, now: datetime, cause: str
) -> int:
    """Send every waiting request of a locked charge to review; return how many there were."""
    return sum(
        send_to_review(unit, lock_request(unit, request.id), decision, now=now, cause=cause)
        for request in open_requests(unit, charge)
    )
