"""Makes the calls of a prepared attempt, one by one, and settles what each brought.

It may not prepare one: the intent, its keys and parameters are committed before this begins.
"""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

import structlog

from handlers import circuit
from handlers.give_back import note_given_back, refuse_giving_back
from handlers.refused import settle_refusal
from handlers.services import Services
from handlers.settle import apply_refund, buyer_is_paid, finish_if_complete, step_is_done
from refunds.attempt import KEY_FORGOTTEN_AFTER, AttemptState, Purpose, StepState
from refunds.facts import RefundFacts, ReversalFacts, SentFacts
from refunds.ids import AccountId, AttemptId
from refunds.retry import UNSETTLED_BACKOFF, RetryAt
from refunds.steps import (
    Done,
    RefusalKind,
    Refused,
    StepKind,
    StepOutcome,
    StripeCall,
    Unknown,
    outcome_word,
)
from store.attempts import (
    add_call,
    call_of,
    get_attempt,
    lock_attempt,
    postpone_attempt,
    renew_attempt,
    settle_made,
    settle_step,
    steps_of,
)
from store.charges import lock_charge
from store.database import Unit
from store.tables.attempts import AttemptStep, ReleaseAttempt, StepCallRow

_log = structlog.get_logger(__name__)


class Carried(StrEnum):
    """How far an attempt got."""

    SETTLED = "settled"
    SHORT = "short"
    """Stripe refused for want of money: our figures are out of date."""
    UNKNOWN = "unknown"


def carry_out(services: Services, attempt: AttemptId, fence: int) -> Carried:
    """Make every call of the attempt that has no outcome yet, in order.

    Raise `LeaseLostError` where another worker has taken the attempt over.
    """
    while True:
        following = _next_step(services, attempt, fence)
        if isinstance(following, Carried):
            return following
        ordinal, call = following
        outcome = services.gateway.execute(call)
        _note_health(services, call.account, outcome)
        explained = settle_outcome(services, attempt, ordinal, outcome)
        match outcome:
            case Done() if not explained:
                return Carried.UNKNOWN
            case Unknown():
                return Carried.UNKNOWN
            case Refused(kind=RefusalKind.INSUFFICIENT_FUNDS) if call.kind is not StepKind.TRANSFER:
                return Carried.SHORT
            case Done() | Refused():
                continue
            case _:
                assert_never(outcome)


def settle_outcome(
    services: Services, attempt: AttemptId, ordinal: int, outcome: StepOutcome
) -> bool:
    """Commit what is known of one step after its call, whoever made it; return whether what came
    back is the step's.

    Safe to repeat: a step that has its outcome is left alone. One that Stripe calls done with an
    object that is not what was asked for stays without an outcome, and waits for its next try.
    """
    explained = True
    now = services.clock()
    with services.database.unit_of_work() as unit:
        row = _lock_in_order(unit, attempt)
        add_call(unit, _call_row(attempt, ordinal, outcome, now))
        match outcome:
            case Done(object=done):
                _settle_done(unit, row, ordinal, done, now)
                explained = _planned(unit, attempt, ordinal) is None
                if not explained:
                    postpone_unexplained(services, unit, row, now)
            case Refused():
                _refuse(services, unit, row, ordinal, outcome, now)
            case Unknown():
                until = _retry_time(services, row.tries + 1, outcome, now)
                postpone_attempt(unit, attempt, until, outcome.trouble)
            case _:
                assert_never(outcome)
    _log.info("attempt.step", attempt=attempt, ordinal=ordinal, outcome=outcome_word(outcome))
    return explained


def postpone_unexplained(
    services: Services, unit: Unit, row: ReleaseAttempt, now: datetime
) -> None:
    """Note that Stripe has something under the attempt's name that is not what it asked for."""
    again = UNSETTLED_BACKOFF.after(row.tries + 1, now, services.jitter())
    assert isinstance(again, RetryAt), "an unknown outcome is never given up"
    postpone_attempt(unit, AttemptId(row.id), again.at, "unexplained")
    _log.error("attempt.unexplained", attempt=row.id, request=row.request_id, charge=row.charge_id)


def _settle_done(
    unit: Unit,
    row: ReleaseAttempt,
    ordinal: int,
    done: RefundFacts | ReversalFacts | SentFacts,
    now: datetime,
) -> None:
    if isinstance(done, RefundFacts):
        apply_refund(unit, done, now=now, cause="release", attempt=AttemptId(row.id))
        return
    step = _planned(unit, AttemptId(row.id), ordinal)
    if step is None:
        return
    settle_made(unit, step, done, now)
    if step.kind is StepKind.TRANSFER:
        note_given_back(unit, row, step)
    step_is_done(unit, row, now, "release")


def _next_step(
    services: Services, attempt: AttemptId, fence: int
) -> tuple[int, StripeCall] | Carried:
    with services.database.unit_of_work() as unit:
        steps = steps_of(unit, attempt)
        planned = [step for step in steps if step.state is StepState.PLANNED]
        if not planned:
            return Carried.SETTLED
        row = lock_attempt(unit, attempt)
        assert row is not None, "a claimed attempt exists"
        if row.state is not AttemptState.PREPARED:
            return Carried.SETTLED
        now = services.clock()
        renew_attempt(unit, attempt, fence, now)
        paid_first = any(
            step.kind is StepKind.REFUND and step.state is not StepState.PLANNED for step in steps
        )
        if planned[0].kind is StepKind.REVERSAL and paid_first and not buyer_is_paid(unit, attempt):
            return _withhold(unit, row, planned[0], now)
        return planned[0].ordinal, call_of(planned[0])


def _withhold(unit: Unit, row: ReleaseAttempt, reversal: AttemptStep, now: datetime) -> Carried:
    """Leave a reversal unsent: its refund failed, and the account owes nothing for it."""
    _log.warning("attempt.reversal_withheld", attempt=row.id, request=row.request_id)
    if row.fence == 0:
        # Nobody but the run that prepared it has had it, and that one has not come this far yet.
        settle_step(unit, reversal, StepState.NEVER_EXECUTED, now)
        finish_if_complete(unit, row, now, "release")
        return Carried.SETTLED
    # A caller that died may have sent it. Stripe's list says so once nothing can be under way.
    until = row.prepared_at + KEY_FORGOTTEN_AFTER
    postpone_attempt(unit, AttemptId(row.id), until, "refund_failed")
    return Carried.UNKNOWN


def _lock_in_order(unit: Unit, attempt: AttemptId) -> ReleaseAttempt:
    # Charge before attempt, as everybody locks them, or two workers wait for each other.
    unlocked = get_attempt(unit, attempt)
    assert unlocked is not None, "an attempt row is never deleted"
    lock_charge(unit, unlocked.charge_id)
    row = lock_attempt(unit, attempt)
    assert row is not None, "an attempt row is never deleted"
    return row


def _planned(unit: Unit, attempt: AttemptId, ordinal: int) -> AttemptStep | None:
    step = steps_of(unit, attempt)[ordinal - 1]
    return step if step.state is StepState.PLANNED else None


def _refuse(
    services: Services,
    unit: Unit,
    row: ReleaseAttempt,
    ordinal: int,
    refusal: Refused,
    now: datetime,
) -> None:
    step = _planned(unit, AttemptId(row.id), ordinal)
    if step is None or row.state is not AttemptState.PREPARED:
        return
    if row.purpose is Purpose.COMPENSATION:
        refuse_giving_back(services, unit, row, step, refusal, now)
    else:
        settle_refusal(services, unit, row, step, refusal, now)


def _retry_time(services: Services, tries: int, outcome: Unknown, now: datetime) -> datetime:
    again = UNSETTLED_BACKOFF.after(tries, now, services.jitter())
    assert isinstance(again, RetryAt), "an unknown outcome is never given up"
    asked = outcome.retry_after_seconds or 0
    return max(again.at, now + UNSETTLED_BACKOFF.capped(asked))


def _note_health(services: Services, account: AccountId | None, outcome: StepOutcome) -> None:
    # The account the call was made in, not the one whose money it is about: a refund is the
    # platform's own call, and says nothing about the platform's access to an account.
    if isinstance(outcome, Unknown):
        # A stored 500 comes again for a day; it must not open the circuit to a healthy Stripe.
        if not outcome.replayed:
            circuit.note_trouble(services, account, outcome.trouble)
    else:
        circuit.note_success(services, account)


def _call_row(attempt: AttemptId, ordinal: int, outcome: StepOutcome, now: datetime) -> StepCallRow:
    status: int | None
    match outcome:
        case Done(object=done):
            status = 200
            message: str = _id_of(done)
            if outcome.replayed:
                message = f"{message} (replayed)"
        case Refused() | Unknown():
            status, message = outcome.http_status, outcome.message
        case _:
            assert_never(outcome)
    return StepCallRow(
        attempt_id=attempt,
        ordinal=ordinal,
        at=now,
        outcome=outcome_word(outcome),
        http_status=status,
        stripe_request=outcome.stripe_request,
        message=message[:500],
    )


def _id_of(done: RefundFacts | ReversalFacts | SentFacts) -> str:
    match done:
        case RefundFacts():
            return done.refund
        case ReversalFacts():
            return done.reversal
        case SentFacts():
            return done.transfer
        case _:
            assert_never(done)
