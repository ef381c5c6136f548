"""A release run: the whole life of a lane's pass on one page.

Read the balances, judge each waiting request, prepare, call, settle. It may not be started but by a
claim on a due lane, and it writes nothing once that claim is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from gateway.port import NotFoundError, ReadError, UnavailableError
from handlers import circuit
from handlers.candidates import candidate_of, refreshed
from handlers.carry_out import Carried, carry_out
from handlers.expect import with_eta
from handlers.ground import Ground, ensure_run, inputs_of
from handlers.payments import read_changed_payments
from handlers.policies import policy_of
from handlers.prepare import NotPrepared, prepare
from handlers.services import Services
from refunds.blocks import check_account, without_balance
from refunds.decision import Evaluation, Outcome, Rule, decide, without_figures
from refunds.errors import LeaseLostError
from refunds.facts import AccountStanding, BalanceFacts
from refunds.ids import PLATFORM_LANE, AccountId, RequestId, RunId, account_of, mint
from refunds.lifecycle import WAITING, Bucket
from refunds.policy import Policy
from refunds.pool import Candidate, Pool, in_turn, judge, open_pool
from refunds.retry import LANE_BACKOFF, UNREADABLE_BACKOFF, RetryAt
from store.attempts import mark_reservations
from store.database import Unit
from store.lanes import (
    LaneClaim,
    claim_due_lane,
    finish_lane,
    mark_due,
    postpone_lane,
    renew_lane,
)
from store.ledger import Because, amounts_of, move
from store.observations import standing_of
from store.requests import (
    Waiting,
    count_skipped,
    lock_request,
    next_wake,
    record_evaluation,
    use_person_waiver,
    waiting_in,
)

_log = structlog.get_logger(__name__)

_BATCH: Final = 100
"""Verdicts written in one unit of work."""


@dataclass(slots=True)
class _Progress:
    """What a run has done so far."""

    pool: Pool
    left: list[tuple[Candidate, Evaluation]] = field(default_factory=list)
    released: list[Candidate] = field(default_factory=list)


def run_due_lane(services: Services) -> bool:
    """Run the lane that has been due longest; return whether there was one."""
    with services.database.unit_of_work() as unit:
        claim = claim_due_lane(unit, services.worker, services.clock())
    if claim is None:
        return False
    log = _log.bind(lane=claim.lane, fence=claim.fence, cause=claim.cause)
    try:
        _run(services, claim)
    except UnavailableError as error:
        circuit.note_trouble(services, error.account, error.trouble)
        _postpone(services, claim)
        log.warning("run.postponed", trouble=error.trouble, reason=str(error))
    except ReadError as error:
        _postpone(services, claim)
        log.warning("run.unreadable", reason=str(error), stripe_request=error.stripe_request)
    except LeaseLostError:
        log.warning("run.lease_lost")
    return True


def _run(services: Services, claim: LaneClaim) -> None:
    wait_until = circuit.closed_until(services, account_of(claim.lane))
    if wait_until is not None:
        with services.database.unit_of_work() as unit:
            postpone_lane(unit, claim, wait_until, failed=False)
        return
    read_changed_payments(services, claim.lane)
    with services.database.reading() as unit:
        now = services.clock()
        rows = waiting_in(unit, claim.lane, services.mode, now)
        waiting = {RequestId(row.request.id): row for row in rows}
        policy = policy_of(services, unit, account_of(claim.lane))
        candidates = [candidate_of(unit, row, policy, now) for row in rows]
    denied = False
    if candidates:
        ground = _read_ground(services, claim, policy)
        denied = ground.denied
        progress = _Progress(pool=ground.pool)
        for candidate in in_turn(candidates):
            # Refunds are sent on the platform's behalf: an account that denies us a look stops none
            # that a person released.
            wait_until = circuit.closed_until(services, None if denied else account_of(claim.lane))
            if wait_until is None and services.stopping():
                wait_until = services.clock()
            if wait_until is not None:
                break
            _handle(services, ground, waiting[candidate.request], candidate, progress)
        _record_left(services, ground, waiting, progress)
    with services.database.unit_of_work() as unit:
        if wait_until is not None:
            postpone_lane(unit, claim, wait_until, failed=False)
            return
        if denied:
            postpone_lane(unit, claim, _again(services, claim), failed=True)
            return
        wake = next_wake(unit, claim.lane, services.clock())
        finish_lane(unit, claim)
        if wake is not None:
            mark_due(unit, claim.lane, wake, "retry")


def _read_ground(services: Services, claim: LaneClaim, policy: Policy) -> Ground:
    """Snapshot the reservations first and the balances after: what was promised stays deducted."""
    account = account_of(claim.lane)
    with services.database.reading() as unit:
        standing = standing_of(unit, account)
        account_mark = mark_reservations(unit, claim.lane)
        platform_mark = mark_reservations(unit, PLATFORM_LANE)
    platform = services.gateway.read_balance(None)
    circuit.note_success(services, None)
    ours: BalanceFacts | None = None
    denied = False
    # Of an account that left nothing can be read or taken: only a person's release goes out.
    if account is not None and standing is not AccountStanding.DEAUTHORIZED:
        ours = _balance_or_denied(services, account)
        denied = ours is None
    pool = open_pool(
        available=ours.available if ours else {},
        reserved=account_mark.open_minor if ours else {},
        platform_available=platform.available,
        platform_reserved=platform_mark.open_minor,
        policy=policy,
    )
    return Ground(
        run=RunId(mint("run", services.clock())),
        claim=claim,
        account=ours,
        platform=platform,
        standing=standing,
        denied=denied,
        account_mark=account_mark,
        platform_mark=platform_mark,
        policy=policy,
        pool=pool,
    )


def _balance_or_denied(services: Services, account: AccountId) -> BalanceFacts | None:
    """Return the account's balance; `None` where Stripe does not let the platform see it."""
    try:
        balance = services.gateway.read_balance(account)
    except UnavailableError as error:
        if not error.denied_in_account:
            raise
        circuit.note_trouble(services, account, error.trouble)
        _log.warning("run.account_denied", account=account, reason=str(error))
        return None
    circuit.note_success(services, account)
    return balance


def _handle(
    services: Services, ground: Ground, waiting: Waiting, candidate: Candidate, progress: _Progress
) -> None:
    """Judge one request against what is left; release it, or note why it stays."""
    account = account_of(ground.claim.lane)
    stop = None
    if account is not None and not candidate.by_person:
        stop = check_account(account, ground.standing, candidate.waived)
    evaluation: Evaluation | None
    if stop is not None:
        evaluation = without_figures(stop)
    elif ground.denied and account is not None and not candidate.by_person:
        now = services.clock()
        unread = without_balance(account, candidate.deadline, now, candidate.waived)
        evaluation = replace(without_figures(unread), need=candidate.need)
    else:
        evaluation = judge(candidate, progress.pool, services.clock())
    if evaluation.decision.outcome is Outcome.RELEASE:
        evaluation = _release(services, ground, waiting, candidate, progress)
    if evaluation is None:
        return
    progress.left.append((candidate, evaluation))
    progress.pool = progress.pool.pass_over(candidate, ground.policy)


def _release(
    services: Services, ground: Ground, waiting: Waiting, candidate: Candidate, progress: _Progress
) -> Evaluation | None:
    """Prepare, call, settle; return the verdict if it has to wait after all."""
    account = account_of(ground.claim.lane)
    try:
        charge = services.gateway.read_payment(waiting.charge.id)
    except NotFoundError as error:
        why = f"Stripe no longer knows {waiting.charge.id}: {error}"
        return without_figures(decide(Outcome.REVIEW, Rule.NOT_REFUNDABLE, why))
    except ReadError as error:
        _pass_by(services, ground.claim, candidate.request, error)
        return None
    fresh = refreshed(candidate, waiting, charge, ground.policy)
    result = prepare(services, ground, fresh, charge, progress.pool)
    if isinstance(result, NotPrepared):
        return result.evaluation
    progress.released.append(fresh)
    progress.pool = progress.pool.take(result.took, result.cost)
    try:
        carried = carry_out(services, result.attempt, fence=0)
    except LeaseLostError:
        # Our call took longer than the lease, and another worker looks after the attempt now.
        carried = Carried.UNKNOWN
    if carried is Carried.SHORT and fresh.need is not None:
        progress.pool = progress.pool.close(fresh.need.currency)
    _log.info("run.released", request=fresh.request, account=account, carried=carried)
    return None


def _pass_by(services: Services, claim: LaneClaim, request: RequestId, error: ReadError) -> None:
    """Leave a request whose payment can't be read for a later run: it must not keep the others.

    Where Stripe itself is unwell the next ones fail alike, until the circuit ends the run.
    """
    if isinstance(error, UnavailableError):
        circuit.note_trouble(services, error.account, error.trouble)
    now = services.clock()
    with services.database.unit_of_work() as unit:
        row = lock_request(unit, request)
        row.not_before = now + UNREADABLE_BACKOFF.delay(1, services.jitter())
        unit.add(row)
        renew_lane(unit, claim, now)
    _log.warning("run.payment_unreadable", request=request, reason=str(error))


def _record_left(
    services: Services, ground: Ground, waiting: Mapping[RequestId, Waiting], progress: _Progress
) -> None:
    """Store the verdicts that say something new, and count who was passed over."""
    left = with_eta(
        services,
        account_of(ground.claim.lane) if ground.account is not None else None,
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


def _record_one(
    services: Services, unit: Unit, ground: Ground, candidate: Candidate, evaluation: Evaluation
) -> None:
    now = services.clock()
    request = lock_request(unit, candidate.request)
    decision = evaluation.decision
    waits = {b: m for b, m in amounts_of(unit, candidate.request).items() if b in WAITING}
    if not waits and not candidate.by_person:
        return
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
    target = Bucket.REVIEW if decision.outcome is Outcome.REVIEW else Bucket.HELD
    for bucket, amount_minor in waits.items():
        if bucket is not target:
            move(unit, request, bucket, target, amount_minor, because)


def _passed_over(progress: _Progress) -> list[RequestId]:
    """Return held requests that a younger one of the same currency was released past."""
    released = [c for c in progress.released if c.need is not None and c.from_available_minor > 0]
    return [
        left.request
        for left, evaluation in progress.left
        if left.need is not None
        and evaluation.decision.outcome is Outcome.HOLD
        and any(
            c.need is not None
            and c.need.currency == left.need.currency
            and (c.created, c.request) > (left.created, left.request)
            for c in released
        )
    ]


def _again(services: Services, claim: LaneClaim) -> datetime:
    again = LANE_BACKOFF.after(claim.failures + 1, services.clock(), services.jitter())
    assert isinstance(again, RetryAt), "a lane is never given up"
    return again.at


def _postpone(services: Services, claim: LaneClaim) -> None:
    try:
        with services.database.unit_of_work() as unit:
            postpone_lane(unit, claim, _again(services, claim), failed=True)
    except LeaseLostError:
        _log.warning("run.lease_lost", lane=claim.lane)
