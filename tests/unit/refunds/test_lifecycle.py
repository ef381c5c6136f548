"""The lifecycle: every pair of buckets is either in the specification or forbidden.

It may not read the table it checks to know what to expect; the specification is written out here.
"""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.errors import IllegalMoveError
from refunds.lifecycle import (
    LEGAL,
    OPEN,
    SENT,
    TRANSITIONS,
    WAITING,
    Bucket,
    Status,
    check_move,
    status_of,
)

# Where money may go from each bucket. `opened` is the outside world a wish comes from.
SPECIFICATION = {
    "opened": "requested",
    "requested": "held review rejected canceled releasing",
    "held": "releasing review canceled closed",
    "review": "held releasing canceled closed submitted",
    "releasing": "submitted held review reversed",
    "submitted": "succeeded failed stripe_canceled review",
    "succeeded": "failed",
    "failed": "review",
    "stripe_canceled": "review",
    "reversed": "submitted held compensated review",
    "compensated": "review",
    "rejected": "",
    "canceled": "",
    "closed": "",
}
ALLOWED = {
    (Bucket(source), Bucket(target))
    for source, targets in SPECIFICATION.items()
    for target in targets.split()
}
# What needs a person most comes first. Several buckets share a word only where it says so.
ATTENTION = [
    (Bucket.REVIEW, Status.REVIEW),
    (Bucket.REQUESTED, Status.REQUESTED),
    (Bucket.HELD, Status.HELD),
    (Bucket.RELEASING, Status.RELEASING),
    (Bucket.REVERSED, Status.REVERSED),
    (Bucket.SUBMITTED, Status.SUBMITTED),
    (Bucket.FAILED, Status.FAILED),
    (Bucket.STRIPE_CANCELED, Status.FAILED),
]
LAST_WORDS = [
    (Bucket.REJECTED, Status.REJECTED),
    (Bucket.COMPENSATED, Status.REJECTED),
    (Bucket.CANCELED, Status.CANCELED),
    (Bucket.CLOSED, Status.CLOSED),
]
PLACES: list[Bucket] = [bucket for bucket in Bucket if bucket is not Bucket.OPENED]


def expected_status(present: set[Bucket]) -> Status:
    for bucket, status in ATTENTION:
        if bucket in present:
            return status
    if present == {Bucket.SUCCEEDED}:
        return Status.SUCCEEDED
    if Bucket.SUCCEEDED in present:
        return Status.PARTIALLY_REFUNDED
    return next((status for bucket, status in LAST_WORDS if bucket in present), Status.REQUESTED)


def test_the_specification_knows_every_bucket() -> None:
    assert set(SPECIFICATION) == set(Bucket)


@pytest.mark.parametrize("source, target", list(product(Bucket, Bucket)))
def test_every_pair_of_buckets_is_allowed_or_refused(source: Bucket, target: Bucket) -> None:
    if (source, target) in ALLOWED:
        check_move(source, target)
        return
    with pytest.raises(IllegalMoveError, match=f"from {source} to {target}$") as caught:
        check_move(source, target)
    assert (caught.value.from_bucket, caught.value.to_bucket) == (source, target)


def test_the_table_lists_each_transition_once_and_says_what_makes_it_happen() -> None:
    assert len(TRANSITIONS) == len(LEGAL) == len(ALLOWED)
    assert all(row.when.strip() and not row.when.endswith(".") for row in TRANSITIONS)


def test_every_bucket_can_be_reached_and_money_never_stays_stuck() -> None:
    reached = {Bucket.OPENED}
    while more := {target for source, target in LEGAL if source in reached} - reached:
        reached |= more
    assert reached == set(Bucket)
    rest = {Bucket.SUCCEEDED, Bucket.REJECTED, Bucket.CANCELED, Bucket.CLOSED}
    for bucket in reached - rest:
        assert any(source is bucket for source, _ in LEGAL), f"no way out of {bucket}"


def test_money_that_was_sent_only_waits_again_by_a_persons_hand() -> None:
    assert {source for source, target in LEGAL if target in WAITING} == {
        Bucket.OPENED,
        Bucket.REQUESTED,
        Bucket.REVIEW,
        Bucket.RELEASING,
        Bucket.REVERSED,
    }


def test_what_is_canceled_was_never_sent() -> None:
    before_stripe = {Bucket.REQUESTED, Bucket.HELD, Bucket.REVIEW}
    assert {source for source, target in LEGAL if target is Bucket.CANCELED} == before_stripe


def test_the_groups_of_buckets_are_what_they_say() -> None:
    assert {Bucket.REQUESTED, Bucket.HELD} == WAITING
    assert {Bucket.SUBMITTED, Bucket.SUCCEEDED} == SENT
    assert WAITING | {Bucket.REVIEW, Bucket.RELEASING, Bucket.REVERSED} == OPEN


def test_the_status_of_every_combination_of_buckets() -> None:
    # 2^13 combinations in one test: as separate ones they would take longer to name than to run.
    for chosen in product([False, True], repeat=len(PLACES)):
        present = {bucket for bucket, there in zip(PLACES, chosen, strict=True) if there}
        amounts = dict.fromkeys(present, 1)
        assert status_of(amounts) is expected_status(present), sorted(present)


@pytest.mark.parametrize("nothing", [0, -1])
def test_an_empty_bucket_says_nothing_about_the_status(nothing: int) -> None:
    amounts = {Bucket.REVIEW: nothing, Bucket.SUCCEEDED: 500, Bucket.CLOSED: nothing}
    assert status_of(amounts) is Status.SUCCEEDED


def test_the_outside_world_says_nothing_about_the_status() -> None:
    assert status_of({Bucket.OPENED: 5_000, Bucket.SUCCEEDED: 500}) is Status.SUCCEEDED
    assert status_of({}) is Status.REQUESTED


@given(st.dictionaries(st.sampled_from(PLACES), st.integers(1, 10**9)))
def test_how_much_lies_in_a_bucket_does_not_matter(amounts: dict[Bucket, int]) -> None:
    assert status_of(amounts) is status_of(dict.fromkeys(amounts, 1))
