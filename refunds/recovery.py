"""How much of what an account owes can be taken back now, by reversing the original transfer.

This module is arithmetic over facts; it may not read a balance or send anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from refunds.facts import METADATA_REQUEST, ChargeFacts, TransferFacts
from refunds.ids import IdempotencyKey, RecoveryId, RequestId
from refunds.money import Money, percent_ceil, share_ceil
from refunds.need import spendable_in_transfer_minor
from refunds.steps import StepKind, StripeCall

METADATA_RECOVERY: Final = "sluice_recovery"
"""A name of its own: the release it belongs to looks for its own reversals by the attempt's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collectable:
    """What one reversal will take back."""

    reversal_minor: int
    """In the transfer's currency."""
    takes: Money
    """What has to be there for it, in the account's settlement currency."""


def owed_for(charge: ChargeFacts, transfer: TransferFacts, idle_minor: int) -> Money:
    """Return what an account owes for all refunds of a payment that count, in its settlement
    currency: its share of them, less what was reversed by whatever hand.

    `idle_minor`, the transfer's currency: of what was reversed, what served refunds that came to
    nothing.
    """
    refunded_minor = min(charge.refunded_minor, charge.amount.amount_minor)
    share_minor = share_ceil(
        refunded_minor, charge.amount.amount_minor, transfer.amount.amount_minor
    )
    paid_minor = max(0, transfer.reversed_minor - idle_minor)
    return _takes(transfer, max(0, share_minor - paid_minor), fx_buffer_percent=0)


def plan_recovery(
    transfer: TransferFacts, exposed_minor: int, spare_minor: int, fx_buffer_percent: int
) -> Collectable | None:
    """Return what can be taken back of an exposure now; `None` where that is nothing.

    No more than the account owes, no more than it can spare (both in its settlement currency), and
    never more than is left of the transfer. Source: Stripe docs, "Create a transfer reversal".
    """
    reversal_minor = spendable_in_transfer_minor(transfer, min(exposed_minor, spare_minor))
    takes = _takes(transfer, reversal_minor, fx_buffer_percent)
    if takes.amount_minor > spare_minor > 0:
        # The rate may have moved: what it may take has to be there, buffer included.
        reversal_minor = reversal_minor * spare_minor // takes.amount_minor
    while reversal_minor > 0:
        takes = _takes(transfer, reversal_minor, fx_buffer_percent)
        if takes.amount_minor <= spare_minor:
            return Collectable(reversal_minor=reversal_minor, takes=takes)
        # Rounded up twice, by a unit or two at most.
        reversal_minor -= 1
    return None


def recovery_call(
    recovery: RecoveryId, request: RequestId, transfer: TransferFacts, reversal_minor: int
) -> StripeCall:
    """Return the one call of a recovery, fixed before it is made."""
    metadata: Mapping[str, str] = {METADATA_REQUEST: request, METADATA_RECOVERY: recovery}
    return StripeCall(
        kind=StepKind.REVERSAL,
        params={"amount": reversal_minor, "metadata": metadata},
        target=transfer.transfer,
        account=None,
        idempotency_key=IdempotencyKey(f"sluice-{recovery}-1"),
    )


def _takes(transfer: TransferFacts, reversal_minor: int, fx_buffer_percent: int) -> Money:
    settled = transfer.settlement.amount if transfer.settlement else transfer.amount
    if settled.currency == transfer.amount.currency:
        return Money(reversal_minor, settled.currency)
    taken_minor = share_ceil(reversal_minor, transfer.amount.amount_minor, settled.amount_minor)
    return Money(taken_minor + percent_ceil(taken_minor, fx_buffer_percent), settled.currency)
