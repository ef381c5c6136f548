"""What Stripe said, as Sluice's own frozen values.

This module names facts; it may not fetch them, judge them or keep a field nobody decides by. Open
sets at Stripe
(statuses, reasons, codes) stay strings where Sluice must survive a word it has not met.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from refunds.ids import (
    AccountId,
    ChargeId,
    DisputeId,
    PaymentIntentId,
    RefundId,
    ReversalId,
    TransferId,
)
from refunds.money import Currency, Money


class ChargeType(StrEnum):
    """How a payment's money reached a connected account. Source: Stripe docs, "Connect charge
    types".
    """

    DESTINATION = "destination"
    SEPARATE = "separate"
    DIRECT = "direct"
    PLATFORM = "platform"


class RefundStatus(StrEnum):
    """A Stripe refund's status. `UNKNOWN` stands for a word this version has not met."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


NOT_LIVE: Final = (RefundStatus.FAILED, RefundStatus.CANCELED)
"""A refund in one of these counts no more against its charge: its money came back."""

METADATA_REQUEST: Final = "sluice_request"
METADATA_ATTEMPT: Final = "sluice_attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """Whose API key this is."""

    account: AccountId
    livemode: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFacts:
    """One Stripe refund as read at `read_at`. `account` is the account it was read in; `None`: the
    platform.
    """

    refund: RefundId
    charge: ChargeId | None
    payment_intent: PaymentIntentId | None
    account: AccountId | None
    amount: Money
    status: RefundStatus
    pending_reason: str | None
    failure_reason: str | None
    reversal: ReversalId | None
    """The transfer reversal Stripe made with it: the connected account has been debited."""
    metadata: Mapping[str, str]
    created: datetime
    read_at: datetime
    balance_transaction: str | None = None
    """What the refund did to the balance it came from; Stripe may name it later."""
    failure_balance_transaction: str | None = None
    """What brought the money back after the refund failed."""

    @property
    def live(self) -> bool:
        """Whether its amount still counts against the charge."""
        return self.status not in NOT_LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalFacts:
    """One transfer reversal; `amount` is in the transfer's currency."""

    reversal: ReversalId
    transfer: TransferId
    amount: Money
    metadata: Mapping[str, str]
    balance_transaction: str | None = None
    """What it did to the platform's balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementFacts:
    """How a payment settled in a connected account: its balance transaction, read there."""

    amount: Money
    """Gross, in the currency the account settles in."""
    net_minor: int
    """What the account keeps of it: gross less fees, the application fee included."""
    pending: bool
    """Whether this money is still pending there."""
    available_on: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFacts:
    """The transfer that carried a payment to its connected account."""

    transfer: TransferId
    account: AccountId
    amount: Money
    reversed_minor: int
    settlement: SettlementFacts | None
    """`None` where it could not be read: the transfer's own currency stands in."""

    @property
    def left_minor(self) -> int:
        """What can still be reversed of it."""
        return max(0, self.amount.amount_minor - self.reversed_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFacts:
    """A transfer of ours that gave money back to a connected account."""

    transfer: TransferId
    account: AccountId
    amount: Money
    metadata: Mapping[str, str]
    balance_transaction: str | None = None
    """What it did to the platform's balance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFacts:
    """A dispute or inquiry on a charge. Source: Stripe docs, "The Dispute object"."""

    dispute: DisputeId
    charge: ChargeId
    status: str
    """warning_needs_response, warning_under_review, warning_closed, needs_response, under_review,
    won, lost, …
    """
    charge_refundable: bool

    @property
    def inquiry(self) -> bool:
        """Whether no money was withdrawn: an inquiry, or an early warning."""
        return self.status.startswith("warning_")

    @property
    def closed(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("won", "lost", "warning_closed", "charge_refunded", "prevented")

    @property
    def blocks(self) -> bool:
        """Whether a refund of the charge must not be sent now."""
        return not self.closed and not (self.inquiry and self.charge_refundable)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFacts:
    """A payment's charge as read at `read_at`, with what its refund would touch."""

    charge: ChargeId
    payment_intent: PaymentIntentId | None
    charge_type: ChargeType
    livemode: bool
    amount: Money
    """What was captured: the most that can be refunded."""
    refunded_minor: int
    """What Stripe counts as refunded; failed refunds excluded."""
    refundable: bool
    """Paid and captured."""
    disputed: bool
    payment_method: str
    """The method's type, such as `card`."""
    transfer: TransferFacts | None
    application_fee_minor: int | None
    platform_settled: Money | None
    """Gross of the charge's own balance transaction, in the currency the platform settles in."""
    created: datetime
    read_at: datetime
    lives_in: AccountId | None = None
    """The connected account a direct charge was made in; `None`: the platform itself."""
    settlement: SettlementFacts | None = None
    """A direct charge's own balance transaction, in the account it lives in."""
    transfers: tuple[TransferFacts, ...] = ()
    """What carried on the parts of a payment that was split, without their settlements."""
    open_group: str | None = None
    """The payment's transfer group, where a transfer among `transfers` is tied to no charge: with
    several charges in the group it may have carried another one's money.
    """

    @property
    def remaining_minor(self) -> int:
        """What Stripe has not refunded yet."""
        return self.amount.amount_minor - self.refunded_minor

    @property
    def account(self) -> AccountId | None:
        """The connected account whose balance a refund draws on."""
        return self.transfer.account if self.transfer else self.lives_in


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceFacts:
    """A Stripe balance as read at `read_at`; minor units per currency, possibly negative."""

    account: AccountId | None
    """`None` is the platform's own."""
    available: Mapping[Currency, int]
    pending: Mapping[Currency, int]
    livemode: bool
    read_at: datetime
    connect_reserved: Mapping[Currency, int] = field(default_factory=dict)

    def available_in(self, currency: Currency) -> int:
        """Return the available amount in `currency`; nothing listed is nothing there."""
        return self.available.get(currency, 0)


class AccountStanding(StrEnum):
    """Whether Sluice may draw on a connected account."""

    ACTIVE = "active"
    REJECTED = "rejected"
    DEAUTHORIZED = "deauthorized"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """A connected account as read at `read_at`. Source: Stripe docs, "The Account object"."""

    account: AccountId
    country: str | None
    default_currency: Currency | None
    charges_enabled: bool
    payouts_enabled: bool
    disabled_reason: str | None
    losses_payments: str | None
    """`application` or `stripe`: who carries a negative balance."""
    payout_interval: str | None
    platform_controlled: bool
    email: str | None = field(repr=False)
    """Where a letter to the account would go."""
    read_at: datetime

    @property
    def standing(self) -> AccountStanding:
        """REJECTED where Stripe has shut the account for good (`rejected.*`, `listed`)."""
        reason = self.disabled_reason or ""
        shut = reason.startswith("rejected") or reason == "listed"
        return AccountStanding.REJECTED if shut else AccountStanding.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """One event fetched from Stripe's list, ready for the inbox. `body` is its JSON as bytes."""

    event: str
    type: str
    account: AccountId | None
    livemode: bool
    created: datetime
    api_version: str | None
    body: bytes = field(repr=False)
