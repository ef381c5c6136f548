"""A release run: the whole life of a lane's pass on one page.

Read the balances, judge each waiting request, prepare, call, settle. It may not be started but by a
claim on a due lane, and it writes nothing once that claim is lost.
"""

from dataclasses import replace
from datetime import datetime

import structlog

from gateway.port import NotFoundError, ReadError, UnavailableError
from handlers import circuit
from handlers.candidates import candidate_of, refreshed
from handlers.carry_out import Carried, carry_out
from handlers.ground import Ground, read_ground
from handlers.left_waiting import Progress, record_left
from handlers.part import part_that_fits, rest_of
from handlers.payments import read_changed_payments
from handlers.policies import policy_of
from handlers.prepare import NotPrepared, Pretended, prepare
from handlers.services import Services
from handlers.split import read_whole
from handlers.unheard import heed_unheard_refunds
from refunds.blocks import check_drawn_on, stating_exposure, without_balance
from refunds.candidate import Candidate, in_turn
from refunds.decision import Evaluation, Outcome, Rule, decide, without_figures
from refunds.errors import LeaseLostError
from refunds.facts import ChargeFacts
from refunds.ids import RequestId, account_of
from refunds.retry import LANE_BACKOFF, UNREADABLE_BACKOFF, RetryAt
from refunds.rules import judge
from store.charges import lives_in
from store.lanes import (
    LaneClaim,
    claim_due_lane,
    finish_lane,
    mark_due,
    postpone_lane,
    renew_lane,
)
from store.legs import transfers_of
from store.requests import Waiting, lock_request, next_wake, waiting_in

_log = structlog.get_logger(__name__)


def run_due_lane(services: Services) -> bool:
    """Run the lane that has been due longest; return whether there was one."""
    with services.database.unit_of_work() as unit:
        claim = claim_due_lane(unit, services.worker, services.clock(), services.mode)
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
        ground = read_ground(services, claim, candidates, policy)
        denied = ground.home_denied
        progress = Progress(pool=ground.pool)
        for candidate in in_turn(candidates, policy):
            # Refunds are sent on the platform's behalf: an account that denies us a look stops none
            # that a person released.
            wait_until = circuit.closed_until(services, None if denied else account_of(claim.lane))
            if wait_until is None and services.stopping():
                wait_until = services.clock()
            if wait_until is not None:
                break
            _handle(services, ground, waiting[candidate.request], candidate, progress)
        record_left(services, ground, waiting, progress)
    with services.database.unit_of_work() as unit:
        if wait_until is not None:
            postpone_lane(unit, claim, wait_until, failed=False)
            return
        if denied:
            postpone_lane(unit, claim, _again(services, claim), failed=True)
            return
        wake = next_wake(unit, claim.lane, claim.mode, services.clock())
        finish_lane(unit, claim)
        if wake is not None:
            mark_due(unit, claim.lane, wake, "retry", claim.mode)


def _handle(
    services: Services, ground: Ground, waiting: Waiting, candidate: Candidate, progress: Progress
) -> None:
    """Judge one request against what is left; release it, or note why it stays."""
    evaluation: Evaluation | None = _before_balances(services, ground, candidate)
    if evaluation is None:
        evaluation = judge(candidate, progress.pool, ground.policy, services.clock())
    if evaluation.decision.outcome is Outcome.RELEASE:
        evaluation = _release(services, ground, waiting, candidate, progress)
    if evaluation is None:
        return
    part = part_that_fits(services, ground, waiting, candidate, evaluation, progress.pool)
    if part is not None and _release(services, ground, waiting, part, progress) is None:
        if part.request not in {released.request for released in progress.released[-1:]}:
            return
        now = services.clock()
        candidate = rest_of(candidate, part, waiting, ground, now)
        evaluation = judge(candidate, progress.pool, ground.policy, now)
    progress.left.append((candidate, evaluation))
    progress.pool = progress.pool.pass_over(candidate, evaluation.decision, ground.policy)


def _before_balances(services: Services, ground: Ground, candidate: Candidate) -> Evaluation | None:
    """Return the verdict where an account stops it, or can't be looked into; `None`: weigh it."""
    for draw in candidate.draws:
        there = ground.accounts[draw.account]
        stop = check_drawn_on(candidate, draw.account, there.standing)
        if stop is not None:
            alone = len(candidate.draws) == 1 and not candidate.direct
            need = draw.need if alone else None
            return replace(without_figures(stating_exposure(stop, need)), need=need)
        if there.denied and not candidate.by_person:
            unread = without_balance(
                draw.account, candidate.deadline, services.clock(), candidate.waived
            )
            return replace(without_figures(unread), need=draw.need)
    return None


def _release(
    services: Services, ground: Ground, waiting: Waiting, candidate: Candidate, progress: Progress
) -> Evaluation | None:
    """Prepare, call, settle; return the verdict if it has to wait after all."""
    account = account_of(ground.claim.lane)
    try:
        charge = _read(services, waiting)
        heed_unheard_refunds(services, charge)
    except NotFoundError as error:
        why = f"Stripe no longer knows {waiting.charge.id}: {error}"
        return without_figures(decide(Outcome.REVIEW, Rule.NOT_REFUNDABLE, why))
    except ReadError as error:
        _pass_by(services, ground.claim, candidate.request, error)
        return None
    fresh = refreshed(candidate, waiting, charge, ground.policy)
    result = prepare(services, ground, fresh, waiting, charge, progress.pool)
    if isinstance(result, NotPrepared):
        return result.evaluation
    progress.released.append(fresh)
    progress.pool = result.left
    if isinstance(result, Pretended):
        return None
    try:
        carried = carry_out(services, result.attempt, fence=0)
    except LeaseLostError:
        # Our call took longer than the lease, and another worker looks after the attempt now.
        carried = Carried.UNKNOWN
    if carried is Carried.SHORT:
        progress.pool = progress.pool.close(draw.purse for draw in fresh.draws)
    _log.info("run.released", request=fresh.request, account=account, carried=carried)
    return None


def _read(services: Services, waiting: Waiting) -> ChargeFacts:
    with services.database.reading() as unit:
        transfers = transfers_of(unit, waiting.charge.id)
    return read_whole(services, waiting.charge.id, lives_in(waiting.charge), transfers)


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
