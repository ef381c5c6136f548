"""Finds out what became of attempts whose outcome nobody committed: crashes, timeouts, silence.

It may not take a new key or conclude from silence: the same key while Stripe knows it, a full list
of the payment's refunds once it can't.
"""

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.carry_out import carry_out, postpone_unexplained, put_back
from handlers.disputed import heed_missed_news
from handlers.due import promise_ended
from handlers.review import record_decision
from handlers.services import Services
from handlers.settle import apply_refund, finish_if_complete
from refunds.attempt import (
    KEY_FORGOTTEN_AFTER,
    AttemptState,
    Recovery,
    StepState,
    how_to_recover,
)
from refunds.decision import Outcome, Rule, decide
from refunds.errors import LeaseLostError
from refunds.facts import METADATA_ATTEMPT
from refunds.ids import AccountId, AttemptId, ChargeId, LaneId, TransferId
from refunds.retry import UNSETTLED_BACKOFF, RetryAt
from refunds.steps import StepKind, Trouble
from store.attempts import (
    call_of,
    claim_unsettled,
    get_attempt,
    lock_attempt,
    postpone_attempt,
    settle_step,
    steps_of,
)
from store.charges import load_charge, lock_charge
from store.database import Unit
from store.lanes import mark_due
from store.ledger import Because
from store.requests import lock_request
from store.tables.attempts import ReleaseAttempt
from store.tables.requests import Mode

_log = structlog.get_logger(__name__)


def recover_due_attempt(services: Services) -> bool:
    """Look after the attempt that has been without an outcome longest; return whether one was
    due.
    """
    if services.mode is not Mode.LIVE:
        # Left from when this installation was live. Asking Stripe again would move money.
        return False
    with services.database.unit_of_work() as unit:
        now = services.clock()
        claimed = claim_unsettled(unit, services.worker, now)
        row = None if claimed is None else get_attempt(unit, claimed[0])
        account = None if claimed is None else _asked_in(unit, claimed[0])
    if claimed is None or row is None:
        return False
    attempt, fence = claimed
    wait_until = circuit.closed_until(services, account)
    recovery = how_to_recover(row.prepared_at, now)
    if recovery is Recovery.WAIT:
        wait_until = row.prepared_at + KEY_FORGOTTEN_AFTER
    if wait_until is not None:
        with services.database.unit_of_work() as unit:
            postpone_attempt(unit, attempt, wait_until, row.last_trouble or "waiting")
        return True
    _log.info("attempt.recovering", attempt=attempt, how=recovery, tries=row.tries)
    try:
        if recovery is Recovery.SEND_AGAIN:
            carry_out(services, attempt, fence)
        else:
            _look(services, row)
        _wake_who_waits(services, row)
    except LeaseLostError:
        _log.info("attempt.lease_lost", attempt=attempt)
    except UnavailableError as error:
        circuit.note_trouble(services, account, error.trouble)
        _try_later(services, row, error.trouble)
    except ReadError as error:
        _log.warning("attempt.unreadable", attempt=attempt, reason=str(error))
        _try_later(services, row, Trouble.SERVER_ERROR)
    return True


def _asked_in(unit: Unit, attempt: AttemptId) -> AccountId | None:
    """Return the account in which the attempt's next call is made; `None` is the platform."""
    planned = [step for step in steps_of(unit, attempt) if step.state is StepState.PLANNED]
    return call_of(planned[0]).account if planned else None


def _wake_who_waits(services: Services, row: ReleaseAttempt) -> None:
    """Let those be judged anew that the money kept for a settled attempt held up."""
    with services.database.unit_of_work() as unit:
        attempt = get_attempt(unit, row.id)
        if attempt is not None and attempt.state is not AttemptState.PREPARED:
            now = services.clock()
            promise_ended(unit, ChargeId(row.charge_id), now=now, cause="settled")


def _look(services: Services, row: ReleaseAttempt) -> None:
    """Stripe forgot the keys: only what its lists show has happened, and they are complete."""
    with services.database.reading() as unit:
        planned = [s for s in steps_of(unit, row.id) if s.state is StepState.PLANNED]
    for step in planned:
        if step.kind is StepKind.REVERSAL:
            assert step.target is not None, "a reversal names its transfer"
            _look_for_reversal(services, row, step.ordinal, TransferId(step.target))
        elif not _look_for_refund(services, row):
            return


def _look_for_refund(services: Services, row: ReleaseAttempt) -> bool:
    """Settle the attempt by the payment's refunds; return whether its refund exists."""
    with services.database.reading() as unit:
        known = load_charge(unit, row.charge_id)
    assert known is not None, "an attempt has its charge"
    refunds = services.gateway.list_refunds(known.charge, known.lives_in)
    now = services.clock()
    with services.database.unit_of_work() as unit:
        charge = lock_charge(unit, row.charge_id)
        assert charge is not None, "an attempt has its charge"
        attempt = lock_attempt(unit, row.id)
        if attempt is None or attempt.state is not AttemptState.PREPARED:
            return False
        for facts in refunds:
            if facts.metadata.get(METADATA_ATTEMPT) == row.id:
                apply_refund(unit, facts, now=now, cause="reconcile", attempt=AttemptId(row.id))
                if steps_of(unit, row.id)[0].state is not StepState.PLANNED:
                    return True
                # It carries the attempt's name and is something else: nothing may follow from it.
                postpone_unexplained(services, unit, attempt, now)
                return False
        why = "Stripe's list of the payment's refunds shows that it was never carried out."
        because = Because(at=now, cause="reconcile", why=why, attempt=AttemptId(row.id))
        settle_step(unit, steps_of(unit, row.id)[0], StepState.NEVER_EXECUTED, now)
        put_back(unit, attempt, AttemptState.NEVER_EXECUTED, because)
        request = lock_request(unit, row.request_id)
        decision = decide(Outcome.HOLD, Rule.NEVER_EXECUTED, why)
        record_decision(unit, request, decision, now=now, cause="reconcile")
        heed_missed_news(unit, charge, request, since=row.prepared_at, now=now, cause="reconcile")
        # The list may show another hand's refund that nobody told us of: a person is asked first.
        for facts in refunds:
            apply_refund(unit, facts, now=now, cause="reconcile")
        mark_due(unit, LaneId(row.lane), now, "reconcile")
    _log.warning("attempt.never_executed", attempt=row.id, request=row.request_id)
    return False


def _look_for_reversal(
    services: Services, row: ReleaseAttempt, ordinal: int, transfer: TransferId
) -> None:
    reversals = services.gateway.list_reversals(transfer)
    now = services.clock()
    found = next((r for r in reversals if r.metadata.get(METADATA_ATTEMPT) == row.id), None)
    with services.database.unit_of_work() as unit:
        lock_charge(unit, row.charge_id)
        attempt = lock_attempt(unit, row.id)
        step = steps_of(unit, row.id)[ordinal - 1]
        if attempt is None or step.state is not StepState.PLANNED:
            return
        if found is None:
            settle_step(unit, step, StepState.NEVER_EXECUTED, now)
        else:
            settle_step(
                unit,
                step,
                StepState.DONE,
                now,
                object_id=found.reversal,
                object_minor=found.amount.amount_minor,
            )
        finish_if_complete(unit, attempt, now, "reconcile")


def _try_later(services: Services, row: ReleaseAttempt, trouble: Trouble) -> None:
    now = services.clock()
    again = UNSETTLED_BACKOFF.after(row.tries + 1, now, services.jitter())
    assert isinstance(again, RetryAt), "an unknown outcome is never given up"
    with services.database.unit_of_work() as unit:
        postpone_attempt(unit, AttemptId(row.id), again.at, trouble)
