"""Turns waiting requests and what is known of their charges into the pure core's candidates.

It may not judge them or read Stripe.
"""

from dataclasses import replace
from datetime import datetime

from refunds.decision import Rule
from refunds.facts import ChargeFacts
from refunds.ids import RequestId
from refunds.need import own_pending_minor, plan_need, platform_cost
from refunds.policy import Policy
from refunds.pool import Candidate
from store.charges import facts_of
from store.database import Unit
from store.requests import Waiting, waived_rules


def candidate_of(unit: Unit, waiting: Waiting, policy: Policy, now: datetime) -> Candidate:
    """Return the candidate by the charge as last read; what it says is checked before a release."""
    request = waiting.request
    charge = facts_of(waiting.charge)
    waived = waived_rules(unit, request.id, now)
    return Candidate(
        request=RequestId(request.id),
        created=request.created,
        need=plan_need(charge, waiting.amount_minor, policy.fx_buffer_percent),
        own_pending_minor=_own_pending(charge, policy, now),
        platform_cost=platform_cost(charge, waiting.amount_minor, policy.fx_buffer_percent),
        deadline=request.deadline,
        skipped_runs=request.skipped_runs,
        urgent=request.urgent,
        by_person=Rule.PERSON in waived,
        waived=waived,
    )


def refreshed(
    candidate: Candidate, waiting: Waiting, charge: ChargeFacts, policy: Policy
) -> Candidate:
    """Return the candidate by a charge that was read just now."""
    return replace(
        candidate,
        need=plan_need(charge, waiting.amount_minor, policy.fx_buffer_percent),
        own_pending_minor=own_pending_minor(charge) if policy.count_own_pending else 0,
        platform_cost=platform_cost(charge, waiting.amount_minor, policy.fx_buffer_percent),
    )


def _own_pending(charge: ChargeFacts, policy: Policy, now: datetime) -> int:
    settlement = charge.transfer.settlement if charge.transfer else None
    if not policy.count_own_pending or settlement is None:
        return 0
    # Once available it is part of the balance: counting the stale reading would count it twice.
    if settlement.available_on is not None and settlement.available_on <= now:
        return 0
    return own_pending_minor(charge)
