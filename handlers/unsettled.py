"""Finds out what became of attempts whose outcome nobody committed: crashes, timeouts, silence.

It may not take a new key or conclude from silence: the same key while Stripe knows it, a full list
of the payment's refunds once it can't.
"""

from datetime import datetime
from typing import assert_never

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.carry_out import carry_out, postpone_unexplained
from handlers.disputed import heed_missed_news
from handlers.due import promise_ended
from handlers.give_back import give_the_rest_back, note_given_back
from handlers.refused import anything_reversed, put_back, undo_reversals
from handlers.review import record_decision
from handlers.services import Services
from handlers.settle import apply_refund, finish_if_complete, step_is_done
from refunds.attempt import (
    KEY_FORGOTTEN_AFTER,
    AttemptState,
    Recovery,
    StepState,
    how_to_recover,
)
from refunds.blocks import CLOCKS_DIFFER
from refunds.decision import Outcome, Rule, decide
from refunds.errors import LeaseLostError
from refunds.facts import METADATA_ATTEMPT, ReversalFacts, SentFacts
from refunds.ids import AccountId, AttemptId, ChargeId, LaneId, TransferId
from refunds.money import Currency, Money
from refunds.retry import UNSETTLED_BACKOFF, RetryAt
from refunds.steps import StepKind, Trouble
from store.attempts import (
    call_of,
    claim_unsettled,
    close_reservations,
    get_attempt,
    lock_attempt,
    postpone_attempt,
    settle_attempt,
    settle_made,
    settle_step,
    steps_of,
)
from store.charges import load_charge, lock_charge
from store.database import Unit
from store.lanes import mark_due
from store.ledger import Because
from store.requests import lock_request
from store.tables.attempts import AttemptStep, ReleaseAttempt, ReservationEnd
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
        match step.kind:
            case StepKind.REFUND:
                go_on = _look_for_refund(services, row)
            case StepKind.REVERSAL:
                go_on = _look_for_reversal(services, row, step)
            case StepKind.TRANSFER:
                go_on = _look_for_transfer(services, row, step)
            case _:
                assert_never(step.kind)
        if not go_on:
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
                if _refund_of(unit, row).state is not StepState.PLANNED:
                    return True
                # It carries the attempt's name and is something else: nothing may follow from it.
                postpone_unexplained(services, unit, attempt, now)
                return False
        why = "Stripe's list of the payment's refunds shows that it was never carried out."
        because = Because(at=now, cause="reconcile", why=why, attempt=AttemptId(row.id))
        settle_step(unit, _refund_of(unit, row), StepState.NEVER_EXECUTED, now)
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


def _refund_of(unit: Unit, row: ReleaseAttempt) -> AttemptStep:
    """Return the attempt's refund, which comes after its reversals where a payment was split."""
    return next(step for step in steps_of(unit, row.id) if step.kind is StepKind.REFUND)


def _look_for_reversal(services: Services, row: ReleaseAttempt, step: AttemptStep) -> bool:
    """Settle a reversal by its transfer's list; return whether to look for what follows it."""
    assert step.target is not None, "a reversal names its transfer"
    reversals = services.gateway.list_reversals(TransferId(step.target))
    found = next((r for r in reversals if r.metadata.get(METADATA_ATTEMPT) == row.id), None)
    return _settle_by_list(services, row, step.ordinal, found)


def _look_for_transfer(services: Services, row: ReleaseAttempt, step: AttemptStep) -> bool:
    """Settle a transfer by what was sent to the account since; return whether it was made."""
    destination = AccountId(str(step.params["destination"]))
    sent = services.gateway.list_sent(destination, since=row.prepared_at - CLOCKS_DIFFER)
    amount = Money(int(step.params["amount"]), Currency(str(step.params["currency"])))
    # One attempt may owe an account twice: as many as were sent are its own, amount by amount.
    with services.database.reading() as unit:
        taken = {each.object_id for each in steps_of(unit, row.id)}
    ours = (each for each in sent if each.metadata.get(METADATA_ATTEMPT) == row.id)
    found = next((e for e in ours if e.transfer not in taken and e.amount == amount), None)
    return _settle_by_list(services, row, step.ordinal, found)


def _settle_by_list(
    services: Services, row: ReleaseAttempt, ordinal: int, made: ReversalFacts | SentFacts | None
) -> bool:
    now = services.clock()
    with services.database.unit_of_work() as unit:
        charge = lock_charge(unit, row.charge_id)
        attempt = lock_attempt(unit, row.id)
        step = steps_of(unit, row.id)[ordinal - 1]
        if charge is None or attempt is None or step.state is not StepState.PLANNED:
            return False
        if made is None:
            settle_step(unit, step, StepState.NEVER_EXECUTED, now)
            return _never_made(unit, attempt, step, now)
        settle_made(unit, step, made, now)
        if step.kind is StepKind.TRANSFER:
            note_given_back(unit, attempt, step)
        step_is_done(unit, attempt, now, "reconcile")
    return True


def _never_made(unit: Unit, attempt: ReleaseAttempt, step: AttemptStep, now: datetime) -> bool:
    """Take in that a reversal or a transfer was never made; return whether to look any further."""
    if step.kind is StepKind.TRANSFER:
        settle_attempt(unit, attempt, AttemptState.NEVER_EXECUTED, now)
        close_reservations(unit, attempt.id, ReservationEnd.FREED, now)
        give_the_rest_back(unit, attempt, lock_request(unit, attempt.request_id), now, now)
        return False
    refund = next(s for s in steps_of(unit, attempt.id) if s.kind is StepKind.REFUND)
    if refund.state is not StepState.PLANNED:
        finish_if_complete(unit, attempt, now, "reconcile")
        return True
    why = "Stripe's list of the transfer's reversals shows that one was never carried out."
    decision = decide(Outcome.HOLD, Rule.NEVER_EXECUTED, why)
    if anything_reversed(unit, attempt):
        state = AttemptState.NEVER_EXECUTED
        undo_reversals(unit, attempt, state, decision, now, "reconcile")
        return False
    because = Because(at=now, cause="reconcile", why=why, attempt=AttemptId(attempt.id))
    put_back(unit, attempt, AttemptState.NEVER_EXECUTED, because)
    request = lock_request(unit, attempt.request_id)
    record_decision(unit, request, decision, now=now, cause="reconcile")
    charge = lock_charge(unit, attempt.charge_id)
    assert charge is not None, "an attempt has its charge"
    since = attempt.prepared_at
    heed_missed_news(unit, charge, request, since=since, now=now, cause="reconcile")
    mark_due(unit, LaneId(attempt.lane), now, "reconcile")
    return False


def _try_later(services: Services, row: ReleaseAttempt, trouble: Trouble) -> None:
    now = services.clock()
    again = UNSETTLED_BACKOFF.after(row.tries + 1, now, services.jitter())
    assert isinstance(again, RetryAt), "an unknown outcome is never given up"
    with services.database.unit_of_work() as unit:
        postpone_attempt(unit, AttemptId(row.id), again.at, trouble)
