"""The payout guard of one account, from claim to end: what is open, what is set, what to write.

It may not be started but by a claim on a due guard, it never enters what a release may spend, and
in shadow mode it does nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from gateway.port import ReadError, UnavailableError
from handlers import circuit
from handlers.acquaintance import known_account
from handlers.candidates import legs_for, split_for
from handlers.guard_state import record_notes, record_state
from handlers.guard_write import (
    REPLAYED,
    Written,
    abandon,
    prepare_write,
    send,
    settle_by_looking,
)
from handlers.policies import policy_of
from handlers.services import Services
from handlers.signals import announce_work
from refunds.attempt import SAME_KEY_FOR
from refunds.errors import LeaseLostError
from refunds.guard import (
    Demand,
    Effect,
    Guarded,
    GuardState,
    Wanted,
    effect_of,
    plan_guard,
    wanted_of,
    what_blocks,
)
from refunds.ids import AccountId, lane_of
from refunds.money import Money
from refunds.payout_settings import PayoutSettings
from refunds.policy import PayoutGuard, Policy
from refunds.retry import REFUSED_BACKOFF, UNSETTLED_BACKOFF, Backoff, RetryAt
from refunds.steps import Trouble
from store.affected import lane_has_work
from store.charges import facts_of
from store.database import Unit
from store.guard_demand import wanting_money
from store.guard_marks import (
    GuardClaim,
    claim_due_guard,
    finish_guard,
    postpone_guard,
)
from store.guards import changes_of, guarded_of, open_attempt
from store.lanes import mark_due
from store.tables.guards import GuardAttempt
from store.tables.requests import Mode

_log = structlog.get_logger(__name__)

CAUSE: Final = "guard"
_DENIED: Final = (
    "Stripe does not let this key read or change how the account is paid out: give it the "
    "permission for balance settings of connected accounts."
)


def guard_due_account(services: Services) -> bool:
    """Look after the guard that has been due longest; return whether one was due."""
    if services.mode is not Mode.LIVE:
        return False
    with services.database.unit_of_work() as unit:
        claim = claim_due_guard(unit, services.worker, services.clock())
    if claim is None:
        return False
    log = _log.bind(account=claim.account, fence=claim.fence, cause=claim.cause)
    try:
        _guard(services, claim)
    except UnavailableError as error:
        _unavailable(services, claim, error)
        log.warning("guard.postponed", trouble=error.trouble, reason=str(error))
    except ReadError as error:
        _postpone(services, claim, UNSETTLED_BACKOFF)
        log.warning("guard.unreadable", reason=str(error), stripe_request=error.stripe_request)
    except LeaseLostError:
        log.warning("guard.lease_lost")
    return True


def _guard(services: Services, claim: GuardClaim) -> None:
    wait_until = circuit.closed_until(services, claim.account)
    if wait_until is not None:
        with services.database.unit_of_work() as unit:
            postpone_guard(unit, claim, wait_until, failed=False)
        return
    blocked = _what_blocks(services, claim.account)
    if blocked is not None:
        _end(services, claim, GuardState.BLOCKED, blocked)
        return
    found = _books(services, claim.account)
    if not (found.wanted.settings or found.guarded or found.attempt):
        _end(services, claim, GuardState.OFF, found.wanted.why)
        return
    if found.agree and not claim.look:
        with services.database.unit_of_work() as unit:
            finish_guard(unit, claim)
        return
    settings = services.gateway.read_payout_settings(claim.account)
    circuit.note_success(services, None)
    if found.attempt is not None:
        if not _settle_open_attempt(services, claim, found.attempt, settings):
            return
        found = _books(services, claim.account)
        settings = services.gateway.read_payout_settings(claim.account)
    plan = plan_guard(found.wanted, found.guarded, settings)
    said = record_notes(services, claim, plan)
    if not plan.changes:
        _end(services, claim, plan.state, said or plan.why)
        return
    attempt = prepare_write(services, claim, plan, settings)
    _after(services, claim, send(services, claim, attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Books:
    """What our side says of one account."""

    wanted: Wanted
    guarded: list[Guarded]
    attempt: GuardAttempt | None

    @property
    def agree(self) -> bool:
        """Whether what was written last is what is wanted: nothing needs to be asked then."""
        names = {each.setting for each in self.guarded}
        return (
            self.attempt is None
            and names == self.wanted.settings
            and all(
                each.written == self.wanted.over(each.setting, each.own) for each in self.guarded
            )
        )


def _books(services: Services, account: AccountId) -> _Books:
    with services.database.reading() as unit:
        return _Books(
            wanted=_wanted(services, unit, account),
            guarded=guarded_of(unit, account),
            attempt=open_attempt(unit, account),
        )


def _wanted(services: Services, unit: Unit, account: AccountId) -> Wanted:
    policy = policy_of(services, unit, account)
    now = services.clock()
    if policy.payout_guard is PayoutGuard.OFF:
        return wanted_of((), policy, now)
    return wanted_of(_demands(unit, account, policy, now), policy, now)


def _demands(unit: Unit, account: AccountId, policy: Policy, now: datetime) -> list[Demand]:
    return [
        Demand(
            created=each.request.created,
            amount=Money(leg.need.total_minor, leg.need.currency),
        )
        for each in wanting_money(unit, account)
        for leg in legs_for(
            facts_of(each.charge),
            split_for(unit, each.request, each.charge),
            each.amount_minor,
            policy,
            stale_at=now,
        )
        if leg.account == account
    ]


def _what_blocks(services: Services, account: AccountId) -> str | None:
    row = known_account(services, account)
    return what_blocks(
        row.standing,
        country=row.country,
        platform_controlled=row.platform_controlled,
    )


def _settle_open_attempt(
    services: Services, claim: GuardClaim, attempt: GuardAttempt, settings: PayoutSettings
) -> bool:
    """Find out what became of a write whose answer nobody committed; return whether that is known.

    What stands at Stripe says it: ours, what was there before, or somebody else's, which a repeated
    call would overwrite.
    """
    effect = effect_of(changes_of(attempt), settings)
    if effect is not Effect.NOT_SEEN:
        settle_by_looking(services, claim, attempt, effect)
        return True
    forgotten = services.clock() - attempt.prepared_at >= SAME_KEY_FOR
    if forgotten or attempt.last_trouble == REPLAYED:
        abandon(services, claim, attempt)
        return True
    written = send(services, claim, attempt)
    if written is Written.DONE:
        return True
    _after(services, claim, written)
    return False


def _after(services: Services, claim: GuardClaim, written: Written) -> None:
    match written:
        case Written.DONE:
            with services.database.unit_of_work() as unit:
                finish_guard(unit, claim)
            _wake_lane(services, claim.account)
        case Written.UNKNOWN:
            _postpone(services, claim, UNSETTLED_BACKOFF)
        case Written.DENIED:
            record_state(services, claim, GuardState.BLOCKED, _DENIED)
            _postpone(services, claim, REFUSED_BACKOFF)
        case Written.REFUSED:
            _postpone(services, claim, REFUSED_BACKOFF)


def _unavailable(services: Services, claim: GuardClaim, error: UnavailableError) -> None:
    """Wait. A denial here is about settings: it must not close the account to refunds as well."""
    try:
        if error.trouble is Trouble.DENIED:
            record_state(services, claim, GuardState.BLOCKED, _DENIED)
            _postpone(services, claim, REFUSED_BACKOFF)
            return
        circuit.note_trouble(services, error.account, error.trouble)
        _postpone(services, claim, UNSETTLED_BACKOFF)
    except LeaseLostError:
        _log.warning("guard.lease_lost", account=claim.account)


def _postpone(services: Services, claim: GuardClaim, backoff: Backoff) -> None:
    again = backoff.after(claim.failures + 1, services.clock(), services.jitter())
    assert isinstance(again, RetryAt), "a guard is never given up"
    with services.database.unit_of_work() as unit:
        postpone_guard(unit, claim, again.at, failed=True)


def _end(services: Services, claim: GuardClaim, state: GuardState, why: str) -> None:
    changed = record_state(services, claim, state, why)
    with services.database.unit_of_work() as unit:
        finish_guard(unit, claim)
    if changed:
        _wake_lane(services, claim.account)


def _wake_lane(services: Services, account: AccountId) -> None:
    """Let what waits be judged anew: how far its estimate can be believed depends on the guard."""
    lane = lane_of(account)
    with services.database.unit_of_work() as unit:
        if lane_has_work(unit, lane):
            mark_due(unit, lane, services.clock(), CAUSE)
            announce_work(unit)
