"""What follows when Stripe refuses a call of a release, or is proved never to have made it.

It may not call Stripe; what was reversed already is handed to `handlers.give_back`.
"""

from datetime import datetime
from typing import assert_never

from handlers.disputed import heed_missed_news
from handlers.give_back import prepare_giving_back
from handlers.review import record_decision
from handlers.services import Services
from handlers.settle import finish_if_complete
from refunds.attempt import AttemptState, StepState
from refunds.decision import Decision, Outcome, Rule, decide
from refunds.ids import PLATFORM_LANE, AttemptId, LaneId, RequestId
from refunds.lifecycle import Bucket
from refunds.retry import REFUSED_BACKOFF, RetryAt
from refunds.steps import RefusalKind, Refused, StepKind
from store.attempts import close_reservations, settle_attempt, settle_step, steps_of
from store.charges import lock_charge
from store.database import Unit
from store.lanes import mark_due
from store.ledger import Because, amounts_of, move
from store.legs import owed_back
from store.requests import lock_request
from store.tables.attempts import AttemptStep, ReleaseAttempt, ReservationEnd


def settle_refusal(
    services: Services,
    unit: Unit,
    row: ReleaseAttempt,
    step: AttemptStep,
    refusal: Refused,
    now: datetime,
) -> None:
    """Take in that Stripe refused a call of a release, definitively.

    A reversal after its refund is only less taken back. What was reversed before the refund goes
    back to the accounts, and the buyer's refund comes before a person.
    """
    settle_step(unit, step, StepState.REFUSED, now)
    refund = next(s for s in steps_of(unit, row.id) if s.kind is StepKind.REFUND)
    if step.kind is StepKind.REVERSAL and refund.state is not StepState.PLANNED:
        finish_if_complete(unit, row, now, "release")
        return
    if anything_reversed(unit, row):
        undo_reversals(unit, row, AttemptState.REFUSED, _verdict(refusal), now, "release")
        return
    decision = _verdict(refusal)
    because = Because(at=now, cause="release", why=decision.why, attempt=AttemptId(row.id))
    request = lock_request(unit, row.request_id)
    if decision.outcome is Outcome.HOLD:
        put_back(unit, row, AttemptState.REFUSED, because)
        request.refusals += 1
        again = REFUSED_BACKOFF.after(request.refusals, now, services.jitter())
        assert isinstance(again, RetryAt), "held refunds are tried for as long as they are held"
        request.not_before = again.at
        unit.add(request)
        mark_due(unit, LaneId(row.lane), again.at, "retry")
    else:
        settle_attempt(unit, row, AttemptState.REFUSED, now)
        close_reservations(unit, row.id, ReservationEnd.FREED, now)
        move(unit, request, Bucket.RELEASING, Bucket.REVIEW, row.amount_minor, because)
        # What was kept for it is free, and should a dispute be over by now, it is on hold again.
        mark_due(unit, LaneId(row.lane), now, "refused")
    record_decision(unit, request, decision, now=now, cause="release")
    charge = lock_charge(unit, row.charge_id)
    assert charge is not None, "an attempt has its charge"
    heed_missed_news(unit, charge, request, since=row.prepared_at, now=now, cause="release")


def _verdict(refusal: Refused) -> Decision:
    said = f"Stripe refused it ({refusal.code or refusal.http_status}): {refusal.message}"
    match refusal.kind:
        case RefusalKind.INSUFFICIENT_FUNDS:
            return decide(Outcome.HOLD, Rule.STRIPE_SHORT, said)
        case RefusalKind.CHARGE_DISPUTED:
            return decide(Outcome.REVIEW, Rule.DISPUTED, said)
        case RefusalKind.ALREADY_REFUNDED:
            return decide(Outcome.REVIEW, Rule.ALREADY_REFUNDED, said)
        case RefusalKind.OTHER:
            return decide(Outcome.REVIEW, Rule.STRIPE_REFUSED, said)
        case _:
            assert_never(refusal.kind)


def anything_reversed(unit: Unit, attempt: ReleaseAttempt) -> bool:
    """Whether an attempt has reversed something for a refund that was not made yet."""
    return any(
        step.kind is StepKind.REVERSAL and step.state is StepState.DONE
        for step in steps_of(unit, attempt.id)
    )


def undo_reversals(
    unit: Unit,
    attempt: ReleaseAttempt,
    state: AttemptState,
    verdict: Decision,
    now: datetime,
    cause: str,
) -> None:
    """Settle an attempt that ended between its reversals and its refund: the accounts are given
    back what was taken, all of it or none of it was to be.
    """
    settle_attempt(unit, attempt, state, now)
    # What was reversed has left its balances; what was not is free a run later for it.
    close_reservations(unit, attempt.id, ReservationEnd.SPENT, now, besides=PLATFORM_LANE)
    close_reservations(unit, attempt.id, ReservationEnd.FREED, now)
    request = lock_request(unit, attempt.request_id)
    because = Because(at=now, cause=cause, why=verdict.why, attempt=AttemptId(attempt.id))
    if not amounts_of(unit, RequestId(request.id)).get(Bucket.REVERSED):
        move(unit, request, Bucket.RELEASING, Bucket.REVERSED, attempt.amount_minor, because)
    record_decision(unit, request, verdict, now=now, cause=cause)
    mark_due(unit, LaneId(attempt.lane), now, "refused")
    prepare_giving_back(unit, request, owed_back(unit, request.id), now, now)


def put_back(unit: Unit, attempt: ReleaseAttempt, state: AttemptState, because: Because) -> None:
    """Settle an attempt that paid no buyer and put its amount back on hold.

    What it has reversed is at hand for the next one.
    """
    settle_attempt(unit, attempt, state, because.at)
    close_reservations(unit, attempt.id, ReservationEnd.FREED, because.at)
    request = lock_request(unit, attempt.request_id)
    reversed_first = amounts_of(unit, RequestId(request.id)).get(Bucket.REVERSED)
    source = Bucket.REVERSED if reversed_first else Bucket.RELEASING
    move(unit, request, source, Bucket.HELD, attempt.amount_minor, because)
