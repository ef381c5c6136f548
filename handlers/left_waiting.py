"""Stores what a run decided of the requests it left where they were, or put before a person.

It may not judge them or release one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from handlers.expect import with_eta
from handlers.give_back import let_go
from handlers.ground import Ground, ensure_run, inputs_of
from handlers.services import Services
from handlers.signals import announce_work
from refunds.candidate import Candidate
from refunds.decision import Evaluation, Outcome
from refunds.ids import RequestId
from refunds.lifecycle import WAITING, Bucket
from refunds.pool import Pool
from store.charges import lock_charge
from store.database import Unit
from store.lanes import renew_lane
from store.ledger import Because, amounts_of, move
from store.requests import (
    Waiting,
    count_skipped,
    lock_request,
    record_evaluation,
    use_person_waiver,
)

_BATCH: Final = 100
"""Verdicts written in one unit of work."""


@dataclass(slots=True)
class Progress:
    """What a run has done so far."""

    pool: Pool
    left: list[tuple[Candidate, Evaluation]] = field(default_factory=list)
    released: list[Candidate] = field(default_factory=list)


def record_left(
    services: Services, ground: Ground, waiting: Mapping[RequestId, Waiting], progress: Progress
) -> None:
    """Store the verdicts that say something new, and count who was passed over."""
    left = with_eta(
        services,
        {account for account, there in ground.accounts.items() if there.balance is not None},
        progress.left,
        known={request: row.latest for request, row in waiting.items()},
    )
    changed = [
        (candidate, evaluation)
        for candidate, evaluation in left
        if waiting[candidate.request].latest != evaluation
        or waiting[candidate.request].bucket is Bucket.REQUESTED
    ]
    # By id, as everybody locks requests: urgent ones were judged before older ones.
    changed.sort(key=lambda verdict: verdict[0].request)
    ended = [verdict for verdict in changed if verdict[1].decision.outcome is Outcome.REJECT]
    for candidate, evaluation in ended:
        _end(services, ground, waiting[candidate.request], candidate, evaluation)
    changed = [verdict for verdict in changed if verdict not in ended]
    for start in range(0, len(changed), _BATCH):
        with services.database.unit_of_work() as unit:
            for candidate, evaluation in changed[start : start + _BATCH]:
                _record_one(services, unit, ground, candidate, evaluation)
            # Last: everybody locks requests before their lane. A lost lease undoes the batch.
            renew_lane(unit, ground.claim, services.clock())
    skipped = _passed_over(progress)
    if skipped:
        with services.database.unit_of_work() as unit:
            count_skipped(unit, skipped)
            renew_lane(unit, ground.claim, services.clock())


def _end(
    services: Services,
    ground: Ground,
    waiting: Waiting,
    candidate: Candidate,
    evaluation: Evaluation,
) -> None:
    """Cancel a request by its policy, and give accounts back what was reversed for it: it can't be
    asked for again once the request is canceled.

    A unit of its own, locked in everybody's order: charge, request, lane, purses.
    """
    now = services.clock()
    with services.database.unit_of_work() as unit:
        lock_charge(unit, waiting.charge.id)
        dropped_minor = _record_one(services, unit, ground, candidate, evaluation)
        renew_lane(unit, ground.claim, now)
        request = lock_request(unit, candidate.request)
        if dropped_minor and let_go(unit, request, dropped_minor, now, ground.claim.cause):
            announce_work(unit)


def _record_one(
    services: Services, unit: Unit, ground: Ground, candidate: Candidate, evaluation: Evaluation
) -> int:
    """Store one verdict and move what waits; return how much was moved."""
    now = services.clock()
    request = lock_request(unit, candidate.request)
    decision = evaluation.decision
    waits = {b: m for b, m in amounts_of(unit, candidate.request).items() if b in WAITING}
    if not waits and not candidate.by_person:
        return 0
    ensure_run(unit, ground, now)
    record_evaluation(
        unit,
        request,
        evaluation,
        at=now,
        cause=ground.claim.cause,
        inputs=inputs_of(ground, candidate),
        run=ground.run,
    )
    because = Because(at=now, cause=ground.claim.cause, why=decision.why, need=evaluation.need)
    if decision.outcome is Outcome.REVIEW and candidate.by_person:
        # A person's release that can't be done is used up, or it would be tried for ever. One that
        # came while this run was under way is for the next run.
        use_person_waiver(unit, request.id, now)
    target = _TARGETS.get(decision.outcome, Bucket.HELD)
    moved = {bucket: minor for bucket, minor in waits.items() if bucket is not target}
    for bucket, amount_minor in moved.items():
        move(unit, request, bucket, target, amount_minor, because)
    return sum(moved.values())


_TARGETS: Final = {Outcome.REVIEW: Bucket.REVIEW, Outcome.REJECT: Bucket.CANCELED}
"""Where a verdict puts what waits: it was accepted once, so it is canceled and not rejected."""


def _passed_over(progress: Progress) -> list[RequestId]:
    """Return held requests that a younger one was released past, out of the same purse."""
    return [
        left.request
        for left, evaluation in progress.left
        if evaluation.decision.outcome is Outcome.HOLD
        and any(
            released.takes.keys() & {draw.purse for draw in left.draws}
            and (released.created, released.request) > (left.created, left.request)
            for released in progress.released
        )
    ]
