"""Changes an account's payout settings: prepare, call, settle.

It may not choose what to write. The operator's own value, the key and the exact parameters are
committed before the call.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

import structlog

from handlers import circuit
from handlers.guard_state import set_state
from handlers.services import Services
from refunds.attempt import AttemptState
from refunds.guard import (
    Change,
    Effect,
    GuardAct,
    GuardPlan,
    GuardState,
    effect_of,
)
from refunds.ids import mint
from refunds.payout_settings import (
    PayoutSettings,
    SettingValue,
    settings_params,
    told_setting,
    told_value,
)
from refunds.steps import Refused, Trouble, Unknown
from store.database import Unit
from store.guard_marks import GuardClaim, renew_guard
from store.guards import (
    add_attempt,
    add_entry,
    changes_of,
    drop_guarded,
    guarded_of,
    keep_own,
    note_written,
    open_attempt,
    plain_changes,
    settle_attempt,
    write_of,
)
from store.tables.guards import GuardAttempt, PayoutGuard

_log = structlog.get_logger(__name__)


REPLAYED: Final = "replayed"
"""Stripe is through with a call and only repeats that it went wrong: what does not show in the
settings by now never will.
"""


class Written(StrEnum):
    """What came of a write."""

    DONE = "done"
    REFUSED = "refused"
    DENIED = "denied"
    UNKNOWN = "unknown"


def prepare_write(
    services: Services, claim: GuardClaim, plan: GuardPlan, settings: PayoutSettings
) -> GuardAttempt:
    """Commit the operator's own values, the key and the parameters."""
    now = services.clock()
    attempt_id = mint("ga", now)
    after = {change.setting: change.after for change in plan.changes}
    attempt = GuardAttempt(
        id=attempt_id,
        account=claim.account,
        idempotency_key=f"sluice-{attempt_id}",
        params=settings_params(settings, after),
        changes=plain_changes(plan.changes),
        target=plan.state,
        why=plan.why,
        cause=claim.cause,
        prepared_at=now,
    )
    with services.database.unit_of_work() as unit:
        renew_guard(unit, claim, now)
        add_attempt(unit, attempt)
        for change in plan.changes:
            if keep_own(unit, claim.account, change, now):
                _enter(unit, claim, change, GuardAct.KEPT, now, change.own, attempt)
    return attempt


def send(services: Services, claim: GuardClaim, attempt: GuardAttempt) -> Written:
    """Make the call under the attempt's key and settle what it brought."""
    outcome = services.gateway.write_payout_settings(write_of(attempt))
    _note_health(services, claim, outcome)
    now = services.clock()
    with services.database.unit_of_work() as unit:
        row = renew_guard(unit, claim, now)
        current = open_attempt(unit, claim.account)
        if current is None or current.id != attempt.id:
            # Somebody settled it from what stands at Stripe while our answer was on its way.
            return Written.UNKNOWN
        match outcome:
            case PayoutSettings():
                if effect_of(changes_of(current), outcome) is Effect.SEEN:
                    _settle_done(unit, claim, row, current, now)
                    return Written.DONE
                # Answered, and not as asked: what stands there decides the next time.
                _log.error("guard.unexplained", account=claim.account, attempt=attempt.id)
                _note_trouble(unit, current, "unexplained")
                return Written.UNKNOWN
            case Refused():
                _settle_refused(unit, claim, row, current, outcome, now)
                return Written.REFUSED
            case Unknown():
                _note_trouble(unit, current, REPLAYED if outcome.replayed else outcome.trouble)
                denied = outcome.trouble is Trouble.DENIED
                return Written.DENIED if denied else Written.UNKNOWN
            case _:
                assert_never(outcome)


def settle_by_looking(
    services: Services, claim: GuardClaim, attempt: GuardAttempt, effect: Effect
) -> None:
    """Settle an attempt whose answer was lost by what stands at Stripe now.

    Where another hand wrote since, ours counts as written: what stands there instead is then told,
    and left alone.
    """
    now = services.clock()
    with services.database.unit_of_work() as unit:
        row = renew_guard(unit, claim, now)
        current = open_attempt(unit, claim.account)
        if current is None or current.id != attempt.id:
            return
        if effect is Effect.SEEN:
            _settle_done(unit, claim, row, current, now)
            return
        _note_trouble(unit, current, "overtaken")
        settle_attempt(unit, current, AttemptState.DONE, now)
        for change in changes_of(current):
            note_written(unit, claim.account, change)
            if change.ends:
                _enter(unit, claim, change, GuardAct.LEFT, now, None, current)
    _log.warning("guard.overtaken", account=claim.account, attempt=attempt.id)


def abandon(services: Services, claim: GuardClaim, attempt: GuardAttempt) -> None:
    """End an attempt that never showed at Stripe and whose key may be forgotten there."""
    now = services.clock()
    with services.database.unit_of_work() as unit:
        renew_guard(unit, claim, now)
        current = open_attempt(unit, claim.account)
        if current is not None and current.id == attempt.id:
            settle_attempt(unit, current, AttemptState.NEVER_EXECUTED, now)


def _settle_done(
    unit: Unit, claim: GuardClaim, row: PayoutGuard, attempt: GuardAttempt, now: datetime
) -> None:
    settle_attempt(unit, attempt, AttemptState.DONE, now)
    told = []
    for change in changes_of(attempt):
        note_written(unit, claim.account, change)
        act = GuardAct.RESTORED if change.ends else GuardAct.WRITTEN
        _enter(unit, claim, change, act, now, change.after, attempt)
        told.append(
            f"The {told_setting(change.setting)} was {told_value(change.setting, change.before)} "
            f"and is {told_value(change.setting, change.after)}"
            f"{', as it was before the guard' if change.ends else ''}."
        )
    _log.info("guard.written", account=claim.account, attempt=attempt.id, state=attempt.target)
    why = " ".join([attempt.why, *told])
    set_state(unit, claim, row, attempt.target, why, now)


def _settle_refused(
    unit: Unit,
    claim: GuardClaim,
    row: PayoutGuard,
    attempt: GuardAttempt,
    refusal: Refused,
    now: datetime,
) -> None:
    settle_attempt(unit, attempt, AttemptState.REFUSED, now)
    why = (
        f"Stripe refused to change how the account is paid out "
        f"({refusal.code or refusal.http_status}): {refusal.message}"
    )
    never_written = {
        each.setting
        for each in guarded_of(unit, claim.account)
        if each.written == each.own and not each.drifted
    }
    for change in changes_of(attempt):
        add_entry(
            unit,
            claim.account,
            change.setting,
            GuardAct.REFUSED,
            at=now,
            before=change.before,
            after=change.after,
            cause=claim.cause,
            why=why,
            attempt=attempt.id,
        )
        if change.setting in never_written:
            drop_guarded(unit, claim.account, change.setting)
    set_state(unit, claim, row, GuardState.BLOCKED, why, now)


def _enter(
    unit: Unit,
    claim: GuardClaim,
    change: Change,
    act: GuardAct,
    now: datetime,
    after: SettingValue,
    attempt: GuardAttempt,
) -> None:
    add_entry(
        unit,
        claim.account,
        change.setting,
        act,
        at=now,
        before=change.before,
        after=after,
        cause=claim.cause,
        why=attempt.why,
        attempt=attempt.id,
    )


def _note_trouble(unit: Unit, attempt: GuardAttempt, trouble: str) -> None:
    attempt.tries += 1
    attempt.last_trouble = trouble
    unit.add(attempt)


def _note_health(
    services: Services, claim: GuardClaim, outcome: PayoutSettings | Refused | Unknown
) -> None:
    if not isinstance(outcome, Unknown):
        circuit.note_success(services, None)
    elif outcome.trouble is not Trouble.DENIED and not outcome.replayed:
        # A denial is about settings: it must not close the account to refunds as well.
        circuit.note_trouble(services, claim.account, outcome.trouble)
