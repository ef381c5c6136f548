"""The rules a platform may choose, as one frozen value with safe defaults.

This module names choices; it may not read a file or apply a rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from refunds.money import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is allowed and how long to wait. The defaults cost the platform nothing."""

    starve_after: int = 10
    """Runs a request may be passed over by younger ones before it bars them."""
    count_own_pending: bool = True
    """Whether the payment's own money, still pending in the account, counts for its refund."""
    minimum_balance: Mapping[Currency, int] = field(default_factory=dict)
    """Minor units left in the account after a release."""
    fx_buffer_percent: int = 2
    hold_for: timedelta = timedelta(days=7)
    """From creation, never reset; an uncovered request then goes to review."""


DEFAULT_POLICY = Policy()
