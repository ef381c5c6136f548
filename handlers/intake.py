"""Takes a wish in: asks Stripe, decides, records `requested` or `held`, and marks the lane due.

It may not move money or wait for a worker; where Stripe can't be asked the wish is recorded all the
same, and `handlers.undecided` decides it later.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from gateway.port import UnavailableError
from handlers import circuit
from handlers.assess import Assessment, assess
from handlers.services import Services
from handlers.split import replan_split
from refunds.blocks import Claim, check_charge
from refunds.decision import Outcome
from refunds.errors import (
    KeyReusedError,
    PaymentNotFoundError,
    RequestOpenError,
)
from refunds.facts import PlatformFacts
from refunds.ids import AccountId, RequestId, lane_of, mint
from refunds.lifecycle import Bucket, Status
from refunds.policy import PayoutGuard
from refunds.retry import LANE_BACKOFF, RetryAt
from refunds.steps import Trouble
from refunds.wish import TransferWish, Wish, check_wish
from store.charges import claimed_minor, open_requests, save_charge, with_known_refunds
from store.database import Unit
from store.guard_marks import money_moved
from store.installation import pinned_platform
from store.lanes import mark_due
from store.ledger import Because, move
from store.legs import save_legs
from store.observations import add_snapshot
from store.requests import (
    add_request,
    find_by_key,
    get_request,
    record_evaluation,
)
from store.tables.requests import Mode, RefundRequest

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a wish."""

    request: RequestId
    replayed: bool
    """The same wish had come under this key before."""
    decided: bool
    """Stripe could be asked."""


def take_in(services: Services, wish: Wish, *, idempotency_key: str, actor: str) -> Taken:
    """Record a wish once, with its decision.

    Raise a `WishError` where it can't be recorded as it stands; nothing is recorded then.
    """
    check_wish(wish, idempotency_key)
    known = _known(services, wish, idempotency_key)
    if known is not None:
        return known
    try:
        _check_circuit(services)
        assessment = assess(services, wish)
    except UnavailableError as error:
        if error.no_such_account and error.account is not None and error.account == wish.account:
            # Waiting changes nothing about a mistyped id, and whoever typed it is still there.
            raise PaymentNotFoundError.out_of_sight(error.account) from error
        circuit.note_trouble(services, error.account, error.trouble)
        return _record_undecided(services, wish, idempotency_key, actor)
    request = RequestId(mint("rr", services.clock()))
    with services.database.unit_of_work() as unit:
        save_charge(unit, assessment.charge)
        row = _new_row(services, unit, request, wish, idempotency_key, actor)
        fill(row, assessment)
        if not add_request(unit, row):
            return _replay(unit, wish, idempotency_key)
        _refuse_second(unit, row, wish)
        assessment = under_lock(unit, assessment, row, wish)
        keep_legs(unit, request, assessment)
        record_first(unit, get_request(unit, request), assessment, services.clock())
    _log.info(
        "request.taken",
        request=request,
        outcome=assessment.evaluation.decision.outcome,
        rule=assessment.evaluation.decision.rule,
    )
    return Taken(request=request, replayed=False, decided=True)


def take_in_unasked(services: Services, wish: Wish, *, idempotency_key: str, actor: str) -> Taken:
    """Record a wish once without asking Stripe, for callers who can't wait: a worker decides it
    within seconds. Raise a `WishError` as `take_in` does.
    """
    check_wish(wish, idempotency_key)
    known = _known(services, wish, idempotency_key)
    return known or _record_undecided(services, wish, idempotency_key, actor)


def _known(services: Services, wish: Wish, idempotency_key: str) -> Taken | None:
    with services.database.reading() as unit:
        if find_by_key(unit, idempotency_key) is None:
            return None
        return _replay(unit, wish, idempotency_key)


def _replay(unit: Unit, wish: Wish, idempotency_key: str) -> Taken:
    row = find_by_key(unit, idempotency_key)
    assert row is not None, "the key is taken, so its request exists"
    if row.wish_digest != wish.digest():
        raise KeyReusedError(
            f"the idempotency key was used for {row.id} with other parameters; take a new key",
            param="Idempotency-Key",
        )
    return Taken(request=RequestId(row.id), replayed=True, decided=row.decide_after is None)


def _check_circuit(services: Services) -> None:
    if circuit.closed_until(services, None) is not None:
        raise UnavailableError(Trouble.SERVER_ERROR, "the circuit to Stripe is open")


def _new_row(
    services: Services,
    unit: Unit,
    request: RequestId,
    wish: Wish,
    idempotency_key: str,
    actor: str,
) -> RefundRequest:
    now = services.clock()
    platform: PlatformFacts | None = pinned_platform(unit)
    return RefundRequest(
        id=request,
        created=now,
        mode=services.mode,
        idempotency_key=idempotency_key,
        wish_digest=wish.digest(),
        actor=actor,
        payment=wish.payment,
        account=wish.account,
        asked_minor=wish.amount_minor,
        reason=wish.reason,
        refund_application_fee=wish.refund_application_fee,
        additional=wish.additional,
        meta=dict(wish.metadata),
        livemode=platform.livemode if platform else False,
        deadline=now + services.policies.policy_for(None, None).hold_for,
        status=Status.REQUESTED,
    )


def fill(row: RefundRequest, assessment: Assessment) -> None:
    """Write what the payment says of a request onto its row."""
    charge = assessment.charge
    row.livemode = charge.livemode
    row.charge_id = charge.charge
    row.lane = lane_of(assessment.account)
    row.account = assessment.account
    row.amount_minor = assessment.amount.amount_minor
    row.currency = assessment.amount.currency
    row.deadline = row.created + assessment.policy.hold_for
    row.decide_after = None


def keep_legs(unit: Unit, request: RequestId, assessment: Assessment) -> None:
    """Store which transfers of a split payment a request takes back, and how much of each."""
    if assessment.split is None:
        return
    legs = [
        (
            TransferWish(transfer=share.transfer.transfer, amount_minor=share.asked_minor),
            share.transfer.account,
        )
        for share in assessment.split.shares
    ]
    save_legs(unit, request, legs)


def _refuse_second(unit: Unit, row: RefundRequest, wish: Wish) -> None:
    """Under the charge's lock: a second open request needs the caller's word that both are owed."""
    assert row.charge_id is not None
    rivals = open_requests(unit, row.charge_id, row.mode)
    others = [other for other in rivals if other.id != row.id]
    if others and not wish.additional:
        raise RequestOpenError(row.charge_id, others[0].id)


def under_lock(unit: Unit, assessment: Assessment, row: RefundRequest, wish: Wish) -> Assessment:
    """Return the assessment with the charge's capacity and that of its transfers counted anew: two
    wishes may have raced. Raise `InvalidWishError` where too little is left of a named transfer.
    """
    charge = assessment.charge
    claimed = claimed_minor(unit, charge.charge, row.mode)
    stop = check_charge(
        with_known_refunds(unit, charge),
        Claim(amount=assessment.amount, other_open_minor=claimed),
        at_intake=True,
    )
    if stop is None:
        split = replan_split(unit, charge, wish, assessment.amount, row.mode, RequestId(row.id))
        return replace(assessment, split=split)
    return replace(assessment, evaluation=replace(assessment.evaluation, decision=stop))


def record_first(unit: Unit, row: RefundRequest, assessment: Assessment, now: datetime) -> None:
    """Write the first entries, the decision and the balances it rests on; mark the lane due."""
    assert row.amount_minor is not None
    assert row.lane is not None
    decision = assessment.evaluation.decision
    why = f"A refund of {assessment.amount} was asked for."
    opened = Because(at=now, cause="intake", why=why, actor=row.actor)
    move(unit, row, Bucket.OPENED, Bucket.REQUESTED, row.amount_minor, opened)
    record_evaluation(
        unit, row, assessment.evaluation, at=now, cause="intake", inputs=assessment.inputs
    )
    for balance in assessment.balances:
        add_snapshot(unit, balance, None)
    because = Because(at=now, cause="intake", why=decision.why, need=assessment.evaluation.need)
    target = _TARGETS.get(decision.outcome)
    if target is not None:
        move(unit, row, Bucket.REQUESTED, target, row.amount_minor, because)
    if row.account is not None and _wants_guard(row, assessment):
        money_moved(unit, row.id, AccountId(row.account), now, "intake", opens=True)
    if decision.outcome in (Outcome.RELEASE, Outcome.HOLD):
        lane = lane_of(AccountId(row.account) if row.account else None)
        mark_due(unit, lane, now, "intake", row.mode)


def _wants_guard(row: RefundRequest, assessment: Assessment) -> bool:
    off = assessment.policy.payout_guard is PayoutGuard.OFF
    return row.mode is Mode.LIVE and not off


_TARGETS: Final = {
    Outcome.HOLD: Bucket.HELD,
    Outcome.REVIEW: Bucket.REVIEW,
    Outcome.REJECT: Bucket.REJECTED,
}
"""Where a decision puts the amount; a release stays `requested` until the lane's run takes it."""


def _record_undecided(services: Services, wish: Wish, idempotency_key: str, actor: str) -> Taken:
    now = services.clock()
    request = RequestId(mint("rr", now))
    again = LANE_BACKOFF.after(1, now, services.jitter())
    assert isinstance(again, RetryAt)
    with services.database.unit_of_work() as unit:
        row = _new_row(services, unit, request, wish, idempotency_key, actor)
        row.decide_after = again.at
        if not add_request(unit, row):
            return _replay(unit, wish, idempotency_key)
        save_legs(unit, request, [(each, None) for each in wish.transfers])
    _log.warning("request.undecided", request=request, payment=wish.payment)
    return Taken(request=request, replayed=False, decided=False)
