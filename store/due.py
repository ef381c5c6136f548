"""Whether anything is due at all: the one question an idle worker asks again and again.

It may not claim anything.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, exists, or_, select, text
from sqlmodel import col

from store.database import Unit
from store.tables.attempts import PREPARED_ONLY, ReleaseAttempt
from store.tables.guards import DUE_ONLY as GUARD_DUE_ONLY
from store.tables.guards import PayoutGuard
from store.tables.inbox import PENDING_ONLY, InboxEvent
from store.tables.installation import Chore
from store.tables.lanes import Lane
from store.tables.recovery import RecoveryAttempt
from store.tables.requests import Mode, RefundRequest


def anything_due(unit: Unit, now: datetime, mode: Mode = Mode.LIVE) -> bool:
    """Return whether an event, a lane, an attempt, a wish or a chore is due for workers of this
    mode; one round trip.
    """
    found = unit.connection().execute(_QUESTION[mode], {"mode": mode, "now": now})
    return bool(found.scalar_one())


def _question(mode: Mode) -> Select[tuple[bool]]:
    now: BindParameter[datetime] = bindparam("now")
    of_mode: BindParameter[Mode] = bindparam("mode")
    lane_free = or_(col(Lane.lease_expires_at).is_(None), col(Lane.lease_expires_at) < now)
    questions: tuple[ColumnElement[bool], ...] = (
        exists().where(text(PENDING_ONLY), col(InboxEvent.next_attempt_at) <= now),
        exists().where(
            col(Lane.mode) == of_mode,
            col(Lane.release_due_at).is_not(None),
            col(Lane.release_due_at) <= now,
            lane_free,
        ),
        exists().where(
            col(RefundRequest.mode) == of_mode,
            col(RefundRequest.decide_after).is_not(None),
            col(RefundRequest.decide_after) <= now,
        ),
        exists().where(col(Chore.due_at).is_not(None), col(Chore.due_at) <= now),
    )
    if mode is Mode.LIVE:
        # Only live requests have attempts and guards, and nobody else may call Stripe for one.
        unsettled = exists().where(text(PREPARED_ONLY), col(ReleaseAttempt.next_try_at) <= now)
        collecting = exists().where(text(PREPARED_ONLY), col(RecoveryAttempt.next_try_at) <= now)
        guard_free = or_(
            col(PayoutGuard.lease_expires_at).is_(None), col(PayoutGuard.lease_expires_at) < now
        )
        guards = exists().where(text(GUARD_DUE_ONLY), col(PayoutGuard.due_at) <= now, guard_free)
        questions = (*questions, unsettled, collecting, guards)
    return select(or_(*questions))


# Built once: an idle worker asks many times a second, and building it takes longer than asking.
_QUESTION: Final[Mapping[Mode, Select[tuple[bool]]]] = {mode: _question(mode) for mode in Mode}
