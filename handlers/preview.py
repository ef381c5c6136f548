"""What a refund request would become if it were made now: the same object, nothing recorded.

It may not write a row; intake decides again when the wish really comes.
"""

from datetime import datetime
from typing import Final

from gateway.port import UnavailableError
from handlers.assess import Assessment, assess
from handlers.services import Services
from handlers.view import SHADOW_STEP, DecisionView, NeedView, RequestView
from refunds.decision import Decision, Outcome
from refunds.errors import PaymentNotFoundError, RequestOpenError
from refunds.lifecycle import Status
from refunds.wish import Wish, check_wish
from store.charges import open_requests
from store.tables.requests import Mode

_KEY: Final = "preview"
"""Stands for the idempotency key, which a preview has no use for."""

_STATUSES: Final = {
    Outcome.RELEASE: Status.REQUESTED,
    Outcome.HOLD: Status.HELD,
    Outcome.REVIEW: Status.REVIEW,
    Outcome.REJECT: Status.REJECTED,
}
"""What intake would make of it; the amount would lie in the bucket of that name."""


def preview(services: Services, wish: Wish) -> RequestView:
    """Return the request as intake would record it now, without an id.

    Raise what intake raises for a wish that can't be recorded, and the gateway's `UnavailableError`
    where Stripe could not be asked.
    """
    check_wish(wish, _KEY)
    try:
        assessment = assess(services, wish)
    except UnavailableError as error:
        denied = error.account if error.denied_in_account else None
        if denied is not None and denied == wish.account:
            raise PaymentNotFoundError.out_of_sight(denied) from error
        raise
    charge = assessment.charge
    with services.database.reading() as unit:
        others = open_requests(unit, charge.charge, services.mode)
    if others and not wish.additional:
        raise RequestOpenError(charge.charge, others[0].id)
    return _view(services, wish, assessment, services.clock())


def _next_steps(mode: Mode, decision: Decision) -> list[str]:
    if mode is Mode.SHADOW and decision.outcome is Outcome.RELEASE:
        return [SHADOW_STEP]
    return list(decision.next_steps)


def _view(services: Services, wish: Wish, assessment: Assessment, now: datetime) -> RequestView:
    charge, evaluation = assessment.charge, assessment.evaluation
    decision, need = evaluation.decision, evaluation.need
    status, eta = _STATUSES[decision.outcome], evaluation.eta
    return RequestView(
        id=None,
        object="refund_request",
        created=int(now.timestamp()),
        status=status,
        livemode=charge.livemode,
        mode=services.mode,
        payment_intent=charge.payment_intent,
        charge=charge.charge,
        charge_type=charge.charge_type,
        account=assessment.account,
        amount=assessment.amount.amount_minor,
        currency=assessment.amount.currency,
        amounts={str(status): assessment.amount.amount_minor},
        released_amount=0,
        refunds=[],
        need=None
        if need is None
        else NeedView(
            amount=need.amount_minor, currency=need.currency, fx_buffer=need.fx_buffer_minor
        ),
        spendable=evaluation.spendable_minor,
        shortfall=evaluation.shortfall_minor,
        decision=DecisionView(
            outcome=decision.outcome,
            rule=decision.rule,
            why=decision.why,
            at=int(now.timestamp()),
        ),
        next_steps=_next_steps(services.mode, decision),
        deadline=int((now + assessment.policy.hold_for).timestamp()),
        eta=None if eta is None else int(eta.at.timestamp()),
        eta_confidence=None if eta is None else eta.confidence,
        reason=wish.reason,
        metadata=dict(wish.metadata),
    )
