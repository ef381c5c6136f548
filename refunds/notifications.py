"""What people and the platform's own systems are told: the kinds, and which facts they come from.

This module holds the tables and the words for buyers; it may not send, store or address anything.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from refunds.exposure import ExposureBucket
from refunds.lifecycle import Bucket
from refunds.money import Money


class Kind(StrEnum):
    """What a notification tells; the word is its `type`."""

    HELD = "refund_request.held"
    RELEASED = "refund_request.released"
    COVERED = "refund_request.covered"
    SUCCEEDED = "refund_request.succeeded"
    FAILED = "refund_request.failed"
    REVIEW = "refund_request.review"
    REJECTED = "refund_request.rejected"
    CANCELED = "refund_request.canceled"
    CLOSED = "refund_request.closed"
    DEADLINE_NEAR = "refund_request.deadline_near"
    DEADLINE_PASSED = "refund_request.deadline_passed"
    STRIPE_PENDING = "refund_request.stripe_pending"
    """Stripe itself holds the refund, and gives it up 45 days after it was made."""
    RECOVERY_STEP = "recovery.step"
    GUARD_CHANGED = "guard.changed"
    EVENT_DEAD_LETTERED = "event.dead_lettered"
    MONEY_UNEXPECTED = "money.unexpected"
    DIGEST = "digest.daily"
    TEST = "notification.test"
    """Sent by a person who wants to know whether the channels work; never stored."""


class Audience(StrEnum):
    """Who reads a letter."""

    FINANCE = "finance"
    OPERATIONS = "operations"
    ACCOUNT = "account"
    """The connected account whose balance a refund draws on."""


TOLD_OF_BUCKET: Final[Mapping[Bucket, Kind | None]] = {
    Bucket.OPENED: None,
    # Whoever asked has the answer.
    Bucket.REQUESTED: None,
    Bucket.HELD: Kind.HELD,
    Bucket.REVIEW: Kind.REVIEW,
    # An intent: Stripe may still refuse. What comes of it is told.
    Bucket.RELEASING: None,
    Bucket.REVERSED: None,
    Bucket.SUBMITTED: Kind.RELEASED,
    Bucket.SUCCEEDED: Kind.SUCCEEDED,
    Bucket.FAILED: Kind.FAILED,
    Bucket.STRIPE_CANCELED: Kind.FAILED,
    Bucket.COMPENSATED: Kind.FAILED,
    Bucket.REJECTED: Kind.REJECTED,
    Bucket.CANCELED: Kind.CANCELED,
    Bucket.CLOSED: Kind.CLOSED,
}
"""What is told when an amount reaches a bucket; `None`: nothing."""

STANDING: Final[Mapping[Kind, Bucket]] = {Kind.HELD: Bucket.HELD, Kind.REVIEW: Bucket.REVIEW}
"""Kinds that tell where an amount stays: a bucket it only passed through is not told."""

TOLD_OF_EXPOSURE: Final[Mapping[ExposureBucket, Kind | None]] = {
    # The refund failed after all, which is told as such.
    ExposureBucket.PLATFORM: None,
    ExposureBucket.EXPOSED: Kind.COVERED,
    ExposureBucket.RECOVERED: Kind.RECOVERY_STEP,
}
"""What is told when exposure moves to a bucket."""

STATES: Final = frozenset(kind for kind in TOLD_OF_BUCKET.values() if kind is not None)
"""Kinds that tell where a request stands, of which the last one told counts."""

LETTERS: Final[Mapping[Kind, frozenset[Audience]]] = {
    Kind.HELD: frozenset({Audience.ACCOUNT}),
    Kind.RELEASED: frozenset({Audience.ACCOUNT}),
    Kind.COVERED: frozenset({Audience.FINANCE}),
    Kind.SUCCEEDED: frozenset(),
    Kind.FAILED: frozenset({Audience.OPERATIONS}),
    Kind.REVIEW: frozenset({Audience.OPERATIONS}),
    Kind.REJECTED: frozenset(),
    Kind.CANCELED: frozenset(),
    Kind.CLOSED: frozenset(),
    Kind.DEADLINE_NEAR: frozenset({Audience.OPERATIONS, Audience.ACCOUNT}),
    Kind.DEADLINE_PASSED: frozenset({Audience.OPERATIONS}),
    Kind.STRIPE_PENDING: frozenset({Audience.OPERATIONS, Audience.FINANCE}),
    Kind.RECOVERY_STEP: frozenset({Audience.FINANCE}),
    Kind.GUARD_CHANGED: frozenset({Audience.OPERATIONS}),
    Kind.EVENT_DEAD_LETTERED: frozenset({Audience.OPERATIONS, Audience.FINANCE}),
    Kind.MONEY_UNEXPECTED: frozenset({Audience.OPERATIONS, Audience.FINANCE}),
    Kind.DIGEST: frozenset({Audience.FINANCE}),
    Kind.TEST: frozenset({Audience.FINANCE, Audience.OPERATIONS}),
}
"""Who gets a letter about what. The platform's own systems and the log hear of everything."""

BUYER_TEXTS: Final[Mapping[Kind, str]] = {
    Kind.HELD: "Your refund of {amount} is being prepared. You need not do anything.",
    Kind.RELEASED: (
        "Your refund of {amount} is on its way. Banks usually take 5 to 10 business days to show "
        "it."
    ),
    Kind.SUCCEEDED: (
        "Your refund of {amount} was sent. Banks usually take 5 to 10 business days to show it."
    ),
    Kind.FAILED: (
        "Your bank could not accept your refund of {amount}. We are looking for another way to "
        "pay you."
    ),
    Kind.REVIEW: "Your refund of {amount} is being looked at by a member of our team.",
    Kind.DEADLINE_NEAR: "Your refund of {amount} is taking longer than usual. We are on it.",
    Kind.DEADLINE_PASSED: "Your refund of {amount} is taking longer than usual. We are on it.",
}


def buyer_text(kind: Kind, amount: Money | None) -> str | None:
    """Return a sentence that the platform can show to the buyer; `None` where there is nothing to
    say, or the amount isn't known.

    It says nothing about the connected account: whose balance is short is none of a buyer's
    business.
    """
    text = BUYER_TEXTS.get(kind)
    if text is None or amount is None:
        return None
    return text.format(amount=amount)
