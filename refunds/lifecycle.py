"""Where a refund request's money can be, and every way it may move: one table.

This module is the only place that knows which transitions are legal; it may not move anything
itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refunds.errors import IllegalMoveError


class Bucket(StrEnum):
    """A place where a request's amount can be. `OPENED` is the other side of the first entry."""

    OPENED = "opened"
    REQUESTED = "requested"
    HELD = "held"
    REVIEW = "review"
    RELEASING = "releasing"
    REVERSED = "reversed"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STRIPE_CANCELED = "stripe_canceled"
    COMPENSATED = "compensated"
    REJECTED = "rejected"
    CANCELED = "canceled"
    CLOSED = "closed"


class Status(StrEnum):
    """What a request is called as a whole: the bucket that needs most attention."""

    REVIEW = "review"
    REQUESTED = "requested"
    HELD = "held"
    RELEASING = "releasing"
    REVERSED = "reversed"
    SUBMITTED = "submitted"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    PARTIALLY_REFUNDED = "partially_refunded"
    REJECTED = "rejected"
    CANCELED = "canceled"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One legal move, and what makes it happen."""

    source: Bucket
    target: Bucket
    when: str


def _row(source: Bucket, target: Bucket, when: str) -> Transition:
    return Transition(source=source, target=target, when=when)


TRANSITIONS: Final[tuple[Transition, ...]] = (
    _row(Bucket.OPENED, Bucket.REQUESTED, "a wish is recorded"),
    _row(
        Bucket.REQUESTED,
        Bucket.HELD,
        "the account does not cover it, or it waits for the account's run",
    ),
    _row(Bucket.REQUESTED, Bucket.REVIEW, "a rule asks for a person"),
    _row(Bucket.REQUESTED, Bucket.REJECTED, "it can't be refunded at all"),
    _row(Bucket.REQUESTED, Bucket.CANCELED, "withdrawn before anything was sent"),
    _row(
        Bucket.REQUESTED,
        Bucket.RELEASING,
        "prepared; where no account is drawn on, or Stripe queues the refund",
    ),
    _row(Bucket.HELD, Bucket.RELEASING, "prepared by a release run"),
    _row(Bucket.HELD, Bucket.REVIEW, "a rule asks for a person"),
    _row(Bucket.HELD, Bucket.CANCELED, "withdrawn before anything was sent"),
    _row(Bucket.HELD, Bucket.CLOSED, "paid elsewhere, or given up, with a note"),
    _row(Bucket.REVIEW, Bucket.HELD, "approved: a waiver is stored"),
    _row(Bucket.REVIEW, Bucket.RELEASING, "released by a person: a waiver is stored"),
    _row(Bucket.REVIEW, Bucket.CANCELED, "withdrawn before anything was sent"),
    _row(Bucket.REVIEW, Bucket.CLOSED, "paid elsewhere, or given up, with a note"),
    _row(Bucket.REVIEW, Bucket.SUBMITTED, "the buyer acted, and Stripe's refund moved on"),
    _row(Bucket.RELEASING, Bucket.SUBMITTED, "Stripe accepted the refund"),
    _row(
        Bucket.RELEASING,
        Bucket.HELD,
        "Stripe said insufficient funds, or it was proved never executed",
    ),
    _row(Bucket.RELEASING, Bucket.REVIEW, "Stripe refused for another reason"),
    _row(Bucket.RELEASING, Bucket.REVERSED, "the transfers were reversed before the refund"),
    _row(Bucket.SUBMITTED, Bucket.SUCCEEDED, "Stripe says succeeded"),
    _row(Bucket.SUBMITTED, Bucket.FAILED, "Stripe says failed"),
    _row(Bucket.SUBMITTED, Bucket.STRIPE_CANCELED, "Stripe says canceled"),
    _row(Bucket.SUBMITTED, Bucket.REVIEW, "Stripe waits for the buyer (requires_action)"),
    _row(Bucket.SUCCEEDED, Bucket.FAILED, "a late failure: Stripe allows it up to 30 days on"),
    _row(Bucket.FAILED, Bucket.REVIEW, "the buyer is still owed"),
    _row(Bucket.STRIPE_CANCELED, Bucket.REVIEW, "the buyer is still owed"),
    _row(Bucket.REVERSED, Bucket.SUBMITTED, "Stripe accepted the refund that followed"),
    _row(Bucket.REVERSED, Bucket.HELD, "the refund was proved never executed"),
    _row(Bucket.REVERSED, Bucket.COMPENSATED, "the accounts were given back what was reversed"),
    _row(Bucket.REVERSED, Bucket.REVIEW, "Stripe refused to give it back"),
    _row(Bucket.COMPENSATED, Bucket.REVIEW, "the buyer is still owed"),
)

LEGAL: Final = frozenset((row.source, row.target) for row in TRANSITIONS)

OPEN: Final = frozenset(
    {Bucket.REQUESTED, Bucket.HELD, Bucket.REVIEW, Bucket.RELEASING, Bucket.REVERSED}
)
"""Buckets whose money claims a part of the charge by itself: Stripe has no refund of it yet, or, in
REVIEW, one that waits for the buyer."""

SENT: Final = frozenset({Bucket.SUBMITTED, Bucket.SUCCEEDED})
"""Buckets whose money Stripe accepted: `released_amount`."""

WAITING: Final = frozenset({Bucket.REQUESTED, Bucket.HELD})
"""Buckets a release run may take from without a person."""

_ATTENTION: Final[tuple[tuple[Bucket, Status], ...]] = (
    (Bucket.REVIEW, Status.REVIEW),
    (Bucket.REQUESTED, Status.REQUESTED),
    (Bucket.HELD, Status.HELD),
    (Bucket.RELEASING, Status.RELEASING),
    (Bucket.REVERSED, Status.REVERSED),
    (Bucket.SUBMITTED, Status.SUBMITTED),
    (Bucket.FAILED, Status.FAILED),
    (Bucket.STRIPE_CANCELED, Status.FAILED),
)


def check_move(source: Bucket, target: Bucket) -> None:
    """Raise `IllegalMoveError` unless the table joins the two buckets."""
    if (source, target) not in LEGAL:
        raise IllegalMoveError(source, target)


def status_of(amounts_minor: Mapping[Bucket, int]) -> Status:
    """Return the status of a request whose amount lies in these buckets (minor units, zeros
    allowed).
    """
    present = {b for b, minor in amounts_minor.items() if minor > 0 and b is not Bucket.OPENED}
    for bucket, status in _ATTENTION:
        if bucket in present:
            return status
    if Bucket.SUCCEEDED in present:
        return Status.SUCCEEDED if present == {Bucket.SUCCEEDED} else Status.PARTIALLY_REFUNDED
    if present & {Bucket.REJECTED, Bucket.COMPENSATED}:
        return Status.REJECTED
    if Bucket.CANCELED in present:
        return Status.CANCELED
    return Status.CLOSED if Bucket.CLOSED in present else Status.REQUESTED
