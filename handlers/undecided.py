"""Decides the wishes that were recorded while Stripe could not be asked.

It may not give one up or take a new one: what was accepted ends with a decision.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.assess import Assessment, assess, assess_unread
from handlers.intake import fill, keep_legs, record_first, under_lock
from handlers.review import record_decision
from handlers.services import Services
from refunds.decision import Decision, Outcome, Rule, decide
from refunds.errors import (
    InvalidWishError,
    PaymentNotFoundError,
    TransfersUnclearError,
    WishError,
)
from refunds.ids import AccountId, RequestId
from refunds.lifecycle import Bucket, Status
from refunds.retry import LANE_BACKOFF, RetryAt
from refunds.wish import Wish
from store.charges import open_requests, save_charge
from store.database import Unit
from store.legs import asked_of
from store.outbox import tell_of_bucket
from store.requests import claim_undecided, get_request, lock_request
from store.tables.requests import RefundRequest

_log = structlog.get_logger(__name__)

_DECIDE_LEASE: Final = timedelta(seconds=20)


def decide_due_request(services: Services) -> bool:
    """Decide one request that Stripe could not be asked about before; return whether one was
    due.
    """
    now = services.clock()
    if circuit.closed_until(services, None) is not None:
        return False
    with services.database.unit_of_work() as unit:
        claimed = claim_undecided(unit, now, now + _DECIDE_LEASE, services.mode)
        row = None if claimed is None else get_request(unit, claimed[0])
        transfers = () if row is None else asked_of(unit, row.id)
    if claimed is None or row is None:
        return False
    wish = Wish(
        payment=row.payment,
        amount_minor=row.asked_minor,
        account=AccountId(row.account) if row.account else None,
        transfers=transfers,
        refund_application_fee=row.refund_application_fee,
        additional=row.additional,
    )
    try:
        _decide(services, claimed[0], wish, _assess_at_last(services, wish, row.created))
    except UnavailableError as error:
        circuit.note_trouble(services, error.account, error.trouble)
        if error.denied_in_account and wish.account is not None and now >= row.deadline:
            _reject(services, claimed[0], _out_of_reach(wish.account))
        else:
            _decide_later(services, claimed)
    except WishError as error:
        _reject(services, claimed[0], _refusal(error))
    except ReadError as error:
        _log.warning("request.unreadable", request=row.id, reason=str(error))
        _decide_later(services, claimed)
    return True


def _assess_at_last(services: Services, wish: Wish, created: datetime) -> Assessment:
    """Assess a wish that waited; an account that denies us a look keeps it waiting no longer."""
    try:
        return assess(services, wish, created)
    except UnavailableError as error:
        if error.account is None or not error.denied_in_account:
            raise
        circuit.note_trouble(services, error.account, error.trouble)
        return assess_unread(services, wish, created, error.account)


def _decide(services: Services, request: RequestId, wish: Wish, assessment: Assessment) -> None:
    with services.database.unit_of_work() as unit:
        save_charge(unit, assessment.charge)
        row = lock_request(unit, request)
        if row.decide_after is None:
            return
        fill(row, assessment)
        unit.add(row)
        unit.flush()
        rivals = open_requests(unit, assessment.charge.charge, row.mode)
        others = [other for other in rivals if other.id != row.id]
        if others and not wish.additional:
            why = f"{assessment.charge.charge} already has the open request {others[0].id}."
            stop = decide(Outcome.REJECT, Rule.REQUEST_OPEN, why)
            evaluation = replace(assessment.evaluation, decision=stop)
            assessment = replace(assessment, evaluation=evaluation)
        else:
            assessment = under_lock(unit, assessment, row, wish)
        keep_legs(unit, request, assessment)
        record_first(unit, row, assessment, services.clock())


def _reject(services: Services, request: RequestId, decision: Decision) -> None:
    with services.database.unit_of_work() as unit:
        row = lock_request(unit, request)
        if row.decide_after is None:
            return
        _close_unsent(unit, row, decision, services.clock())


def _close_unsent(unit: Unit, row: RefundRequest, decision: Decision, now: datetime) -> None:
    """Reject a request whose amount never entered the ledger: its payment gave it none."""
    row.decide_after = None
    row.status = Status.REJECTED
    unit.add(row)
    record_decision(unit, row, decision, now=now, cause="intake")
    tell_of_bucket(unit, row, Bucket.REJECTED, at=now, why=decision.why)


def _decide_later(services: Services, claimed: tuple[RequestId, int]) -> None:
    request, attempts = claimed
    again = LANE_BACKOFF.after(attempts, services.clock(), services.jitter())
    assert isinstance(again, RetryAt), "a wish that was accepted is never given up"
    with services.database.unit_of_work() as unit:
        row = lock_request(unit, request)
        if row.decide_after is not None:
            row.decide_after = again.at
            unit.add(row)


def _out_of_reach(account: AccountId) -> Decision:
    """Return the end of a wish whose payment lives where Stripe does not let the platform look."""
    why = f"Stripe denies the platform access to {account}, in which the payment was made."
    return decide(Outcome.REJECT, Rule.ACCOUNT_DEAUTHORIZED, why)


def _refusal(error: WishError) -> Decision:
    match error:
        case PaymentNotFoundError():
            return decide(Outcome.REJECT, Rule.UNKNOWN_PAYMENT, f"{error}.")
        case TransfersUnclearError():
            return decide(Outcome.REJECT, Rule.TRANSFERS_UNCLEAR, f"{error}.")
        case InvalidWishError(param="amount"):
            return decide(Outcome.REJECT, Rule.OVER_REMAINING, f"{error}.")
        case _:
            return decide(Outcome.REJECT, Rule.NOT_REFUNDABLE, f"{error}.")
