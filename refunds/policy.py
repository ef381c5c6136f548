"""The rules a platform may choose, as frozen values with safe defaults, and whom they are for.

This module names choices and lays one over another; it may not read a file or apply a rule.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias

from refunds.ids import AccountId
from refunds.money import Currency


class Order(StrEnum):
    """In which order a run judges what waits."""

    OLDEST_FIRST = "oldest_first"
    """What doesn't fit is skipped, until a request was skipped in `starve_after` runs."""
    OLDEST_FIRST_STRICT = "oldest_first_strict"
    """Nobody passes an older request that waits for the same money."""
    DEADLINE_FIRST = "deadline_first"
    """As oldest first, by deadline instead of age."""


class Direct(StrEnum):
    """What becomes of direct charges' card refunds that the account can't cover."""

    SEND = "send"
    """Stripe queues them itself, in order."""
    HOLD = "hold"


class OnDeadline(StrEnum):
    """What becomes of a request that was not covered by its deadline."""

    REVIEW = "review"
    COVER = "cover"
    """It is released uncovered, within the caps."""
    CANCEL = "cancel"


class PayoutGuard(StrEnum):
    """How money for open requests is kept from automatic payouts."""

    OFF = "off"
    ON = "on"
    """The account's minimum balance is raised by what they need."""
    MANUAL = "manual"
    """Automatic payouts stop altogether."""


class RecoveryStep(StrEnum):
    """A way to get money back from an account, in the order they are tried."""

    WAIT = "wait"
    REVERSE_LATER = "reverse_later"
    TOP_UP = "top_up"
    ACCOUNT_DEBIT = "account_debit"
    PLAN = "plan"


Amounts: TypeAlias = Mapping[Currency, int]
"""Minor units per currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A refund may go out in parts."""

    minimum: Amounts
    """The least a part may be, in the charge's currency; in others nothing goes out in parts."""
    parts: int
    """At most so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is allowed and how long to wait. The defaults cost the platform nothing."""

    order: Order = Order.OLDEST_FIRST
    starve_after: int = 10
    """Runs a request may be passed over by younger ones before it bars them."""
    count_own_pending: bool = True
    """Whether the payment's own money, still pending in the account, counts for its refund."""
    direct: Direct = Direct.SEND
    minimum_balance: Amounts = field(default_factory=dict)
    """Left in the account after a release."""
    fx_buffer_percent: int = 2
    hold_for: timedelta = timedelta(days=7)
    """From creation, never reset; an uncovered request then meets `on_deadline`."""
    on_deadline: OnDeadline = OnDeadline.REVIEW
    payout_guard: PayoutGuard = PayoutGuard.OFF
    payout_guard_limit: Amounts = field(default_factory=dict)
    """At most so much is kept for open requests of one account, in its settlement currency."""
    payout_guard_for: timedelta = timedelta(days=30)
    """From a request's creation: nothing is kept for older ones."""
    partial: Partial | None = None
    small_shortfall: Amounts = field(default_factory=dict)
    """Up to so much may be missing, in need's currency: it is released uncovered, within the
    caps.
    """
    exposure_limit: Amounts = field(default_factory=dict)
    """Per account, in need's currency: beyond it no rule releases anything uncovered."""
    covered_per_day: Amounts = field(default_factory=dict)
    """What rules may release uncovered in a day (UTC), over all accounts, in need's currency."""
    review_above: Amounts = field(default_factory=dict)
    """Refunds above it need a person's approval, in the charge's currency."""
    recovery: tuple[RecoveryStep, ...] = (RecoveryStep.WAIT, RecoveryStep.REVERSE_LATER)
    slower_settlement_days: int = 0
    refund_window: Mapping[str, timedelta] = field(default_factory=dict)
    """Per payment method: how long after the charge it can be refunded at all."""
    refund_window_notice: timedelta = timedelta(days=7)
    """So long before the window closes, a request that still waits comes before a person."""


DEFAULT_POLICY: Final = Policy()

BUILT_IN: Final = "built-in"
"""Where a key comes from that nobody wrote down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBook:
    """A platform's policy with what differs for risk tiers and single accounts.

    An account's own words come before its tier's, and those before the default's. Each section
    holds only the fields of `Policy` that were written there.
    """

    default: Mapping[str, Any] = field(default_factory=dict)
    tiers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    accounts: Mapping[AccountId, Mapping[str, Any]] = field(default_factory=dict)

    def policy_for(self, account: AccountId | None, tier: str | None) -> Policy:
        """Return the policy of an account in a risk tier; `None` is the platform's own lane."""
        policy = DEFAULT_POLICY
        for _, written in self._sections(account, tier):
            policy = replace(policy, **written)
        return policy

    def sources_for(self, account: AccountId | None, tier: str | None) -> dict[str, str]:
        """Return for each key the section it comes from, such as `risk.high`, or `BUILT_IN`."""
        sources = dict.fromkeys((each.name for each in fields(Policy)), BUILT_IN)
        for name, written in self._sections(account, tier):
            sources |= dict.fromkeys(written, name)
        return sources

    def digest(self) -> str:
        """Return a digest that two books share only if they say the same."""
        sections = {
            "default": self.default,
            **{f"risk.{name}": written for name, written in self.tiers.items()},
            **{f"accounts.{name}": written for name, written in self.accounts.items()},
        }
        said = sorted(
            f"{section}.{key}={_canonical(value)}"
            for section, written in sections.items()
            for key, value in written.items()
        )
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def _sections(
        self, account: AccountId | None, tier: str | None
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield "default", self.default
        if tier is not None and tier in self.tiers:
            yield f"risk.{tier}", self.tiers[tier]
        if account is not None and account in self.accounts:
            yield f"accounts.{account}", self.accounts[account]


DEFAULT_BOOK: Final = PolicyBook()


def _canonical(value: object) -> str:
    # The order in which a table was written is no part of what it says.
    return repr(sorted(value.items()) if isinstance(value, Mapping) else value)
