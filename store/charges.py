"""Charges as last read, and the row lock under which their capacity is divided.

It may not decide whether a refund fits; it counts what is claimed.
"""

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, func, text, union
from sqlmodel import col, select

from refunds.facts import (
    NOT_LIVE,
    ChargeFacts,
    ChargeType,
    RefundStatus,
    SettlementFacts,
    TransferFacts,
)
from refunds.ids import AccountId, ChargeId, LaneId, PaymentIntentId, RequestId, TransferId
from refunds.lifecycle import OPEN, Bucket
from refunds.money import Currency, Money
from store.database import Unit
from store.legs import save_transfers
from store.tables.observations import Refund
from store.tables.requests import (
    MOVING_ONLY,
    WAITING_ONLY,
    Charge,
    Mode,
    RefundRequest,
    RequestBucket,
)
from store.upsert import insert_or_ignore

# Built once: building a statement takes longer than running it.
_LOCKED: Final = (
    select(Charge)
    .where(col(Charge.id) == bindparam("charge"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_KNOWN: Final = (
    select(func.coalesce(func.sum(Refund.amount_minor), 0))
    .where(col(Refund.charge_id) == bindparam("charge"))
    .where(col(Refund.status).not_in(NOT_LIVE))
)
_WAITING_FOR_BUYER: Final = (
    select(func.coalesce(func.sum(Refund.amount_minor), 0))
    .where(col(Refund.charge_id) == bindparam("charge"), col(Refund.attempt_id).is_not(None))
    .where(col(Refund.status) == RefundStatus.REQUIRES_ACTION)
)
_IN_BUCKETS: Final = (
    select(func.coalesce(func.sum(RequestBucket.amount_minor), 0))
    .join(RefundRequest, col(RefundRequest.id) == col(RequestBucket.request_id))
    .where(col(RefundRequest.charge_id) == bindparam("charge"))
    .where(col(RefundRequest.mode) == bindparam("mode"))
    .where(col(RequestBucket.bucket).in_(bindparam("buckets", expanding=True)))
)
_WITH_STRIPE: Final = frozenset({Bucket.RELEASING, Bucket.REVERSED})
"""Buckets of which Stripe may have made a refund already, without our knowing."""


def save_charge(unit: Unit, facts: ChargeFacts) -> None:
    """Store what was read, locking the charge's row; older news never overwrites newer."""
    values = _values(facts)
    if not insert_or_ignore(unit, Charge, **values):
        row = lock_charge(unit, facts.charge)
        assert row is not None, "a charge row is never deleted"
        if row.read_at <= facts.read_at:
            if (row.charge_type, facts.charge_type) == (ChargeType.SEPARATE, ChargeType.PLATFORM):
                # Its requests would lose their transfers, and the platform would pay it all.
                values["charge_type"] = row.charge_type
            row.sqlmodel_update(values)
            unit.add(row)
    save_transfers(unit, facts.charge, facts.transfers, facts.read_at)


def lock_charge(unit: Unit, charge: ChargeId | str) -> Charge | None:
    """Return the charge's row, locked until the unit ends (SQLite: the whole unit is alone)."""
    return unit.exec(_LOCKED, params={"charge": charge}).one_or_none()


def load_charge(unit: Unit, charge: ChargeId | str) -> ChargeFacts | None:
    """Return the charge as last read."""
    row = unit.get(Charge, charge)
    return None if row is None else facts_of(row)


def open_requests(
    unit: Unit, charge: ChargeId | str, mode: Mode | None = None
) -> list[RefundRequest]:
    """Return the requests of a charge that still have money without a refund, oldest first.

    `mode` narrows them to one: a shadow request is in no live one's way.
    """
    statement = (
        select(RefundRequest)
        .where(col(RefundRequest.charge_id) == charge)
        .where(
            select(RequestBucket.request_id)
            .where(col(RequestBucket.request_id) == col(RefundRequest.id))
            .where(col(RequestBucket.bucket).in_(OPEN), col(RequestBucket.amount_minor) > 0)
            .exists()
        )
        .order_by(col(RefundRequest.id))
    )
    if mode is not None:
        statement = statement.where(col(RefundRequest.mode) == mode)
    return list(unit.exec(statement))


def claimed_minor(
    unit: Unit, charge: ChargeId | str, mode: Mode, besides: RequestId | None = None
) -> int:
    """Return what open requests of one mode claim of a charge and have not sent yet, `besides`
    aside.

    What is being released stands in `with_known_refunds`. A refund that waits for its buyer
    (requires_action) is counted by Stripe already.
    """
    waiting = _WAITING_FOR_BUYER
    if besides is not None:
        waiting = waiting.where(col(Refund.request_id) != besides)
    unsent_minor = _in_buckets(unit, charge, OPEN - _WITH_STRIPE, mode, besides)
    # Nothing of a shadow request is ever at Stripe.
    return unsent_minor - (
        int(unit.exec(waiting, params={"charge": charge}).one()) if mode is Mode.LIVE else 0
    )


def with_known_refunds(unit: Unit, facts: ChargeFacts) -> ChargeFacts:
    """Return the charge with every refund counted that Stripe or we know of, each once.

    What is being released may be among Stripe's figure already, when its answer was lost: the
    larger of the two sums holds both readings.
    """
    known = known_refunded_minor(unit, facts.charge)
    return replace(facts, refunded_minor=max(facts.refunded_minor, known))


def uncount_refund(unit: Unit, charge: Charge, amount_minor: int) -> None:
    """Take a refund that came to nothing out of Stripe's figure, which was read while it counted.

    Were it out already, the refunds we know of hold the line until the payment is read again.
    """
    charge.refunded_minor = max(0, charge.refunded_minor - amount_minor)
    unit.add(charge)
    unit.flush()


def known_refunded_minor(unit: Unit, charge: ChargeId) -> int:
    """Return what the refunds of a charge come to that we know of, and what is being released."""
    releasing_minor = _in_buckets(unit, charge, _WITH_STRIPE, Mode.LIVE)
    known_minor = int(unit.exec(_KNOWN, params={"charge": charge}).one())
    return known_minor + releasing_minor


def _in_buckets(
    unit: Unit,
    charge: ChargeId | str,
    buckets: Set[Bucket],
    mode: Mode,
    besides: RequestId | None = None,
) -> int:
    statement = _IN_BUCKETS
    if besides is not None:
        statement = statement.where(col(RefundRequest.id) != besides)
    params = {"charge": charge, "mode": mode, "buckets": sorted(buckets)}
    return int(unit.exec(statement, params=params).one())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePlace:
    """A charge, and where Stripe has to be asked about it."""

    charge: ChargeId
    lives_in: AccountId | None
    """`None` is the platform itself."""


def unfinished_charges(
    unit: Unit, *, since: datetime, after: ChargeId | None, limit: int
) -> list[ChargePlace]:
    """Return charges, by id and after `after`, whose books may still change by Stripe's doing.

    That is: money of a request that waits, is on its way or pending; and refunds of ours made at or
    after `since`, which may still fail.
    """
    # Driven from what may still move, never from all charges there ever were.
    moving = (
        select(RefundRequest.charge_id)
        .join(RequestBucket, col(RequestBucket.request_id) == col(RefundRequest.id))
        .where(text(MOVING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RefundRequest.charge_id) > (after or ""))
    )
    young = (
        select(Refund.charge_id)
        .where(col(Refund.created) >= since, col(Refund.status).not_in(NOT_LIVE))
        .where(col(Refund.charge_id) > (after or ""))
    )
    both = union(moving, young).subquery()
    statement = (
        select(Charge.id, Charge.charge_type, Charge.account)
        .join(both, both.c.charge_id == col(Charge.id))
        .order_by(col(Charge.id))
        .limit(limit)
    )
    return [_place(*row) for row in unit.exec(statement)]


def changed_charges(unit: Unit, lane: LaneId, limit: int) -> list[ChargePlace]:
    """Return charges of requests that wait in a lane and of which a refund was read later than the
    charge itself, by id.
    """
    heard = (
        select(Refund.id)
        .where(col(Refund.charge_id) == col(Charge.id), col(Refund.read_at) > col(Charge.read_at))
        .exists()
    )
    statement = (
        select(Charge.id, Charge.charge_type, Charge.account)
        .join(RefundRequest, col(RefundRequest.charge_id) == col(Charge.id))
        .join(RequestBucket, col(RequestBucket.request_id) == col(RefundRequest.id))
        .where(text(WAITING_ONLY.replace("amount_minor", "request_bucket.amount_minor")))
        .where(col(RequestBucket.lane) == lane, heard)
        .distinct()
        .order_by(col(Charge.id))
        .limit(limit)
    )
    return [_place(*row) for row in unit.exec(statement)]


def lives_in(row: Charge) -> AccountId | None:
    """Return the account a charge lives in; `None` is the platform itself."""
    return _place(row.id, row.charge_type, row.account).lives_in


def _place(charge: str, charge_type: ChargeType, account: str | None) -> ChargePlace:
    direct = charge_type is ChargeType.DIRECT and account is not None
    return ChargePlace(
        charge=ChargeId(charge), lives_in=AccountId(account) if direct and account else None
    )


def facts_of(row: Charge) -> ChargeFacts:
    """Return the stored charge as facts."""
    settled = (
        Money(row.platform_settled_minor, Currency(row.platform_currency))
        if row.platform_settled_minor is not None and row.platform_currency is not None
        else None
    )
    return ChargeFacts(
        charge=ChargeId(row.id),
        payment_intent=PaymentIntentId(row.payment_intent) if row.payment_intent else None,
        charge_type=row.charge_type,
        livemode=row.livemode,
        amount=Money(row.amount_minor, Currency(row.currency)),
        refunded_minor=row.refunded_minor,
        refundable=row.refundable,
        disputed=row.disputed,
        payment_method=row.payment_method,
        transfer=_transfer_of(row),
        lives_in=lives_in(row),
        settlement=_settlement_of(row) if row.charge_type is ChargeType.DIRECT else None,
        application_fee_minor=row.application_fee_minor,
        platform_settled=settled,
        created=row.created,
        read_at=row.read_at,
    )


def _transfer_of(row: Charge) -> TransferFacts | None:
    if row.transfer is None or row.account is None:
        return None
    assert row.transfer_minor is not None
    assert row.transfer_currency is not None
    return TransferFacts(
        transfer=TransferId(row.transfer),
        account=AccountId(row.account),
        amount=Money(row.transfer_minor, Currency(row.transfer_currency)),
        reversed_minor=row.transfer_reversed_minor or 0,
        settlement=_settlement_of(row),
    )


def _settlement_of(row: Charge) -> SettlementFacts | None:
    if row.settled_minor is None or row.settled_currency is None:
        return None
    return SettlementFacts(
        amount=Money(row.settled_minor, Currency(row.settled_currency)),
        net_minor=row.settled_net_minor or 0,
        pending=bool(row.settled_pending),
        available_on=row.settled_available_on,
    )


def _values(facts: ChargeFacts) -> dict[str, object]:
    transfer = facts.transfer
    settlement = transfer.settlement if transfer else facts.settlement
    platform = facts.platform_settled
    return {
        "id": facts.charge,
        "payment_intent": facts.payment_intent,
        "charge_type": facts.charge_type,
        "account": facts.account,
        "livemode": facts.livemode,
        "amount_minor": facts.amount.amount_minor,
        "currency": facts.amount.currency,
        "refunded_minor": facts.refunded_minor,
        "refundable": facts.refundable,
        "disputed": facts.disputed,
        "payment_method": facts.payment_method,
        "application_fee_minor": facts.application_fee_minor,
        "platform_settled_minor": platform.amount_minor if platform else None,
        "platform_currency": platform.currency if platform else None,
        "transfer": transfer.transfer if transfer else None,
        "transfer_minor": transfer.amount.amount_minor if transfer else None,
        "transfer_currency": transfer.amount.currency if transfer else None,
        "transfer_reversed_minor": transfer.reversed_minor if transfer else None,
        "settled_minor": settlement.amount.amount_minor if settlement else None,
        "settled_net_minor": settlement.net_minor if settlement else None,
        "settled_currency": settlement.amount.currency if settlement else None,
        "settled_pending": settlement.pending if settlement else None,
        "settled_available_on": settlement.available_on if settlement else None,
        "created": facts.created,
        "read_at": facts.read_at,
    }
