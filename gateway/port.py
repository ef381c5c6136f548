"""What Sluice needs of Stripe, as a Protocol that the real client and an in-process stand-in both
satisfy.

This module declares calls and the ways they fail; it may not import the SDK or decide what a
failure means for a request.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from refunds.errors import SluiceError
from refunds.eta import Arrival
from refunds.facts import (
    AccountFacts,
    BalanceFacts,
    ChargeFacts,
    DisputeFacts,
    EventFacts,
    PlatformFacts,
    RefundFacts,
    ReversalFacts,
    SentFacts,
    TransferFacts,
)
from refunds.ids import AccountId, ChargeId, DisputeId, EventId, RefundId, TransferId
from refunds.payout_settings import PayoutSettings, SettingsWrite
from refunds.steps import Refused, StepOutcome, StripeCall, Trouble, Unknown


class ReadError(SluiceError):
    """A read gave no answer to decide by; `stripe_request` is Stripe's `Request-Id` where there is
    one.
    """

    def __init__(self, message: str, *, stripe_request: str | None = None) -> None:
        super().__init__(message)
        self.stripe_request = stripe_request


class NotFoundError(ReadError):
    """Stripe says there is no such object, seen from this account."""


class UnavailableError(ReadError):
    """Stripe could not answer: try again later, nothing about the object is known."""

    def __init__(
        self,
        trouble: Trouble,
        message: str,
        *,
        stripe_request: str | None = None,
        retry_after_seconds: float | None = None,
        account: AccountId | None = None,
        no_such_account: bool = False,
    ) -> None:
        super().__init__(message, stripe_request=stripe_request)
        self.trouble = trouble
        self.account = account
        """The connected account that was asked; a denial may be about it alone."""
        self.retry_after_seconds = retry_after_seconds
        self.no_such_account = no_such_account
        """Stripe says outright that `account` doesn't exist or is not connected to the platform."""

    @property
    def denied_in_account(self) -> bool:
        """Whether one connected account is out of reach, not Stripe."""
        return self.account is not None and self.trouble is Trouble.DENIED


class RejectedReadError(ReadError):
    """Stripe refused the read itself (a 4xx that is neither 401, 403, 404 nor 429): asking again
    won't help.
    """


class ListingTooLongError(ReadError):
    """A list went on beyond the named bound, so nothing may be concluded from what it didn't
    hold.
    """


class ReadOnlyError(SluiceError):
    """A call that moves money met a gateway that may only read: a defect of ours."""


class Gateway(Protocol):
    """The only way to Stripe. Every read raises `ReadError`; `execute` never raises for what Stripe
    answers.

    `account` is the connected account to act in (`Stripe-Account`); `None` is the platform itself.
    """

    def share_rate(self, workers: int) -> None:
        """Be told that so many workers share the allowed rate of calls, this one among them."""
        ...

    def read_platform(self) -> PlatformFacts:
        """Return whose key this is."""
        ...

    def read_payment(self, payment: str, account: AccountId | None = None) -> ChargeFacts:
        """Return the charge behind a `pi_…`, `ch_…` or `py_…`, with transfer and settlement read
        fresh.
        """
        ...

    def read_transfer(self, transfer: TransferId) -> TransferFacts:
        """Return a transfer of the platform's as it is now, with its settlement."""
        ...

    def shares_group(self, charge: ChargeId, group: str) -> bool:
        """Whether a charge's transfer group holds another one whose money could have been passed
        on; too many to count are others.
        """
        ...

    def list_sent(self, account: AccountId, *, since: datetime) -> Sequence[SentFacts]:
        """Return the platform's transfers to an account made at or after `since`, all pages;
        `ListingTooLongError` beyond the bound.
        """
        ...

    def read_balance(self, account: AccountId | None) -> BalanceFacts:
        """Return a balance as it is now."""
        ...

    def read_refund(self, refund: RefundId, account: AccountId | None = None) -> RefundFacts:
        """Return one refund as it is now."""
        ...

    def list_refunds(
        self, charge: ChargeId, account: AccountId | None = None
    ) -> Sequence[RefundFacts]:
        """Return every refund of a charge, all pages; `ListingTooLongError` beyond the bound."""
        ...

    def list_reversals(self, transfer: TransferId) -> Sequence[ReversalFacts]:
        """Return every reversal of a transfer, all pages; `ListingTooLongError` beyond the
        bound.
        """
        ...

    def list_arrivals(self, account: AccountId, *, since: datetime) -> Sequence[Arrival]:
        """Return the account's pending money made at or after `since`: what becomes available when.

        `ListingTooLongError` beyond a bound.
        """
        ...

    def read_account(self, account: AccountId) -> AccountFacts:
        """Return a connected account as it is now."""
        ...

    def read_payout_settings(self, account: AccountId) -> PayoutSettings:
        """Return how a connected account is paid out now."""
        ...

    def write_payout_settings(self, write: SettingsWrite) -> PayoutSettings | Refused | Unknown:
        """Change how a connected account is paid out; return the settings as they are then, or what
        is known instead.
        """
        ...

    def read_dispute(self, dispute: DisputeId, account: AccountId | None = None) -> DisputeFacts:
        """Return one dispute as it is now."""
        ...

    def list_events(
        self,
        types: Sequence[str],
        account: AccountId | None,
        *,
        since: datetime,
        ending_before: EventId | None = None,
    ) -> Sequence[EventFacts]:
        """Return events created at or after `since`, oldest first, all pages up to a named bound.

        At most 20 types a call; Stripe keeps events for 30 days.
        """
        ...

    def execute(self, call: StripeCall) -> StepOutcome:
        """Make one call that moves money and say what is known of it afterwards."""
        ...
