"""What Stripe was seen to say of refunds, disputes, accounts and balances.

It may not draw a conclusion; it stores the newest reading and when each was first seen.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import col, select

from refunds.facts import (
    AccountFacts,
    AccountStanding,
    BalanceFacts,
    DisputeFacts,
    RefundFacts,
    RefundStatus,
)
from refunds.ids import (
    AccountId,
    AttemptId,
    ChargeId,
    DisputeId,
    RefundId,
    RequestId,
    RunId,
    lane_of,
)
from store.database import Unit
from store.tables.observations import (
    BalanceSnapshot,
    ConnectedAccount,
    Dispute,
    Refund,
    RefundObservation,
)
from store.upsert import insert_or_ignore

# Built once: building a statement takes longer than running it.
_LOCKED_REFUND: Final = (
    select(Refund)
    .where(col(Refund.id) == bindparam("refund"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_STANDING: Final = select(ConnectedAccount.standing).where(
    col(ConnectedAccount.id) == bindparam("account")
)


def lock_refund(unit: Unit, refund: RefundId | str) -> Refund | None:
    """Return a refund, its row locked until the unit ends."""
    return unit.exec(_LOCKED_REFUND, params={"refund": refund}).one_or_none()


def add_refund(
    unit: Unit,
    facts: RefundFacts,
    charge: ChargeId,
    *,
    request: RequestId | None,
    attempt: AttemptId | None,
) -> Refund:
    """Store a refund seen for the first time; without an attempt it is an observed one."""
    row = Refund(
        id=facts.refund,
        charge_id=charge,
        request_id=request,
        attempt_id=attempt,
        observed=attempt is None,
        amount_minor=facts.amount.amount_minor,
        currency=facts.amount.currency,
        status=facts.status,
        pending_reason=facts.pending_reason,
        failure_reason=facts.failure_reason,
        reversal=facts.reversal,
        balance_transaction=facts.balance_transaction,
        failure_balance_transaction=facts.failure_balance_transaction,
        created=facts.created,
        read_at=facts.read_at,
    )
    unit.add(row)
    unit.flush()
    return row


def update_refund(unit: Unit, row: Refund, facts: RefundFacts, status: RefundStatus) -> None:
    """Store the newest reading; `status` is the one that was applied."""
    row.status = status
    row.pending_reason = facts.pending_reason
    row.failure_reason = facts.failure_reason
    row.reversal = facts.reversal or row.reversal
    row.balance_transaction = facts.balance_transaction or row.balance_transaction
    row.failure_balance_transaction = (
        facts.failure_balance_transaction or row.failure_balance_transaction
    )
    row.read_at = max(row.read_at, facts.read_at)
    unit.add(row)


def observe_status(
    unit: Unit, refund: RefundId | str, status: RefundStatus, at: datetime, cause: str
) -> bool:
    """Note that a refund was seen in a status; return whether it is the first time."""
    return insert_or_ignore(
        unit, RefundObservation, refund_id=refund, status=status, at=at, cause=cause
    )


def refund_of_attempt(unit: Unit, attempt: AttemptId | str) -> Refund | None:
    """Return the refund an attempt led to."""
    statement = select(Refund).where(col(Refund.attempt_id) == attempt)
    return unit.exec(statement).one_or_none()


def refunds_of_request(unit: Unit, request: RequestId | str) -> list[Refund]:
    """Return a request's refunds, oldest first."""
    statement = select(Refund).where(col(Refund.request_id) == request)
    return list(unit.exec(statement.order_by(col(Refund.created), col(Refund.id))))


def save_dispute(unit: Unit, facts: DisputeFacts, now: datetime) -> None:
    """Store a dispute as read."""
    values = {
        "charge_id": facts.charge,
        "status": facts.status,
        "charge_refundable": facts.charge_refundable,
        "read_at": now,
    }
    if not insert_or_ignore(unit, Dispute, id=facts.dispute, **values):
        row = unit.get(Dispute, facts.dispute, with_for_update=True)
        assert row is not None, "a dispute row is never deleted"
        row.sqlmodel_update(values)
        unit.add(row)


def dispute_read_at(unit: Unit, dispute: DisputeId) -> datetime | None:
    """Return when the stored reading of a dispute was stored; `None`: it was never read."""
    statement = select(Dispute.read_at).where(col(Dispute.id) == dispute)
    return unit.exec(statement).one_or_none()


def disputes_of(unit: Unit, charge: ChargeId) -> list[DisputeFacts]:
    """Return every dispute of a charge as last read."""
    statement = select(Dispute).where(col(Dispute.charge_id) == charge)
    rows = unit.exec(statement.order_by(col(Dispute.id)).execution_options(populate_existing=True))
    return [
        DisputeFacts(
            dispute=DisputeId(row.id),
            charge=ChargeId(row.charge_id),
            status=row.status,
            charge_refundable=row.charge_refundable,
        )
        for row in rows
    ]


def save_account(unit: Unit, facts: AccountFacts) -> None:
    """Store an account as read; older news never overwrites newer."""
    values: Mapping[str, object] = {
        "standing": facts.standing,
        "country": facts.country,
        "default_currency": facts.default_currency,
        "charges_enabled": facts.charges_enabled,
        "payouts_enabled": facts.payouts_enabled,
        "disabled_reason": facts.disabled_reason,
        "losses_payments": facts.losses_payments,
        "payout_interval": facts.payout_interval,
        "platform_controlled": facts.platform_controlled,
        "read_at": facts.read_at,
    }
    if insert_or_ignore(unit, ConnectedAccount, id=facts.account, **values):
        return
    row = unit.get(ConnectedAccount, facts.account, with_for_update=True)
    assert row is not None, "an account row is never deleted"
    if row.read_at <= facts.read_at:
        row.sqlmodel_update(dict(values))
        unit.add(row)


def disconnect_account(unit: Unit, account: AccountId, now: datetime) -> None:
    """Note that an account left the platform: its API can't be asked any more."""
    values: dict[str, object] = {
        "standing": AccountStanding.DEAUTHORIZED,
        "charges_enabled": False,
        "payouts_enabled": False,
        "platform_controlled": False,
        "read_at": now,
    }
    if not insert_or_ignore(unit, ConnectedAccount, id=account, **values):
        row = unit.get(ConnectedAccount, account, with_for_update=True)
        assert row is not None, "an account row is never deleted"
        row.sqlmodel_update(values)
        unit.add(row)


def load_account(unit: Unit, account: AccountId | str) -> ConnectedAccount | None:
    """Return an account as last read."""
    return unit.get(ConnectedAccount, account)


def standing_of(unit: Unit, account: AccountId | str | None) -> AccountStanding:
    """Return an account's standing; one never read counts as active."""
    if account is None:
        return AccountStanding.ACTIVE
    standing = unit.exec(_STANDING, params={"account": account}).one_or_none()
    return AccountStanding.ACTIVE if standing is None else AccountStanding(standing)


def add_snapshot(unit: Unit, facts: BalanceFacts, run: RunId | None) -> None:
    """Keep a balance that something was decided by."""
    unit.add(
        BalanceSnapshot(
            holder=lane_of(facts.account),
            run_id=run,
            read_at=facts.read_at,
            available={str(c): minor for c, minor in facts.available.items()},
            pending={str(c): minor for c, minor in facts.pending.items()},
        )
    )
