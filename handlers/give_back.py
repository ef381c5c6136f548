"""Gives connected accounts back what was reversed for a refund that came to nothing.

It may not call Stripe: it prepares transfers, which a worker carries out like any attempt, and says
what follows once they are done or refused.
"""

from datetime import datetime

import structlog

from handlers.review import record_decision
from handlers.services import Services
from refunds.attempt import AttemptState, Purpose, StepState, plan_giving_back
from refunds.decision import Outcome, Rule, decide
from refunds.facts import TransferFacts
from refunds.ids import PLATFORM_LANE, AccountId, AttemptId, RequestId, TransferId, mint
from refunds.lifecycle import Bucket
from refunds.money import Currency, Money
from refunds.retry import REFUSED_BACKOFF, RetryAt
from refunds.steps import RefusalKind, Refused
from store.attempts import (
    add_attempt,
    attempts_of,
    close_reservations,
    lock_purses,
    settle_attempt,
    settle_step,
    steps_of,
)
from store.database import Unit
from store.ledger import Because, amounts_of, move, move_along
from store.legs import owed_back, replace_transfer
from store.parts import under_way
from store.requests import lock_request
from store.tables.attempts import AttemptStep, ReleaseAttempt, ReservationEnd
from store.tables.requests import RefundRequest

_log = structlog.get_logger(__name__)


def prepare_giving_back(unit: Unit, request: RefundRequest, now: datetime, at: datetime) -> bool:
    """Prepare the transfers that a locked request owes, to be made at `at`; return whether it owes
    any.

    Locks purses: the caller has marked its lanes before.
    """
    owed = owed_back(unit, request.id)
    if not owed or under_way(unit, request.id):
        return False
    latest = attempts_of(unit, request.id)[-1]
    lock_purses(unit, [(PLATFORM_LANE, each.amount.currency) for each in owed])
    attempt = AttemptId(mint("ra", now))
    sums: dict[Currency, Money] = {}
    for each in owed:
        known = sums.get(each.amount.currency)
        sums[each.amount.currency] = each.amount if known is None else known + each.amount
    add_attempt(
        unit,
        ReleaseAttempt(
            id=attempt,
            request_id=request.id,
            run_id=latest.run_id,
            charge_id=latest.charge_id,
            lane=latest.lane,
            amount_minor=latest.amount_minor,
            currency=latest.currency,
            purpose=Purpose.COMPENSATION,
            prepared_at=now,
            next_try_at=at,
        ),
        plan_giving_back(RequestId(request.id), attempt, owed),
        [(PLATFORM_LANE, amount) for amount in sums.values()],
    )
    _log.warning("compensation.prepared", attempt=attempt, request=request.id, transfers=len(owed))
    return True


def note_given_back(unit: Unit, attempt: ReleaseAttempt, step: AttemptStep) -> None:
    """Take in a transfer that was made: a further try takes its money from there."""
    assert step.object_id is not None, "what was made has an id"
    assert step.target is not None, "it makes up for a transfer's reversal"
    made = TransferFacts(
        transfer=TransferId(step.object_id),
        account=AccountId(str(step.params["destination"])),
        amount=Money(int(step.params["amount"]), Currency(str(step.params["currency"]))),
        reversed_minor=0,
        settlement=None,
    )
    replace_transfer(unit, attempt.request_id, made, step.target, attempt.charge_id)


def finish_giving_back(unit: Unit, attempt: ReleaseAttempt, now: datetime, cause: str) -> None:
    """Settle a compensation whose transfers were all made: the buyer is still owed."""
    if any(step.state is StepState.PLANNED for step in steps_of(unit, attempt.id)):
        return
    settle_attempt(unit, attempt, AttemptState.DONE, now)
    close_reservations(unit, attempt.id, ReservationEnd.SPENT, now)
    request = lock_request(unit, attempt.request_id)
    reversed_minor = amounts_of(unit, RequestId(request.id)).get(Bucket.REVERSED, 0)
    if not reversed_minor:
        return
    why = "What was reversed was given back to the accounts; the buyer has not been paid."
    because = Because(at=now, cause=cause, why=why, attempt=AttemptId(attempt.id))
    path = (Bucket.REVERSED, Bucket.COMPENSATED, Bucket.REVIEW)
    move_along(unit, request, path, reversed_minor, because)
    record_decision(
        unit, request, decide(Outcome.REVIEW, Rule.COMPENSATED, why), now=now, cause=cause
    )


def refuse_giving_back(
    services: Services,
    unit: Unit,
    attempt: ReleaseAttempt,
    step: AttemptStep,
    refusal: Refused,
    now: datetime,
) -> None:
    """Take in that Stripe refused a transfer: want of money passes, anything else is a person's."""
    settle_step(unit, step, StepState.REFUSED, now)
    settle_attempt(unit, attempt, AttemptState.REFUSED, now)
    close_reservations(unit, attempt.id, ReservationEnd.FREED, now)
    request = lock_request(unit, attempt.request_id)
    if refusal.kind is RefusalKind.INSUFFICIENT_FUNDS:
        made = sum(a.purpose is Purpose.COMPENSATION for a in attempts_of(unit, request.id))
        again = REFUSED_BACKOFF.after(made, now, services.jitter())
        assert isinstance(again, RetryAt), "what accounts are owed is never given up"
        prepare_giving_back(unit, request, now, again.at)
        return
    why = f"Stripe refused to give it back ({refusal.code or refusal.http_status}): "
    decision = decide(Outcome.REVIEW, Rule.NOT_GIVEN_BACK, why + refusal.message)
    _log.error("compensation.refused", attempt=attempt.id, request=request.id, code=refusal.code)
    reversed_minor = amounts_of(unit, RequestId(request.id)).get(Bucket.REVERSED, 0)
    if reversed_minor:
        because = Because(at=now, cause="release", why=decision.why, attempt=AttemptId(attempt.id))
        move(unit, request, Bucket.REVERSED, Bucket.REVIEW, reversed_minor, because)
    record_decision(unit, request, decision, now=now, cause="release")
