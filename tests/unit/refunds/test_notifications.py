"""What is told of which fact: no bucket, no exposure and no kind is left without an answer."""

import pytest

from refunds.exposure import ExposureBucket
from refunds.lifecycle import TRANSITIONS, Bucket, Transition
from refunds.money import Currency, Money
from refunds.notifications import (
    LETTERS,
    STANDING,
    STATES,
    TOLD_OF_BUCKET,
    TOLD_OF_EXPOSURE,
    Audience,
    Kind,
    buyer_text,
)

TOLD: dict[Bucket, str | None] = {
    Bucket.REQUESTED: None,
    Bucket.HELD: "held",
    Bucket.REVIEW: "review",
    Bucket.RELEASING: None,
    Bucket.REVERSED: None,
    Bucket.SUBMITTED: "released",
    Bucket.SUCCEEDED: "succeeded",
    Bucket.FAILED: "failed",
    Bucket.STRIPE_CANCELED: "failed",
    Bucket.COMPENSATED: "failed",
    Bucket.REJECTED: "rejected",
    Bucket.CANCELED: "canceled",
    Bucket.CLOSED: "closed",
}
"""Once more, by hand."""

PROMISED = {
    "refund_request.held",
    "refund_request.released",
    "refund_request.covered",
    "refund_request.succeeded",
    "refund_request.failed",
    "refund_request.review",
    "refund_request.deadline_near",
    "refund_request.deadline_passed",
    "recovery.step",
    "guard.changed",
    "event.dead_lettered",
    "money.unexpected",
}


@pytest.mark.parametrize("move", TRANSITIONS, ids=lambda move: f"{move.source}-{move.target}")
def test_every_move_of_the_lifecycle_is_told_or_kept_for_a_reason(move: Transition) -> None:
    kind = TOLD_OF_BUCKET[move.target]
    expected = TOLD[move.target]
    assert kind == (None if expected is None else f"refund_request.{expected}")


def test_every_bucket_has_an_answer_and_every_end_is_told() -> None:
    assert set(TOLD_OF_BUCKET) == set(Bucket)
    assert set(TOLD_OF_EXPOSURE) == set(ExposureBucket)
    ends = set(Bucket) - {move.source for move in TRANSITIONS}
    assert all(TOLD_OF_BUCKET[end] is not None for end in ends)


def test_every_kind_that_was_promised_is_there_and_has_its_readers() -> None:
    assert set(Kind) >= PROMISED
    assert set(LETTERS) == set(Kind)
    assert all(readers <= set(Audience) for readers in LETTERS.values())


def test_connected_accounts_are_written_to_about_what_concerns_them_and_nothing_else() -> None:
    assert {kind for kind, readers in LETTERS.items() if Audience.ACCOUNT in readers} == {
        Kind.HELD,
        Kind.RELEASED,
        Kind.DEADLINE_NEAR,
    }


def test_what_stands_is_a_state() -> None:
    assert set(STANDING) <= STATES
    assert {TOLD_OF_BUCKET[bucket] for bucket in STANDING.values()} == set(STANDING)


@pytest.mark.parametrize("kind", list(Kind), ids=str)
def test_a_buyer_reads_the_amount_and_nothing_about_the_account(kind: Kind) -> None:
    text = buyer_text(kind, Money(123_450, Currency("usd")))
    about_their_refund = kind.startswith("refund_request.") and kind not in (
        Kind.COVERED,
        Kind.REJECTED,
        Kind.CANCELED,
        Kind.CLOSED,
        Kind.STRIPE_PENDING,
    )
    assert (text is not None) == about_their_refund
    if text is not None:
        assert "1,234.50 USD" in text
        for word in ("account", "balance", "held", "seller", "Stripe"):
            assert word not in text
    assert buyer_text(kind, None) is None
