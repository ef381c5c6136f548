"""What a person may do with a request: approve, release, cancel, close. Each leaves an audit row.

It may not call Stripe or write `releasing`: a person's release is a stored waiver that the lane's
next run honours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog

from handlers.give_back import let_go
from handlers.policies import policy_of
from handlers.services import Services
from handlers.signals import announce_work
from refunds.decision import Outcome, Rule
from refunds.errors import InvalidWishError, WrongStateError
from refunds.facts import RefundStatus
from refunds.ids import LaneId, RequestId, account_of
from refunds.lifecycle import Bucket, Status
from refunds.money import Currency, Money
from store.charges import claimed_minor, load_charge, lock_charge, with_known_refunds
from store.database import Unit
from store.installation import record_action
from store.lanes import mark_due
from store.ledger import Because, amounts_of, move
from store.observations import refunds_of_request
from store.outbox import tell_of_bucket
from store.requests import add_waiver, get_request, latest_evaluation, lock_request, waived_rules
from store.tables.requests import RefundRequest

_log = structlog.get_logger(__name__)

NOTE_CHARACTERS_MAX: Final = 1_000


class Action(StrEnum):
    """What a person can do with a request."""

    APPROVE = "approve"
    RELEASE = "release"
    CANCEL = "cancel"
    CLOSE = "close"


_FROM: Final[Mapping[Action, frozenset[Bucket]]] = {
    Action.APPROVE: frozenset({Bucket.REVIEW}),
    Action.RELEASE: frozenset({Bucket.REVIEW, Bucket.HELD, Bucket.REQUESTED}),
    Action.CANCEL: frozenset({Bucket.REQUESTED, Bucket.HELD, Bucket.REVIEW}),
    Action.CLOSE: frozenset({Bucket.HELD, Bucket.REVIEW}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """Who asked for an action, why, and when."""

    note: str
    actor: str
    at: datetime
    hold_for: timedelta
    """How long the policy lets the request wait."""


def act(services: Services, action: Action, request: RequestId, *, note: str, actor: str) -> None:
    """Do what a person asked, with their reason.

    Raise `InvalidWishError` without a note, `RequestNotFoundError`, or `WrongStateError` where the
    request's state does not allow it.
    """
    with services.database.unit_of_work() as unit:
        act_within(unit, services, action, request, note=note, actor=actor)


def act_within(
    unit: Unit,
    services: Services,
    action: Action,
    request: RequestId,
    *,
    note: str,
    actor: str,
) -> None:
    """Do what a person asked as a part of the caller's unit of work; raise what `act` raises."""
    if not note.strip() or len(note) > NOTE_CHARACTERS_MAX or "\x00" in note:
        raise InvalidWishError(
            f"say why: a note of 1 to {NOTE_CHARACTERS_MAX} characters", param="note"
        )
    now = services.clock()
    charge = get_request(unit, request).charge_id
    if charge is not None:
        lock_charge(unit, charge)
    row = lock_request(unit, request)
    before = _picture(unit, row)
    amounts = _allowed(unit, row, action)
    account = None if row.lane is None else account_of(LaneId(row.lane))
    hold_for = policy_of(services, unit, account).hold_for
    order = _Order(note=note, actor=actor, at=now, hold_for=hold_for)
    _ACTIONS[action](unit, row, amounts, order)
    record_action(
        unit,
        at=now,
        actor=actor,
        action=action,
        subject=request,
        note=note,
        before=before,
        after=_picture(unit, row),
    )
    unit.after_commit(
        lambda: _log.info("request.operated", request=request, action=action, actor=actor)
    )


def _allowed(unit: Unit, row: RefundRequest, action: Action) -> dict[Bucket, int]:
    """Return what the action may take, or say why it may not."""
    sources = _FROM[action]
    amounts = {b: m for b, m in amounts_of(unit, RequestId(row.id)).items() if b in sources}
    undecided = row.status is Status.REQUESTED and row.decide_after is not None
    if not amounts and not (undecided and action is Action.CANCEL):
        raise WrongStateError(row.id, action, row.status, _words(sources))
    waits_for_buyer = any(
        refund.status is RefundStatus.REQUIRES_ACTION for refund in refunds_of_request(unit, row.id)
    )
    if waits_for_buyer and Bucket.REVIEW in amounts:
        # The refund lives at Stripe: letting go of its amount here could pay the buyer twice.
        raise WrongStateError(
            row.id, action, "waiting for the buyer at Stripe", "no live refund of it at Stripe"
        )
    return amounts


def _approve(
    unit: Unit,
    row: RefundRequest,
    amounts: Mapping[Bucket, int],
    order: _Order,
) -> None:
    _check_room(unit, row, amounts)
    latest = latest_evaluation(unit, row)
    if latest is not None and latest.outcome is Outcome.REVIEW:
        _waive(unit, row, latest.rule, amounts, order)
    _let_wait(unit, row, amounts, order)
    _move_all(unit, row, amounts, Bucket.HELD, "Approved", order)
    _due(unit, row, order.at)


def _check_room(unit: Unit, row: RefundRequest, amounts: Mapping[Bucket, int]) -> None:
    """Refuse to put back on hold what another hand's refund has left no room for."""
    charge = None if row.charge_id is None else load_charge(unit, row.charge_id)
    if charge is None:
        return
    others_minor = claimed_minor(unit, charge.charge, row.mode, RequestId(row.id))
    left_minor = with_known_refunds(unit, charge).remaining_minor - others_minor
    if sum(amounts.values()) > left_minor:
        left = Money(max(0, left_minor), charge.amount.currency)
        raise WrongStateError(row.id, "approve", f"more than the {left} left", "no more than that")


def _release(
    unit: Unit,
    row: RefundRequest,
    amounts: Mapping[Bucket, int],
    order: _Order,
) -> None:
    if Rule.PERSON in waived_rules(unit, row.id, order.at):
        raise WrongStateError(row.id, "release", "released by a person already", "no such waiver")
    _waive(unit, row, Rule.PERSON, amounts, order)
    # Should the platform be short, it waits and is sent later.
    _let_wait(unit, row, amounts, order)
    row.not_before = None
    unit.add(row)
    _due(unit, row, order.at)


def _let_wait(unit: Unit, row: RefundRequest, amounts: Mapping[Bucket, int], order: _Order) -> None:
    """Let an overdue request go on waiting: who wants it paid knows that it is overdue, and the
    next run would take it from them otherwise.
    """
    overdue = order.at >= row.deadline
    if overdue and Rule.DEADLINE not in waived_rules(unit, row.id, order.at):
        _waive(unit, row, Rule.DEADLINE, amounts, order)


def _waive(
    unit: Unit, row: RefundRequest, rule: Rule, amounts: Mapping[Bucket, int], order: _Order
) -> None:
    """Store a person's permission. One to wait on past the deadline holds for as long as the
    policy lets a request wait, then the deadline counts again.
    """
    add_waiver(
        unit,
        row,
        rule,
        _sum(row, amounts),
        actor=order.actor,
        note=order.note,
        now=order.at,
        expires_at=order.at + order.hold_for if rule is Rule.DEADLINE else None,
    )


def _cancel(
    unit: Unit,
    row: RefundRequest,
    amounts: Mapping[Bucket, int],
    order: _Order,
) -> None:
    if row.decide_after is not None:
        row.decide_after = None
        row.status = Status.CANCELED
        unit.add(row)
        why = f"Canceled by {order.actor}: {order.note}"
        tell_of_bucket(unit, row, Bucket.CANCELED, at=order.at, why=why)
        return
    _move_all(unit, row, amounts, Bucket.CANCELED, "Canceled", order)
    _let_go(unit, row, amounts, order)


def _close(
    unit: Unit,
    row: RefundRequest,
    amounts: Mapping[Bucket, int],
    order: _Order,
) -> None:
    _move_all(unit, row, amounts, Bucket.CLOSED, "Closed", order)
    _let_go(unit, row, amounts, order)


def _let_go(unit: Unit, row: RefundRequest, amounts: Mapping[Bucket, int], order: _Order) -> None:
    """Give accounts back what was reversed for a refund that will not be made now."""
    if let_go(unit, row, sum(amounts.values()), order.at):
        announce_work(unit)


_Act = Callable[[Unit, RefundRequest, Mapping[Bucket, int], _Order], None]
_ACTIONS: Final[Mapping[Action, _Act]] = {
    Action.APPROVE: _approve,
    Action.RELEASE: _release,
    Action.CANCEL: _cancel,
    Action.CLOSE: _close,
}


def _move_all(
    unit: Unit,
    row: RefundRequest,
    amounts: Mapping[Bucket, int],
    target: Bucket,
    done: str,
    order: _Order,
) -> None:
    why = f"{done} by {order.actor}: {order.note}"
    because = Because(at=order.at, cause="person", why=why, actor=order.actor)
    for bucket, amount_minor in amounts.items():
        move(unit, row, bucket, target, amount_minor, because)


def _due(unit: Unit, row: RefundRequest, now: datetime) -> None:
    assert row.lane is not None, "what has an amount has a lane"
    mark_due(unit, LaneId(row.lane), now, "person", row.mode)


def _sum(row: RefundRequest, amounts: Mapping[Bucket, int]) -> Money:
    assert row.currency is not None, "what has an amount has a currency"
    return Money(sum(amounts.values()), Currency(row.currency))


def _picture(unit: Unit, row: RefundRequest) -> dict[str, object]:
    amounts = amounts_of(unit, RequestId(row.id))
    return {"status": row.status, "amounts": {str(b): m for b, m in amounts.items()}}


def _words(buckets: frozenset[Bucket]) -> str:
    return " or ".join(sorted(buckets))
