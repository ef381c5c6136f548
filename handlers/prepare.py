"""Commits the intent to release one request: the only place that writes `releasing`.

It may not call Stripe. What it reads of the charge and the balances was read before; what is
promised of them is counted anew here, under the locks.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from handlers.candidates import resplit
from handlers.caps import cap_purses, caps_left
from handlers.disputed import heed_missed_news
from handlers.ground import Ground, ensure_run, inputs_of
from handlers.review import record_decision
from handlers.services import Services
from refunds.attempt import Intent, plan_steps
from refunds.blocks import Claim, check_charge, check_drawn_on, check_parts, check_shares
from refunds.candidate import Candidate
from refunds.decision import Decision, Evaluation, Outcome, Rule
from refunds.facts import ChargeFacts
from refunds.ids import PLATFORM_LANE, AttemptId, RequestId, lane_of, mint
from refunds.lifecycle import WAITING, Bucket
from refunds.money import Currency, Money
from refunds.pool import Pool
from refunds.rules import after_release, judge
from refunds.steps import StepKind
from refunds.uncovered import uncovered_of
from store.attempts import (
    ATTEMPT_LEASE,
    add_attempt,
    has_unsettled,
    lock_purses,
    reserved_since,
)
from store.caps import add_uncovered
from store.charges import claimed_minor, lock_charge, save_charge, with_known_refunds
from store.database import Unit
from store.lanes import renew_lane
from store.ledger import Because, amounts_of, move, move_along
from store.legs import add_attempt_legs, reversed_for_others
from store.observations import standing_of
from store.parts import under_way
from store.requests import (
    Waiting,
    lock_request,
    record_evaluation,
    use_person_waiver,
    waived_rules,
)
from store.tables.attempts import ReleaseAttempt
from store.tables.ledger import SHADOW_CAUSE
from store.tables.requests import Mode, RefundRequest

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An attempt that may be carried out now."""

    attempt: AttemptId
    left: Pool
    """What the rest of the run may still promise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretended:
    """Shadow mode: it would have been released, which is recorded, and that is the end of it."""

    left: Pool
    """As of a `Prepared`: the rest of the run has to do without what it would have taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPrepared:
    """The request stays where it is, or went to review, with the verdict that was stored."""

    evaluation: Evaluation | None
    """`None`: it went to review, or another hand was faster; there is nothing left to record."""


def prepare(
    services: Services,
    ground: Ground,
    candidate: Candidate,
    row: Waiting,
    charge: ChargeFacts,
    pool: Pool,
) -> Prepared | Pretended | NotPrepared:
    """Commit one attempt, or the verdict that speaks against it.

    A shadow request gets no attempt and keeps no money: only the verdict is committed.

    Locks, in everybody's order: charge, request, lane, purses. Raise `LeaseLostError` where the
    lane was taken over; nothing is written then.
    """
    now = services.clock()
    with services.database.unit_of_work() as unit:
        save_charge(unit, charge)
        request = lock_request(unit, candidate.request)
        renew_lane(unit, ground.claim, now)
        candidate = resplit(unit, candidate, row, charge, ground.policy)
        lock_purses(unit, [*_purses(candidate), *cap_purses(candidate, ground.policy)])
        waiting = _waiting(unit, request, candidate, now)
        if waiting is None:
            return NotPrepared(evaluation=None)
        bucket, whole_minor = waiting
        stop = _what_stops(unit, request, charge, whole_minor, candidate, now)
        if stop is not None:
            _stop(unit, request, candidate, bucket, whole_minor, stop, now)
            locked = lock_charge(unit, charge.charge)
            assert locked is not None, "saved above"
            # The charge was read a moment ago; its dispute may have ended since.
            read_at = charge.read_at
            heed_missed_news(unit, locked, request, since=read_at, now=now, cause="release")
            return NotPrepared(evaluation=None)
        if has_unsettled(unit, charge.charge):
            # Another attempt on this payment may use up its own pending money: count it once.
            candidate = candidate.without_own_pending()
        exact = _counted_again(unit, ground, candidate, pool, now)
        evaluation = judge(candidate, exact, ground.policy, now)
        if evaluation.decision.outcome is not Outcome.RELEASE:
            return NotPrepared(evaluation=evaluation)
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
        going = _Going(
            ground=ground,
            request=request,
            bucket=bucket,
            amount=candidate.amount,
            charge=charge,
            candidate=candidate,
            evaluation=evaluation,
            pool=exact,
        )
        if request.mode is Mode.SHADOW:
            return _pretend(unit, going, now)
        return _commit(unit, going, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Going:
    """A request that may go, and everything its attempt is made from."""

    ground: Ground
    request: RefundRequest
    bucket: Bucket
    """Where its amount lies now."""
    amount: Money
    charge: ChargeFacts
    candidate: Candidate
    evaluation: Evaluation
    pool: Pool
    """As the locked purses show it."""


def _pretend(unit: Unit, going: _Going, now: datetime) -> Pretended:
    candidate, evaluation = going.candidate, going.evaluation
    if candidate.by_person:
        use_person_waiver(unit, going.request.id, now)
    because = Because(
        at=now,
        cause=SHADOW_CAUSE,
        why=f"Shadow mode: it would have been released. {evaluation.decision.why}",
        need=evaluation.need,
    )
    move(unit, going.request, going.bucket, Bucket.CANCELED, going.amount.amount_minor, because)
    _log.info("request.would_release", request=going.request.id, run=going.ground.run)
    return Pretended(left=after_release(going.pool, candidate, evaluation))


def _commit(unit: Unit, going: _Going, now: datetime) -> Prepared:
    ground, request, charge = going.ground, going.request, going.charge
    candidate, evaluation, amount = going.candidate, going.evaluation, going.amount
    attempt = AttemptId(mint("ra", now))
    need = evaluation.need
    short = bool(evaluation.shortfalls)
    uncovered = uncovered_of(candidate, evaluation)
    calls = plan_steps(
        charge,
        Intent(
            request=RequestId(request.id),
            attempt=attempt,
            amount=amount,
            legs=candidate.legs,
            uncovered=bool(uncovered),
            spare_minor=going.pool.spare_for(candidate),
            refund_application_fee=request.refund_application_fee,
            reason=request.reason,
        ),
    )
    took = going.pool.takes_of(candidate)
    reserve = [
        (PLATFORM_LANE, candidate.platform_cost),
        *(
            (lane_of(account), Money(minor, currency))
            for (account, currency), minor in took.items()
        ),
    ]
    add_attempt(
        unit,
        ReleaseAttempt(
            id=attempt,
            request_id=request.id,
            run_id=ground.run,
            charge_id=charge.charge,
            lane=ground.claim.lane,
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            need_minor=need.amount_minor if need else None,
            need_currency=need.currency if need else None,
            # A reversal after the refund may be refused: the account owes what it was to take.
            uncovered=bool(uncovered) or calls[-1].kind is StepKind.REVERSAL,
            queued=short and candidate.may_overdraw,
            prepared_at=now,
            next_try_at=now + ATTEMPT_LEASE,
            claimed_by=ground.claim.worker,
        ),
        calls,
        [(holder, amount) for holder, amount in reserve if amount.amount_minor > 0],
    )
    add_uncovered(unit, attempt, uncovered, by_rule=not candidate.by_person, now=now)
    if charge.lives_in is None:
        add_attempt_legs(unit, attempt, candidate.legs)
    if candidate.by_person:
        use_person_waiver(unit, request.id, now)
    because = Because(
        at=now,
        cause="person" if candidate.by_person else ground.claim.cause,
        why=evaluation.decision.why,
        attempt=attempt,
        need=need,
    )
    drawn_on_account = (
        bool(candidate.legs) and not candidate.may_overdraw and going.bucket is Bucket.REQUESTED
    )
    turn = (Bucket.HELD,) if drawn_on_account else ()
    path = (going.bucket, *turn, Bucket.RELEASING)
    move_along(unit, request, path, amount.amount_minor, because)
    request.not_before = None
    unit.add(request)
    _log.info("attempt.prepared", attempt=attempt, request=request.id, run=ground.run)
    return Prepared(attempt=attempt, left=after_release(going.pool, candidate, evaluation))


def _waiting(
    unit: Unit, request: RefundRequest, candidate: Candidate, now: datetime
) -> tuple[Bucket, int] | None:
    if candidate.by_person and Rule.PERSON not in waived_rules(unit, request.id, now):
        # Void: another hand's refund became known after this run had read the waiver.
        return None
    if under_way(unit, request.id):
        # A part of it, without an outcome yet: the next one waits for that.
        return None
    amounts = amounts_of(unit, RequestId(request.id))
    takes_from = (Bucket.REVIEW,) if candidate.by_person else ()
    whole_minor = (candidate.part_of or candidate.amount).amount_minor
    for bucket in (Bucket.HELD, Bucket.REQUESTED, *takes_from):
        # Another amount than the one that was weighed: another hand was faster.
        if amounts.get(bucket) == whole_minor:
            return bucket, whole_minor
    return None


def _what_stops(
    unit: Unit,
    request: RefundRequest,
    charge: ChargeFacts,
    amount_minor: int,
    candidate: Candidate,
    now: datetime,
) -> Decision | None:
    waived = waived_rules(unit, request.id, now)
    for draw in candidate.draws:
        standing = standing_of(unit, draw.account)
        stop = check_drawn_on(replace(candidate, waived=waived), draw.account, standing)
        if stop is not None:
            return stop
    weighed = replace(candidate, waived=waived)
    stop = check_parts(weighed, charge)
    if stop is None and candidate.split is not None:
        stop = check_shares(weighed, reversed_for_others(unit, charge.charge, request.id))
    if stop is not None:
        return stop
    return check_charge(
        with_known_refunds(unit, charge),
        Claim(
            amount=Money(amount_minor, charge.amount.currency),
            other_open_minor=claimed_minor(
                unit, charge.charge, request.mode, RequestId(request.id)
            ),
        ),
        at_intake=False,
    )


def _stop(
    unit: Unit,
    request: RefundRequest,
    candidate: Candidate,
    bucket: Bucket,
    amount_minor: int,
    stop: Decision,
    now: datetime,
) -> None:
    if bucket in WAITING:
        because = Because(at=now, cause="release", why=stop.why)
        move(unit, request, bucket, Bucket.REVIEW, amount_minor, because)
    if candidate.by_person:
        # A person's release that can't be done is used up: it must not be tried for ever. One that
        # came while this run was under way is for the next run.
        use_person_waiver(unit, request.id, now)
    record_decision(unit, request, stop, now=now, cause="release")


def _counted_again(
    unit: Unit, ground: Ground, candidate: Candidate, pool: Pool, now: datetime
) -> Pool:
    """Return the pool as the locked purses show it: other lanes draw on the platform, too."""
    cost = candidate.platform_cost.currency
    platform_minor = ground.platform.available_in(cost) - reserved_since(
        unit, ground.platform_mark, cost
    )
    accounts = {
        draw.purse: there.balance.available_in(draw.need.currency)
        - reserved_since(unit, there.mark, draw.need.currency)
        - there.queued.get(draw.need.currency, 0)
        - there.minimum.get(draw.need.currency, 0)
        for draw in candidate.draws
        if (there := ground.accounts[draw.account]).balance is not None
    }
    caps = caps_left(unit, ground.policy, [draw.purse for draw in candidate.draws], now)
    return replace(
        pool,
        platform={**pool.platform, cost: platform_minor},
        account={**pool.account, **accounts},
        caps=pool.caps.at_most(caps),
    )


def _purses(candidate: Candidate) -> list[tuple[str, Currency]]:
    ours: tuple[str, Currency] = (PLATFORM_LANE, candidate.platform_cost.currency)
    return [ours, *((lane_of(draw.account), draw.need.currency) for draw in candidate.draws)]
