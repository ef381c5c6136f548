"""What a dispute means for the requests of its charge: stop, close, go on, or hurry.

It may not read a dispute. The caller has locked the charge; what is being released is left alone.
"""

from dataclasses import replace
from datetime import datetime

import structlog

from handlers.review import (
    record_decision,
    send_charge_to_review,
    send_to_review,
    waits_for_a_person,
)
from refunds.blocks import check_account
from refunds.decision import Decision, Outcome, Rule, decide
from refunds.facts import DisputeFacts, RefundStatus
from refunds.ids import ChargeId, RequestId
from refunds.lifecycle import Bucket
from store.affected import refund_seen_since
from store.charges import open_requests
from store.database import Unit
from store.ledger import Because, amounts_of, move
from store.legs import accounts_of
from store.observations import dispute_read_at, disputes_of, refunds_of_request, standing_of
from store.requests import latest_evaluation, lock_request, waived_rules, waivers_of
from store.tables.requests import Charge, RefundRequest

_log = structlog.get_logger(__name__)


def stands_in_the_way(dispute: DisputeFacts) -> bool:
    """Whether Stripe refuses a refund because of it; a lost one has refunded the buyer for good."""
    return dispute.blocks or dispute.status == "lost"


def close_waiting(unit: Unit, dispute: DisputeFacts, *, now: datetime, cause: str) -> int:
    """Close what waits for this charge, by way of review: the buyer's bank has paid the buyer.

    Whatever put a request into review before makes no difference, so that events may come in any
    order. What refunds at Stripe have paid the buyer, or may still, stays where it is. Return how
    many were closed, wholly or the rest of them.
    """
    return sum(
        _close_one(unit, dispute, lock_request(unit, each.id), now=now, cause=cause)
        for each in open_requests(unit, dispute.charge)
    )


def _close_one(
    unit: Unit, dispute: DisputeFacts, request: RefundRequest, *, now: datetime, cause: str
) -> bool:
    why = f"{dispute.dispute} was lost: the buyer has the money of {dispute.charge}."
    lost = decide(Outcome.REVIEW, Rule.DISPUTED, why)
    send_to_review(unit, request, lost, now=now, cause=cause)
    amount_minor = _in_review_unsent_minor(unit, request)
    if not amount_minor:
        return False
    because = Because(at=now, cause=cause, why=why)
    move(unit, request, Bucket.REVIEW, Bucket.CLOSED, amount_minor, because)
    _log.info("request.closed", request=request.id, dispute=dispute.dispute)
    return True


def send_waiting_to_review(
    unit: Unit, charge: Charge, dispute: DisputeFacts, *, now: datetime, cause: str
) -> int:
    """Put what waits for this charge before a person; return how many requests that were."""
    decision = _disputed(charge, dispute)
    return send_charge_to_review(unit, ChargeId(charge.id), decision, now=now, cause=cause)


def _disputed(charge: Charge, dispute: DisputeFacts) -> Decision:
    return decide(
        Outcome.REVIEW,
        Rule.DISPUTED,
        f"{charge.id} has an open dispute, {dispute.dispute} ({dispute.status}).",
    )


def let_go_on(
    unit: Unit, charge: Charge, dispute: DisputeFacts, *, now: datetime, cause: str
) -> int:
    """Put back on hold what only a dispute had sent to review; return how many requests that were.

    A reason that came up meanwhile, and would have sent it to review by itself, keeps it there.
    """
    return sum(
        _let_one_go_on(unit, charge, dispute, lock_request(unit, each.id), now=now, cause=cause)
        for each in open_requests(unit, ChargeId(charge.id))
    )


def heed_missed_news(
    unit: Unit,
    charge: Charge,
    request: RefundRequest,
    *,
    since: datetime,
    now: datetime,
    cause: str,
) -> None:
    """Give a locked request what news did to its charge's other requests while it was with Stripe.

    News reaches what waits or lies in review, not what is being released. `since` is when the
    request's own view of its charge is from: a dispute that ended after it no longer counts.
    """
    disputes = disputes_of(unit, ChargeId(charge.id))
    lost = next((each for each in disputes if each.status == "lost"), None)
    in_the_way = [each for each in disputes if stands_in_the_way(each)]
    if lost is not None:
        _close_one(unit, lost, request, now=now, cause=cause)
        return
    if in_the_way:
        send_to_review(unit, request, _disputed(charge, in_the_way[0]), now=now, cause=cause)
    else:
        ended = [each for each in disputes if _stored_since(unit, each, since)]
        if ended:
            _let_one_go_on(unit, charge, ended[-1], request, now=now, cause=cause)
        stop = _what_else_stops(unit, charge, request, now)
        if stop is not None:
            send_to_review(unit, request, stop, now=now, cause=cause)
    _say_who_else_refunded(unit, charge, request, now=now, cause=cause)


def _say_who_else_refunded(
    unit: Unit, charge: Charge, request: RefundRequest, *, now: datetime, cause: str
) -> None:
    """Tell the person whom a request lies before of another hand's refund, whatever brought it
    there: who approves it without knowing would pay the buyer twice.
    """
    foreign = _made_by_another_hand(unit, charge, request)
    latest = latest_evaluation(unit, request)
    if foreign is None or latest is None or foreign.why in latest.why:
        return
    if waits_for_a_person(unit, request):
        told = replace(foreign, why=f"{latest.why.rstrip('.')}. {foreign.why}")
        record_decision(unit, request, told, now=now, cause=cause)


def _stored_since(unit: Unit, dispute: DisputeFacts, since: datetime) -> bool:
    stored_at = dispute_read_at(unit, dispute.dispute)
    return stored_at is not None and stored_at >= since


def _let_one_go_on(
    unit: Unit,
    charge: Charge,
    dispute: DisputeFacts,
    request: RefundRequest,
    *,
    now: datetime,
    cause: str,
) -> bool:
    amount_minor = _sent_to_review_minor(unit, request)
    if not amount_minor:
        return False
    stop = _what_else_stops(unit, charge, request, now)
    why = f"{dispute.dispute} is {dispute.status}: it waits for the balance again."
    decision = stop or decide(Outcome.HOLD, Rule.COVER, why)
    if stop is None:
        because = Because(at=now, cause=cause, why=why)
        move(unit, request, Bucket.REVIEW, Bucket.HELD, amount_minor, because)
    record_decision(unit, request, decision, now=now, cause=cause)
    _log.info("request.dispute_over", request=request.id, rule=decision.rule)
    return stop is None


def hurry_waiting(unit: Unit, charge: ChargeId) -> int:
    """Let the requests of a charge go first: a refund now may still avert a chargeback."""
    urgent = 0
    for each in open_requests(unit, charge):
        request = lock_request(unit, each.id)
        urgent += not request.urgent
        request.urgent = True
        unit.add(request)
    return urgent


def _sent_to_review_minor(unit: Unit, request: RefundRequest) -> int:
    """Return what lies in review because of a dispute and nothing else."""
    latest = latest_evaluation(unit, request)
    if latest is None or (latest.rule, latest.outcome) != (Rule.DISPUTED, Outcome.REVIEW):
        return 0
    return _in_review_unsent_minor(unit, request)


def _in_review_unsent_minor(unit: Unit, request: RefundRequest) -> int:
    in_review_minor = amounts_of(unit, RequestId(request.id)).get(Bucket.REVIEW, 0)
    # A refund that waits for its buyer has its amount in review, too, and may still succeed.
    waits_for_buyer_minor = sum(
        refund.amount_minor
        for refund in refunds_of_request(unit, request.id)
        if refund.status is RefundStatus.REQUIRES_ACTION
    )
    return in_review_minor - waits_for_buyer_minor


def _what_else_stops(
    unit: Unit, charge: Charge, request: RefundRequest, now: datetime
) -> Decision | None:
    # First: who passes an account by would not have been told of it.
    foreign = _made_by_another_hand(unit, charge, request)
    if foreign is not None:
        return foreign
    waived = waived_rules(unit, request.id, now)
    for account in accounts_of(unit, request):
        stop = check_account(account, standing_of(unit, account), waived)
        if stop is not None:
            return stop
    return None


def _made_by_another_hand(unit: Unit, charge: Charge, request: RefundRequest) -> Decision | None:
    """Return what another hand's refund means, where nobody was asked about it for this request."""
    approved = [w for w in waivers_of(unit, request.id) if w.rule is Rule.FOREIGN_REFUND]
    approved_at = approved[-1].created if approved else None
    foreign = refund_seen_since(unit, charge.id, request.created, approved_at)
    if foreign is None:
        return None
    return decide(
        Outcome.REVIEW,
        Rule.FOREIGN_REFUND,
        f"{foreign.id} was made on {charge.id} by another hand.",
    )
