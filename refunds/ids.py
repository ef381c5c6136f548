"""Names for the identifiers that travel through Sluice, so that one kind can't stand in for
another.

This module defines types and mints Sluice's own ids; it may not read the clock or know what any id
refers to.
"""

import secrets
from datetime import datetime
from typing import Final, NewType

AccountId = NewType("AccountId", str)
"""A Stripe account, `acct_…`; the connected account unless the name says platform."""
ChargeId = NewType("ChargeId", str)
"""A Stripe charge, `ch_…` or `py_…`."""
PaymentIntentId = NewType("PaymentIntentId", str)
"""A Stripe PaymentIntent, `pi_…`."""
TransferId = NewType("TransferId", str)
"""A Stripe transfer, `tr_…`."""
RefundId = NewType("RefundId", str)
"""A Stripe refund, `re_…` (or `pyr_…` for the reversal's mirror in a connected account)."""
ReversalId = NewType("ReversalId", str)
"""A Stripe transfer reversal, `trr_…`."""
DisputeId = NewType("DisputeId", str)
"""A Stripe dispute, `dp_…` (`du_…` in newer API versions)."""
EventId = NewType("EventId", str)
"""A Stripe event, `evt_…`."""
RequestId = NewType("RequestId", str)
"""A refund request of ours, `rr_…`."""
AttemptId = NewType("AttemptId", str)
"""A release attempt of ours, `ra_…`."""
RecoveryId = NewType("RecoveryId", str)
"""One try of ours to take back what an account owes, `rv_…`."""
RunId = NewType("RunId", str)
"""A release run of ours, `run_…`."""
LaneId = NewType("LaneId", str)
"""Where requests wait for the same money: a connected account's id, or `PLATFORM_LANE`."""
IdempotencyKey = NewType("IdempotencyKey", str)
"""Sent to Stripe with one step of one attempt; at most 255 characters."""

PLATFORM_LANE: Final = LaneId("platform")
"""The lane of requests that draw on no connected account."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS: Final = 9
_RANDOM_DIGITS: Final = 15


def mint(prefix: str, now: datetime) -> str:
    """Return a new id `prefix_…` that sorts by creation time (48 bits of ms, then 75 random bits).

    Sorting by id is sorting by age, which lets lists page by keyset without a second column.
    """
    milliseconds = int(now.timestamp() * 1000)
    digits = [_ALPHABET[(milliseconds >> (5 * i)) & 31] for i in reversed(range(_TIME_DIGITS + 1))]
    digits += [secrets.choice(_ALPHABET) for _ in range(_RANDOM_DIGITS)]
    return f"{prefix}_{''.join(digits)}"


def lane_of(account: AccountId | None) -> LaneId:
    """Return the lane in which requests on `account` wait; `None` is the platform's own lane."""
    return PLATFORM_LANE if account is None else LaneId(account)


def account_of(lane: LaneId) -> AccountId | None:
    """Return the connected account a lane stands for; `None` for the platform's own lane."""
    return None if lane == PLATFORM_LANE else AccountId(lane)
