"""Turns waiting requests and what is known of their charges into the pure core's candidates.

It may not judge them or read Stripe.
"""

from dataclasses import replace
from datetime import datetime

from refunds.candidate import Candidate
from refunds.decision import Rule
from refunds.facts import ChargeFacts, ChargeType
from refunds.ids import RequestId
from refunds.money import Money
from refunds.need import Leg, Split, Weighing, plan_legs, plan_split_legs, platform_cost
from refunds.policy import Direct, Policy
from store.charges import facts_of
from store.database import Unit
from store.legs import at_hand_of, split_of
from store.requests import Waiting, waived_rules
from store.tables.requests import Charge, RefundRequest


def candidate_of(unit: Unit, waiting: Waiting, policy: Policy, now: datetime) -> Candidate:
    """Return the candidate by the charge as last read; what it says is checked before a release."""
    request = waiting.request
    charge = facts_of(waiting.charge)
    split = split_for(unit, request, waiting.charge)
    waived = waived_rules(unit, request.id, now)
    at_hand_minor = at_hand_for(unit, request, charge)
    return Candidate(
        request=RequestId(request.id),
        created=request.created,
        amount=Money(waiting.amount_minor, charge.amount.currency),
        split=split,
        at_hand_minor=at_hand_minor,
        legs=legs_for(
            charge,
            split,
            waiting.amount_minor,
            policy,
            stale_at=now,
            at_hand_minor=at_hand_minor,
        ),
        platform_cost=platform_cost(
            charge,
            waiting.amount_minor,
            policy.fx_buffer_percent,
            fee_back=waiting.request.refund_application_fee,
        ),
        deadline=request.deadline,
        window_closes=window_closes(charge, policy),
        skipped_runs=request.skipped_runs,
        urgent=request.urgent,
        by_person=Rule.PERSON in waived,
        stripe_queues=stripe_queues(charge, policy),
        waived=waived,
    )


def refreshed(
    candidate: Candidate, waiting: Waiting, charge: ChargeFacts, policy: Policy
) -> Candidate:
    """Return the candidate by a charge that was read just now."""
    split = candidate.split and candidate.split.reread(charge.transfers)
    return _weighed(replace(candidate, split=split), charge, waiting, policy, stale_at=None)


def resplit(
    unit: Unit, candidate: Candidate, waiting: Waiting, charge: ChargeFacts, policy: Policy
) -> Candidate:
    """Return a request by what it has reversed by now, its row and charge locked; `charge` was read
    just now.
    """
    if candidate.split is None:
        at_hand_minor = at_hand_for(unit, waiting.request, charge)
        if at_hand_minor == candidate.at_hand_minor:
            return candidate
        known = replace(candidate, at_hand_minor=at_hand_minor)
        return _weighed(known, charge, waiting, policy, stale_at=None)
    split = split_of(unit, waiting.request)
    legs = legs_for(facts_of(waiting.charge), split, candidate.amount.amount_minor, policy)
    return replace(candidate, split=split, legs=legs)


def resized(
    candidate: Candidate, amount: Money, waiting: Waiting, policy: Policy, now: datetime
) -> Candidate:
    """Return the candidate with another amount, by the charge as last read."""
    other = replace(candidate, amount=amount)
    return _weighed(other, facts_of(waiting.charge), waiting, policy, stale_at=now)


def _weighed(
    candidate: Candidate,
    charge: ChargeFacts,
    waiting: Waiting,
    policy: Policy,
    *,
    stale_at: datetime | None,
) -> Candidate:
    minor = candidate.amount.amount_minor
    return replace(
        candidate,
        legs=legs_for(
            charge,
            candidate.split,
            minor,
            policy,
            stale_at=stale_at,
            at_hand_minor=candidate.at_hand_minor,
        ),
        platform_cost=platform_cost(
            charge,
            minor,
            policy.fx_buffer_percent,
            fee_back=waiting.request.refund_application_fee,
        ),
    )


def window_closes(charge: ChargeFacts, policy: Policy) -> datetime | None:
    """Return until when the policy says that the payment's method can be refunded."""
    window = policy.refund_window.get(charge.payment_method)
    return None if window is None else charge.created + window


def split_for(unit: Unit, request: RefundRequest, charge: Charge) -> Split | None:
    """Return how a request takes its payment back where that was split."""
    return split_of(unit, request) if charge.charge_type is ChargeType.SEPARATE else None


def at_hand_for(unit: Unit, request: RefundRequest, charge: ChargeFacts) -> int:
    """Return what a request has reversed of its payment's own transfer for refunds that came to
    nothing.
    """
    if charge.transfer is None or not charge.transfer.reversed_minor:
        return 0
    return at_hand_of(unit, request.id, charge.transfer.transfer)


def legs_for(
    charge: ChargeFacts,
    split: Split | None,
    refund_minor: int,
    policy: Policy,
    *,
    stale_at: datetime | None = None,
    at_hand_minor: int = 0,
) -> tuple[Leg, ...]:
    """Return what the refund asks of connected accounts; `stale_at` is now for an older reading."""
    weighing = Weighing(
        fx_buffer_percent=policy.fx_buffer_percent,
        count_own_pending=policy.count_own_pending,
        stale_at=stale_at,
    )
    if split is not None:
        return plan_split_legs(split, refund_minor, weighing)
    return plan_legs(charge, refund_minor, weighing, at_hand_minor=at_hand_minor)


def stripe_queues(charge: ChargeFacts, policy: Policy) -> bool:
    """Whether a refund goes out though its account may be short, because Stripe queues it.

    Only a card's refund is queued, others fail. Source: Stripe docs, "Refunds".
    """
    queued = charge.lives_in is not None and charge.payment_method == "card"
    return queued and policy.direct is Direct.SEND
