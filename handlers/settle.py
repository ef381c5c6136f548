"""Takes in what is known of a refund, from whichever side it comes: our call, an event, a listing.

It may not call Stripe. Everything here happens in the caller's unit of work and is idempotent per
(refund, status), in any order.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog

from handlers.disputed import heed_missed_news
from handlers.give_back import finish_giving_back
from handlers.owed import state_exposure, undo_exposure
from handlers.review import question_charge, record_decision
from refunds.attempt import AttemptState, Purpose, StepState
from refunds.decision import Outcome, Rule, decide
from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST, NOT_LIVE, RefundFacts, RefundStatus
from refunds.ids import PLATFORM_LANE, AttemptId, RefundId, RequestId
from refunds.lifecycle import Bucket
from refunds.money import Currency, Money
from refunds.notifications import Kind
from refunds.settlement import place_of, route
from refunds.steps import StepKind
from store.attempts import (
    close_reservations,
    lock_attempt,
    settle_attempt,
    settle_step,
    steps_of,
)
from store.caps import settle_uncovered
from store.charges import lock_charge, uncount_refund
from store.database import Unit
from store.ledger import Because, amounts_of, move_along
from store.observations import (
    add_refund,
    lock_refund,
    observe_status,
    refund_of_attempt,
    update_refund,
)
from store.outbox import tell
from store.requests import lock_request
from store.tables.attempts import ReleaseAttempt, ReservationEnd
from store.tables.observations import Refund

_log = structlog.get_logger(__name__)


class Applied(StrEnum):
    """What the news meant."""

    IGNORED = "ignored"
    """Not a customer refund, or of a charge no request touches."""
    UNCHANGED = "unchanged"
    MOVED = "moved"
    OBSERVED = "observed"
    """A refund that is not ours."""
    UNEXPECTED = "unexpected"
    """It carries our name, but no attempt of ours explains it."""


def apply_refund(
    unit: Unit, facts: RefundFacts, *, now: datetime, cause: str, attempt: AttemptId | None = None
) -> Applied:
    """Take in one refund as read; `attempt` is given where our own call answered with it.

    Locks the charge first, as everybody does.
    """
    # A transfer reversal shows up in the connected account as a `pyr_` refund of its `py_` payment:
    # no request is ever about that one. The prefix alone says nothing, customers' refunds of bank
    # payments carry it, too.
    charge = None if facts.charge is None else lock_charge(unit, facts.charge)
    if charge is None:
        return Applied.IGNORED
    row = lock_refund(unit, facts.refund)
    if row is not None:
        if row.status not in NOT_LIVE and facts.status in NOT_LIVE:
            uncount_refund(unit, charge, row.amount_minor)
        return _apply_news(unit, row, facts, now, cause)
    named = attempt or _named_attempt(facts)
    owner = None if named is None else lock_attempt(unit, named)
    if owner is None or not _belongs(owner, facts):
        return _observe(unit, facts, now, cause)
    if owner.state is not AttemptState.PREPARED or refund_of_attempt(unit, owner.id) is not None:
        return _unexpected(unit, owner, facts, now, cause)
    return _settle_ours(unit, owner, facts, now, cause)


def finish_if_complete(unit: Unit, attempt: ReleaseAttempt, now: datetime, cause: str) -> None:
    """Settle an attempt whose steps all have an outcome, and state the exposure it leaves."""
    steps = steps_of(unit, attempt.id)
    if attempt.state is not AttemptState.PREPARED:
        return
    if any(step.state is StepState.PLANNED for step in steps):
        return
    settle_attempt(unit, attempt, AttemptState.DONE, now)
    if not attempt.uncovered:
        return
    close_reservations(unit, attempt.id, ReservationEnd.SPENT, now)
    if not buyer_is_paid(unit, attempt.id):
        settle_uncovered(unit, attempt.id, {}, now)
        return
    state_exposure(unit, attempt, steps, now, cause)


def step_is_done(unit: Unit, attempt: ReleaseAttempt, now: datetime, cause: str) -> None:
    """Take in that a reversal or a transfer of an attempt was made."""
    steps = steps_of(unit, attempt.id)
    if attempt.purpose is Purpose.COMPENSATION:
        finish_giving_back(unit, attempt, now, cause)
        return
    refund = next(step for step in steps if step.kind is StepKind.REFUND)
    before = [step for step in steps if step.ordinal < refund.ordinal]
    if refund.state is StepState.PLANNED and before:
        if all(step.state is StepState.DONE for step in before):
            _reversed_all(unit, attempt, now, cause)
        return
    finish_if_complete(unit, attempt, now, cause)


def _reversed_all(unit: Unit, attempt: ReleaseAttempt, now: datetime, cause: str) -> None:
    close_reservations(unit, attempt.id, ReservationEnd.SPENT, now, besides=PLATFORM_LANE)
    because = Because(
        at=now,
        cause=cause,
        why="The accounts' parts were taken back; the refund follows.",
        attempt=AttemptId(attempt.id),
    )
    request = lock_request(unit, attempt.request_id)
    amount_minor = attempt.amount_minor
    move_along(unit, request, (Bucket.RELEASING, Bucket.REVERSED), amount_minor, because)


def buyer_is_paid(unit: Unit, attempt: AttemptId | str) -> bool:
    """Whether the attempt's refund counts: it was made, and has not failed or been canceled."""
    refund = refund_of_attempt(unit, attempt)
    return refund is not None and refund.status not in NOT_LIVE


def _named_attempt(facts: RefundFacts) -> AttemptId | None:
    name = facts.metadata.get(METADATA_ATTEMPT)
    return AttemptId(name) if name else None


def _belongs(attempt: ReleaseAttempt, facts: RefundFacts) -> bool:
    # Metadata can be typed by anybody with Dashboard access: every part of the claim must fit.
    return (
        attempt.charge_id == facts.charge
        and facts.metadata.get(METADATA_REQUEST) == attempt.request_id
        and facts.metadata.get(METADATA_ATTEMPT) == attempt.id
        and facts.amount == Money(attempt.amount_minor, Currency(attempt.currency))
    )


def _settle_ours(
    unit: Unit, attempt: ReleaseAttempt, facts: RefundFacts, now: datetime, cause: str
) -> Applied:
    assert facts.charge is not None
    row = add_refund(
        unit,
        facts,
        facts.charge,
        request=RequestId(attempt.request_id),
        attempt=AttemptId(attempt.id),
    )
    refund = next(step for step in steps_of(unit, attempt.id) if step.kind is StepKind.REFUND)
    settle_step(unit, refund, StepState.DONE, now, object_id=facts.refund)
    observe_status(unit, facts.refund, facts.status, now, cause)
    _move(unit, row, None, facts, now, cause)
    _close_if_debited(unit, attempt, facts, now)
    finish_if_complete(unit, attempt, now, cause)
    return Applied.MOVED


def _apply_news(unit: Unit, row: Refund, facts: RefundFacts, now: datetime, cause: str) -> Applied:
    first_time = observe_status(unit, facts.refund, facts.status, now, cause)
    applied = row.status
    path = route(applied, facts.status)
    changes = bool(path) and first_time
    final = place_of(applied) is None or applied is RefundStatus.SUCCEEDED
    status = facts.status if changes or (first_time and not final) else applied
    update_refund(unit, row, facts, status)
    if row.attempt_id is None or row.request_id is None:
        return Applied.OBSERVED if changes else Applied.UNCHANGED
    attempt = lock_attempt(unit, row.attempt_id)
    assert attempt is not None, "a refund of ours has its attempt"
    if changes:
        _move(unit, row, applied, facts, now, cause)
        if facts.status in NOT_LIVE:
            undo_exposure(unit, attempt, _sentence(facts), now, cause)
    _close_if_debited(unit, attempt, facts, now)
    return Applied.MOVED if changes else Applied.UNCHANGED


def _move(
    unit: Unit,
    row: Refund,
    applied: RefundStatus | None,
    facts: RefundFacts,
    now: datetime,
    cause: str,
) -> None:
    path = route(applied, facts.status)
    if not path:
        return
    assert row.request_id is not None, "only refunds of ours move a request's money"
    before = amounts_of(unit, RequestId(row.request_id))
    place = place_of(applied, reversed_first=bool(before.get(Bucket.REVERSED)))
    assert place is not None, "money that was passed on is not moved again"
    request = lock_request(unit, row.request_id)
    because = Because(
        at=now,
        cause=cause,
        why=_sentence(facts),
        attempt=AttemptId(row.attempt_id) if row.attempt_id else None,
        refund=RefundId(row.id),
    )
    move_along(unit, request, (place, *path), row.amount_minor, because)
    _log.info(
        "refund.moved",
        request=request.id,
        refund=row.id,
        status=facts.status,
        bucket=path[-1],
        cause=cause,
    )
    if path[-1] is Bucket.REVIEW:
        waits_for_buyer = facts.status is RefundStatus.REQUIRES_ACTION
        rule = Rule.REQUIRES_ACTION if waits_for_buyer else Rule.REFUND_FAILED
        decision = decide(Outcome.REVIEW, rule, _sentence(facts))
        record_decision(unit, request, decision, now=now, cause=cause)
        charge = lock_charge(unit, row.charge_id)
        assert charge is not None, "a refund has its charge"
        heed_missed_news(unit, charge, request, since=now, now=now, cause=cause)


def _observe(unit: Unit, facts: RefundFacts, now: datetime, cause: str) -> Applied:
    assert facts.charge is not None
    add_refund(unit, facts, facts.charge, request=None, attempt=None)
    observe_status(unit, facts.refund, facts.status, now, cause)
    if facts.live:
        count = question_charge(unit, facts, facts.charge, now=now, cause=cause)
        _log.warning(
            "refund.observed", refund=facts.refund, charge=facts.charge, requests_to_review=count
        )
    return Applied.OBSERVED


def _unexpected(
    unit: Unit, attempt: ReleaseAttempt, facts: RefundFacts, now: datetime, cause: str
) -> Applied:
    _log.error(
        "money.unexpected",
        refund=facts.refund,
        attempt=attempt.id,
        attempt_state=attempt.state,
        amount_minor=facts.amount.amount_minor,
        currency=facts.amount.currency,
    )
    tell(
        unit,
        Kind.MONEY_UNEXPECTED,
        at=now,
        subject=facts.refund,
        account=facts.account,
        why=f"{facts.refund} over {facts.amount} names {attempt.id}, which does not explain it.",
        data={
            "id": facts.refund,
            "object": "refund",
            "charge": facts.charge,
            "amount": facts.amount.amount_minor,
            "currency": facts.amount.currency,
            "status": facts.status,
            "attempt": attempt.id,
            "refund_request": attempt.request_id,
        },
    )
    _observe(unit, facts, now, cause)
    return Applied.UNEXPECTED


def _close_if_debited(
    unit: Unit, attempt: ReleaseAttempt, facts: RefundFacts, now: datetime
) -> None:
    """Stop keeping the money of a covered attempt once Stripe's books show that it left.

    A refund that Stripe itself queues for want of platform funds has not debited anybody yet.
    """
    if attempt.uncovered:
        return
    queued = facts.status is RefundStatus.PENDING and facts.pending_reason == "insufficient_funds"
    asked_reversal = any(step.params.get("reverse_transfer") for step in steps_of(unit, attempt.id))
    over = facts.status in (*NOT_LIVE, RefundStatus.SUCCEEDED)
    if over or (not queued and (facts.reversal is not None or not asked_reversal)):
        close_reservations(unit, attempt.id, ReservationEnd.SPENT, now)


_SAID: Final[Mapping[RefundStatus, str]] = {
    RefundStatus.PENDING: "is pending",
    RefundStatus.REQUIRES_ACTION: "waits for the buyer",
    RefundStatus.SUCCEEDED: "has succeeded",
    RefundStatus.FAILED: "has failed",
    RefundStatus.CANCELED: "was canceled",
    RefundStatus.UNKNOWN: "has a status that this version doesn't know",
}


def _sentence(facts: RefundFacts) -> str:
    text = f"Stripe says that {facts.refund} over {facts.amount} {_SAID[facts.status]}"
    reason = facts.failure_reason or facts.pending_reason
    return f"{text} ({reason})." if reason else f"{text}."
