"""Splits a part off a request that its account doesn't cover, where the policy allows it.

It may not release anything; what is left over goes on waiting as the same request.
"""

from dataclasses import replace
from datetime import datetime

from handlers.candidates import resized
from handlers.ground import Ground
from handlers.services import Services
from refunds.candidate import Candidate
from refunds.decision import Evaluation, Outcome, Rule
from refunds.money import Money
from refunds.parts import largest_part, part_bounds
from refunds.pool import Pool
from refunds.rules import judge
from store.parts import parts_sent
from store.requests import Waiting


def part_that_fits(
    services: Services,
    ground: Ground,
    waiting: Waiting,
    candidate: Candidate,
    evaluation: Evaluation,
    pool: Pool,
) -> Candidate | None:
    """Return the largest part of a short request that the account covers now, if any may go."""
    if evaluation.decision.outcome is not Outcome.HOLD or not evaluation.shortfalls:
        return None
    if ground.policy.partial is None or candidate.by_person:
        return None
    if candidate.split is not None:
        # Its accounts' parts were named for the whole: what a share of it takes from each is the
        # caller's to say.
        return None
    with services.database.reading() as unit:
        sent = parts_sent(unit, candidate.request)
    bounds = part_bounds(candidate.amount, ground.policy, sent)
    if bounds is None:
        return None
    now = services.clock()

    def as_part(minor: int) -> Candidate:
        whole = candidate.amount
        part = resized(candidate, Money(minor, whole.currency), waiting, ground.policy, now)
        return replace(part, part_of=whole)

    def fits(minor: int) -> bool:
        return judge(as_part(minor), pool, ground.policy, now).decision.rule is Rule.PARTIAL

    found_minor = largest_part(bounds, fits)
    return None if found_minor is None else as_part(found_minor)


def rest_of(
    candidate: Candidate, part: Candidate, waiting: Waiting, ground: Ground, now: datetime
) -> Candidate:
    """Return what goes on waiting after a part was sent."""
    return resized(candidate, candidate.amount - part.amount, waiting, ground.policy, now)
