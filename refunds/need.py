"""What a refund will ask of the connected account and of the platform, in integers.

This module is arithmetic over facts; it may not look at balances or decide whether to release.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self, TypeAlias

from refunds.facts import ChargeFacts, SettlementFacts, TransferFacts
from refunds.ids import AccountId
from refunds.money import Currency, Money, percent_ceil, share_ceil

PurseKey: TypeAlias = tuple[AccountId, Currency]
"""One currency of one connected account's balance."""


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
    if refund_minor >= charge.remaining_minor:
        return transfer.left_minor
    share_minor = share_ceil(refund_minor, charge.amount.amount_minor, transfer.amount.amount_minor)
    return min(transfer.left_minor, share_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What a refund asks of one connected account, through one transfer."""

    account: AccountId
    transfer: TransferFacts | None
    """`None` where the payment itself lives in the account."""
    need: Need
    own_pending_minor: int
    """The payment's own pending money there that may count, need's currency."""
    reversal_minor: int
    """What is to be reversed, in the transfer's currency."""
    at_hand_minor: int = 0
    """What this request has reversed before for a refund that came to nothing, and uses now."""

    @property
    def purse(self) -> PurseKey:
        """The balance it draws on."""
        return (self.account, self.need.currency)

    @property
    def from_available_minor(self) -> int:
        """What it takes from the account's available balance when released in full."""
        return max(0, self.need.total_minor - self.own_pending_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a refund asks of one purse: its legs there, summed."""

    account: AccountId
    need: Need
    own_pending_minor: int
    from_available_minor: int

    @property
    def purse(self) -> PurseKey:
        """The balance it draws on."""
        return (self.account, self.need.currency)


def draws_of(legs: Iterable[Leg]) -> tuple[Draw, ...]:
    """Return the legs summed by purse, in the order in which each purse is first drawn on."""
    by_purse: dict[PurseKey, list[Leg]] = {}
    for leg in legs:
        by_purse.setdefault(leg.purse, []).append(leg)
    return tuple(_draw(account, currency, group) for (account, currency), group in by_purse.items())


def _draw(account: AccountId, currency: Currency, legs: list[Leg]) -> Draw:
    # What one transfer still has pending beyond its own reversal can't serve another transfer's.
    alone = len(legs) == 1
    own = (leg.own_pending_minor for leg in legs) if alone else map(_own_used_minor, legs)
    return Draw(
        account=account,
        need=Need(
            amount_minor=sum(leg.need.amount_minor for leg in legs),
            currency=currency,
            fx_buffer_minor=sum(leg.need.fx_buffer_minor for leg in legs),
        ),
        own_pending_minor=sum(own),
        from_available_minor=sum(leg.from_available_minor for leg in legs),
    )


def _own_used_minor(leg: Leg) -> int:
    return min(leg.own_pending_minor, leg.need.total_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """How needs are weighed: what a policy says, and how old the reading is."""

    fx_buffer_percent: int
    count_own_pending: bool = True
    stale_at: datetime | None = None
    """Now, where the payment was read earlier: money that was pending then and has become
    available since is part of the balance, and counting it here would count it twice.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a request takes back through one transfer of a payment that was split.

    Amounts in the transfer's currency.
    """

    transfer: TransferFacts
    asked_minor: int
    """For all of the request."""
    used_minor: int = 0
    """Of it, what refunds of this request that count were made from."""
    at_hand_minor: int = 0
    """Reversed by this request already, for a refund that came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a request takes back what a payment was split into."""

    shares: tuple[Share, ...]
    request_minor: int
    """The whole request, in the charge's currency."""
    unsent_minor: int
    """What of it no refund that counts was made for."""

    def reread(self, transfers: Iterable[TransferFacts]) -> Self:
        """Return the same by transfers that were read just now."""
        fresh = {each.transfer: each for each in transfers}
        shares = (
            replace(share, transfer=fresh.get(share.transfer.transfer, share.transfer))
            for share in self.shares
        )
        return replace(self, shares=tuple(shares))


def plan_split_legs(split: Split, refund_minor: int, weighing: Weighing) -> tuple[Leg, ...]:
    """Return what refunding this much of a split payment's request asks of each account.

    Each share in proportion, rounded up; the part that completes the request takes the rest.
    """
    return tuple(_share_leg(split, share, refund_minor, weighing) for share in split.shares)


def _share_leg(split: Split, share: Share, refund_minor: int, weighing: Weighing) -> Leg:
    part_minor = max(0, share.asked_minor - share.used_minor)
    if refund_minor < split.unsent_minor:
        in_proportion = share_ceil(refund_minor, split.request_minor, share.asked_minor)
        part_minor = min(part_minor, in_proportion)
    at_hand_minor = min(share.at_hand_minor, part_minor)
    taken_minor = min(part_minor - at_hand_minor, share.transfer.left_minor)
    leg = _reversal_leg(share.transfer, taken_minor, weighing)
    return replace(leg, at_hand_minor=at_hand_minor)


def plan_legs(
    charge: ChargeFacts, refund_minor: int, weighing: Weighing, *, at_hand_minor: int = 0
) -> tuple[Leg, ...]:
    """Return what the refund asks of connected accounts; nothing for the platform's own payments.

    A direct charge is refunded out of the account it lives in: all of it, in the currency it
    settled in there. `at_hand_minor`, the transfer's currency: what the request has reversed before
    for refunds that came to nothing. Source: Stripe docs, "Refund direct charges".
    """
    if charge.lives_in is not None:
        legs: tuple[Leg, ...] = (_direct_leg(charge, charge.lives_in, refund_minor, weighing),)
    elif charge.transfer is not None:
        legs = (_transfer_leg(charge, charge.transfer, refund_minor, weighing, at_hand_minor),)
    else:
        legs = ()
    return legs


def _transfer_leg(
    charge: ChargeFacts,
    transfer: TransferFacts,
    refund_minor: int,
    weighing: Weighing,
    at_hand_minor: int,
) -> Leg:
    at_hand_minor = min(at_hand_minor, transfer.reversed_minor)
    # As if it had not been taken yet: it serves this refund as it was to serve the one before.
    untaken = replace(transfer, reversed_minor=transfer.reversed_minor - at_hand_minor)
    part_minor = reversal_minor(charge, untaken, refund_minor)
    used_minor = min(at_hand_minor, part_minor)
    leg = _reversal_leg(transfer, part_minor - used_minor, weighing)
    return replace(leg, at_hand_minor=used_minor)


def _direct_leg(
    charge: ChargeFacts, account: AccountId, refund_minor: int, weighing: Weighing
) -> Leg:
    return Leg(
        account=account,
        transfer=None,
        need=_settled_need(refund_minor, charge.amount, charge.settlement, weighing),
        own_pending_minor=_own_pending(
            charge.refunded_minor, charge.amount, charge.settlement, weighing
        ),
        reversal_minor=0,
    )


def _reversal_leg(transfer: TransferFacts, in_transfer_minor: int, weighing: Weighing) -> Leg:
    return Leg(
        account=transfer.account,
        transfer=transfer,
        need=_settled_need(in_transfer_minor, transfer.amount, transfer.settlement, weighing),
        own_pending_minor=_own_pending(
            transfer.reversed_minor, transfer.amount, transfer.settlement, weighing
        ),
        reversal_minor=in_transfer_minor,
    )


def _settled_need(
    part_minor: int, whole: Money, settlement: SettlementFacts | None, weighing: Weighing
) -> Need:
    """Return what taking a part of a payment back needs, in the currency it settled in."""
    settled = settlement.amount if settlement else whole
    if settled.currency == whole.currency:
        return Need(amount_minor=part_minor, currency=settled.currency, fx_buffer_minor=0)
    converted_minor = share_ceil(part_minor, whole.amount_minor, settled.amount_minor)
    return Need(
        amount_minor=converted_minor,
        currency=settled.currency,
        fx_buffer_minor=percent_ceil(converted_minor, weighing.fx_buffer_percent),
    )


def _own_pending(
    gone_minor: int, whole: Money, settlement: SettlementFacts | None, weighing: Weighing
) -> int:
    """Return how much of a payment's own money is still pending in the account, need's currency.

    What takes it back nets against it. Only the net counts (fees have left already), less what was
    taken back before.
    """
    if settlement is None or not settlement.pending or not weighing.count_own_pending:
        return 0
    available_on, stale_at = settlement.available_on, weighing.stale_at
    if stale_at is not None and available_on is not None and available_on <= stale_at:
        return 0
    gone_settled_minor = share_ceil(gone_minor, whole.amount_minor, settlement.amount.amount_minor)
    return max(0, settlement.net_minor - gone_settled_minor)


def platform_cost(
    charge: ChargeFacts, refund_minor: int, fx_buffer_percent: int, *, fee_back: bool = False
) -> Money:
    """Return what the platform's own balance pays at first, in the currency it settled the charge.

    The reversal is credited afterwards and is not counted: the order is undocumented. Of a direct
    charge the platform pays its share of the application fee, where that goes back as well.
    """
    if charge.lives_in is not None:
        fee_minor = (charge.application_fee_minor or 0) if fee_back else 0
        share_minor = share_ceil(refund_minor, charge.amount.amount_minor, fee_minor)
        return Money(share_minor, charge.amount.currency)
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
    left_minor = transfer.left_minor
    if spendable_minor <= 0 or left_minor == 0:
        return 0
    settled = transfer.settlement.amount if transfer.settlement else transfer.amount
    if settled.currency == transfer.amount.currency or settled.amount_minor <= 0:
        return min(left_minor, spendable_minor)
    return min(left_minor, spendable_minor * transfer.amount.amount_minor // settled.amount_minor)
