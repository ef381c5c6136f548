"""Gives connected accounts back what was reversed for a refund that came to nothing.

It may not call Stripe: it prepares transfers, which a worker carries out like any attempt, and says
what follows once they are done or refused.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog

from handlers.disputed import heed_missed_news
from handlers.review import record_decision
from handlers.services import Services
from refunds.attempt import (
    AttemptState,
    GivingBack,
    Purpose,
    StepState,
    plan_giving_back,
    without_kept,
)
from refunds.blocks import CLOCKS_DIFFER
from refunds.decision import Decision, Outcome, Rule, decide
from refunds.facts import TransferFacts
from refunds.ids import PLATFORM_LANE, AccountId, AttemptId, RequestId, TransferId, mint
from refunds.lifecycle import Bucket
from refunds.money import Currency, Money
from refunds.notifications import Kind
from refunds.retry import NOT_GIVEN_BACK_BACKOFF, REFUSED_BACKOFF, RetryAt
from refunds.steps import RefusalKind, Refused
from store.affected import refunds_by_others_since
from store.attempts import (
    add_attempt,
    attempts_of,
    close_reservations,
    lock_purses,
    settle_attempt,
    settle_step,
    steps_of,
)
from store.charges import lock_charge
from store.database import Unit
from store.ledger import Because, amounts_of, move, move_along
from store.legs import owed_back, replace_transfer
from store.observations import refunds_of_request
from store.outbox import tell
from store.parts import under_way
from store.requests import lock_request
from store.tables.attempts import AttemptStep, ReleaseAttempt, ReservationEnd
from store.tables.requests import RefundRequest

_log = structlog.get_logger(__name__)


def let_go(
    unit: Unit, request: RefundRequest, dropped_minor: int, now: datetime, cause: str = "person"
) -> bool:
    """Give accounts back what was reversed for a refund that a person or a policy gave up, over
    `dropped_minor` of the charge's currency; return whether anything is to be transferred.

    Where another hand paid the buyer since, the platform bore it and keeps that much. The request
    and its charge are locked.
    """
    owed = owed_back(unit, request.id)
    since = _given_up_since(unit, request)
    if not owed or since is None or request.charge_id is None:
        return False
    paid = refunds_by_others_since(unit, request.charge_id, since)
    if not paid:
        return prepare_giving_back(unit, request, owed, now, now)
    paid_minor = sum(refund.amount_minor for refund in paid)
    rest = without_kept(owed, paid_minor, dropped_minor)
    money = Money(paid_minor, Currency(paid[0].currency))
    which = ", ".join(refund.id for refund in paid)
    left = "nothing of it is" if not rest else "only the rest of it is"
    why = (
        f"The buyer got {money} by another hand meanwhile ({which}): what was reversed stays with "
        f"the platform for it, and {left} given back to the accounts."
    )
    decision = decide(Outcome.REVIEW, Rule.PAID_ELSEWHERE, why)
    record_decision(unit, request, decision, now=now, cause=cause)
    _log.warning("compensation.kept", request=request.id, refunds=which)
    return prepare_giving_back(unit, request, rest, now, now)


def _given_up_since(unit: Unit, request: RefundRequest) -> datetime | None:
    """Return when the request's last refund was made, or was to be made; by Stripe's clock where it
    was: only a later one by another hand can stand for it.
    """
    refunds = refunds_of_request(unit, request.id)
    if refunds:
        return refunds[-1].created
    releases = [a for a in attempts_of(unit, request.id) if a.purpose is not Purpose.COMPENSATION]
    return releases[-1].prepared_at - CLOCKS_DIFFER if releases else None


def prepare_giving_back(
    unit: Unit,
    request: RefundRequest,
    owed: Sequence[GivingBack],
    now: datetime,
    at: datetime,
) -> bool:
    """Prepare the transfers that give accounts back what a locked request owes them, to be made at
    `at`; return whether it owes any.

    Locks purses: the caller has marked its lanes before.
    """
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


def give_the_rest_back(
    unit: Unit, attempt: ReleaseAttempt, request: RefundRequest, now: datetime, at: datetime
) -> None:
    """Prepare anew, under new keys, what a settled compensation did not give back."""
    owed = [
        GivingBack(
            transfer=TransferId(step.target),
            account=AccountId(str(step.params["destination"])),
            amount=Money(int(step.params["amount"]), Currency(str(step.params["currency"]))),
        )
        # What was refused comes last: an account that left is in no other one's way.
        for step in sorted(steps_of(unit, attempt.id), key=_was_refused)
        if step.state is not StepState.DONE and step.target is not None
    ]
    prepare_giving_back(unit, request, owed, now, at)


def _was_refused(step: AttemptStep) -> bool:
    return step.state is StepState.REFUSED


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
    _heed_news(unit, attempt, request, now, cause)


def _heed_news(
    unit: Unit, attempt: ReleaseAttempt, request: RefundRequest, now: datetime, cause: str
) -> None:
    """Give a request that is back from a compensation what happened to its charge meanwhile."""
    charge = lock_charge(unit, attempt.charge_id)
    assert charge is not None, "an attempt has its charge"
    since = attempts_of(unit, request.id)[0].prepared_at
    heed_missed_news(unit, charge, request, since=since, now=now, cause=cause)


def refuse_giving_back(
    services: Services,
    unit: Unit,
    attempt: ReleaseAttempt,
    step: AttemptStep,
    refusal: Refused,
    now: datetime,
) -> None:
    """Take in that Stripe refused a transfer: want of money passes, anything else is a person's,
    and where the request was let go it is tried again and again: the account is owed it.
    """
    settle_step(unit, step, StepState.REFUSED, now)
    settle_attempt(unit, attempt, AttemptState.REFUSED, now)
    close_reservations(unit, attempt.id, ReservationEnd.FREED, now)
    request = lock_request(unit, attempt.request_id)
    reversed_minor = amounts_of(unit, RequestId(request.id)).get(Bucket.REVERSED, 0)
    short = refusal.kind is RefusalKind.INSUFFICIENT_FUNDS
    if short or not reversed_minor:
        # A request that was let go waits for nobody, so nobody could let it be tried again.
        backoff = REFUSED_BACKOFF if short else NOT_GIVEN_BACK_BACKOFF
        made = sum(a.purpose is Purpose.COMPENSATION for a in attempts_of(unit, request.id))
        again = backoff.after(made, now, services.jitter())
        assert isinstance(again, RetryAt), "what accounts are owed is never given up"
        give_the_rest_back(unit, attempt, request, now, again.at)
    if short:
        return
    why = f"Stripe refused to give it back ({refusal.code or refusal.http_status}): "
    outcome = Outcome.REVIEW if reversed_minor else Outcome.HOLD
    decision = decide(outcome, Rule.NOT_GIVEN_BACK, why + refusal.message)
    _log.error("compensation.refused", attempt=attempt.id, request=request.id, code=refusal.code)
    if reversed_minor:
        because = Because(at=now, cause="release", why=decision.why, attempt=AttemptId(attempt.id))
        move(unit, request, Bucket.REVERSED, Bucket.REVIEW, reversed_minor, because)
    record_decision(unit, request, decision, now=now, cause="release")
    if reversed_minor:
        _heed_news(unit, attempt, request, now, "release")
    else:
        _tell_of_debt(unit, attempt, request, step, decision, now)


def _tell_of_debt(
    unit: Unit,
    attempt: ReleaseAttempt,
    request: RefundRequest,
    step: AttemptStep,
    decision: Decision,
    now: datetime,
) -> None:
    """Tell once what an account is owed of a request that nobody looks at any more."""
    account = AccountId(str(step.params["destination"]))
    amount = Money(int(step.params["amount"]), Currency(str(step.params["currency"])))
    tell(
        unit,
        Kind.MONEY_UNEXPECTED,
        at=now,
        subject=attempt.charge_id,
        account=account,
        why=f"{account} is owed {amount} of {request.id}. {decision.why} It is tried again.",
        data={
            "id": step.target,
            "object": "transfer",
            "charge": attempt.charge_id,
            "amount": amount.amount_minor,
            "currency": amount.currency,
            "refund_request": request.id,
        },
        occasion=f"{request.id}:{step.target}:not_given_back",
    )
