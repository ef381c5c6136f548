"""What a refund will ask of the connected account and of the platform, in integers.

This module is arithmetic over facts; it may not look at balances or decide whether to release.
"""

from dataclasses import dataclass

from refunds.facts import ChargeFacts, TransferFacts
from refunds.money import Currency, Money, percent_ceil, share_ceil


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the connected account must have: the reversal, in its settlement currency."""

    amount_minor: int
    currency: Currency
    fx_buffer_minor: int
    """Added where the reversal is converted at a rate not known yet; 0 otherwise."""

    @property
    def total_minor(self) -> int:
        """Need and buffer: what spendable is compared with."""
        return self.amount_minor + self.fx_buffer_minor

    @property
    def money(self) -> Money:
        """The need without its buffer."""
        return Money(self.amount_minor, self.currency)


def reversal_minor(charge: ChargeFacts, transfer: TransferFacts, refund_minor: int) -> int:
    """Return what Stripe will reverse for a refund of `refund_minor`, in the transfer's currency.

    Proportional to the charge, rounded up; the refund that completes the charge reverses whatever
    is left. Never more than is left. Source: Stripe docs, "Refund destination charges".
    """
    left_minor = max(0, transfer.amount.amount_minor - transfer.reversed_minor)
    if refund_minor >= charge.remaining_minor:
        return left_minor
    share_minor = share_ceil(refund_minor, charge.amount.amount_minor, transfer.amount.amount_minor)
    return min(left_minor, share_minor)


def plan_need(charge: ChargeFacts, refund_minor: int, fx_buffer_percent: int) -> Need | None:
    """Return what the refund needs of the connected account; `None` where none is drawn on."""
    transfer = charge.transfer
    if transfer is None:
        return None
    in_transfer_minor = reversal_minor(charge, transfer, refund_minor)
    settled = transfer.settlement.amount if transfer.settlement else transfer.amount
    if settled.currency == transfer.amount.currency:
        return Need(amount_minor=in_transfer_minor, currency=settled.currency, fx_buffer_minor=0)
    converted_minor = share_ceil(
        in_transfer_minor, transfer.amount.amount_minor, settled.amount_minor
    )
    return Need(
        amount_minor=converted_minor,
        currency=settled.currency,
        fx_buffer_minor=percent_ceil(converted_minor, fx_buffer_percent),
    )


def own_pending_minor(charge: ChargeFacts) -> int:
    """Return how much of the payment's own money is still pending in the account, need's currency.

    A refund with `reverse_transfer` nets against it. Only the net counts (the application fee has
    left already), less what was reversed before.
    """
    transfer = charge.transfer
    if transfer is None or transfer.settlement is None or not transfer.settlement.pending:
        return 0
    settlement = transfer.settlement
    gone_minor = share_ceil(
        transfer.reversed_minor, transfer.amount.amount_minor, settlement.amount.amount_minor
    )
    return max(0, settlement.net_minor - gone_minor)


def platform_cost(charge: ChargeFacts, refund_minor: int, fx_buffer_percent: int) -> Money:
    """Return what the platform's own balance pays at first, in the currency it settled the charge.

    The reversal is credited afterwards and is not counted: the order is undocumented.
    """
    settled = charge.platform_settled
    if settled is None or settled.currency == charge.amount.currency:
        return Money(refund_minor, charge.amount.currency)
    converted_minor = share_ceil(refund_minor, charge.amount.amount_minor, settled.amount_minor)
    return Money(
        converted_minor + percent_ceil(converted_minor, fx_buffer_percent), settled.currency
    )


def taken_minor(transfer: TransferFacts, reversed_minor: int) -> int:
    """Return what reversing `reversed_minor` of the transfer took from the account, need's
    currency; rounded down, so that no exposure is stated too small.
    """
    settled = transfer.settlement.amount if transfer.settlement else transfer.amount
    if settled.currency == transfer.amount.currency or transfer.amount.amount_minor <= 0:
        return reversed_minor
    return reversed_minor * settled.amount_minor // transfer.amount.amount_minor


def spendable_in_transfer_minor(transfer: TransferFacts, spendable_minor: int) -> int:
    """Return how much of the transfer a spendable amount (settlement currency) can take back
    now.
    """
    left_minor = max(0, transfer.amount.amount_minor - transfer.reversed_minor)
    if spendable_minor <= 0 or left_minor == 0:
        return 0
    settled = transfer.settlement.amount if transfer.settlement else transfer.amount
    if settled.currency == transfer.amount.currency or settled.amount_minor <= 0:
        return min(left_minor, spendable_minor)
    return min(left_minor, spendable_minor * transfer.amount.amount_minor // settled.amount_minor)
