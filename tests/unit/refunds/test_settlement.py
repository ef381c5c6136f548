"""Settlement: news of a refund in any order, late or twice, ends where Stripe's own order ends.

It may not append to a ledger; the moves are played on a plain table of amounts.
"""

from dataclasses import dataclass, field
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.facts import RefundStatus
from refunds.lifecycle import Bucket, check_move
from refunds.settlement import place_of, route

PENDING = RefundStatus.PENDING
ACTION = RefundStatus.REQUIRES_ACTION
SUCCEEDED = RefundStatus.SUCCEEDED
FAILED = RefundStatus.FAILED
CANCELED = RefundStatus.CANCELED
UNKNOWN = RefundStatus.UNKNOWN

# What Stripe's documentation says may happen to a refund, in the order in which it happens.
STORIES = [
    (SUCCEEDED,),
    (PENDING, SUCCEEDED),
    (PENDING, FAILED),
    (SUCCEEDED, FAILED),
    (PENDING, SUCCEEDED, FAILED),
    (PENDING, ACTION, SUCCEEDED),
    (PENDING, ACTION, SUCCEEDED, FAILED),
    (ACTION, PENDING, SUCCEEDED),
    (ACTION, PENDING, SUCCEEDED, FAILED),
    (ACTION, CANCELED),
    (PENDING, ACTION, CANCELED),
    (ACTION, FAILED),
    (UNKNOWN, SUCCEEDED),
    (UNKNOWN, SUCCEEDED, FAILED),
    (PENDING, UNKNOWN, ACTION, CANCELED),
]
ENDS = {SUCCEEDED: Bucket.SUCCEEDED, FAILED: Bucket.REVIEW, CANCELED: Bucket.REVIEW}


@dataclass
class Request:
    """A request of 5000, just prepared, and what was applied of its refund."""

    applied: RefundStatus | None = None
    amounts: dict[Bucket, int] = field(default_factory=lambda: {Bucket.RELEASING: 5_000})
    path: list[Bucket] = field(default_factory=lambda: [Bucket.RELEASING])

    def hear(self, news: RefundStatus) -> None:
        """Apply one piece of news, if it changes anything."""
        moves = route(self.applied, news)
        for target in moves:
            source = self.path[-1]
            check_move(source, target)
            self.amounts[target] = self.amounts.get(target, 0) + self.amounts.pop(source)
            self.path.append(target)
        if moves:
            self.applied = news
        assert sum(self.amounts.values()) == 5_000


@pytest.mark.parametrize("story", STORIES, ids="-".join)
def test_any_order_ends_where_stripes_order_ends(story: tuple[RefundStatus, ...]) -> None:
    for heard in permutations(story):
        request = Request()
        for news in heard:
            request.hear(news)
        assert request.amounts == {ENDS[story[-1]]: 5_000}, heard
        assert request.path.count(Bucket.FAILED) + request.path.count(Bucket.STRIPE_CANCELED) == (
            story[-1] in (FAILED, CANCELED)
        ), heard


@given(story=st.sampled_from(STORIES), data=st.data())
def test_doubled_and_stale_news_changes_nothing(
    story: tuple[RefundStatus, ...], data: st.DataObject
) -> None:
    heard = data.draw(st.permutations(story * 3))
    request = Request()
    for news in heard:
        request.hear(news)
    assert request.amounts == {ENDS[story[-1]]: 5_000}
    # The buyer being owed again is said once, however often the failure is reported.
    assert request.path.count(Bucket.FAILED) <= 1


@given(st.lists(st.sampled_from(RefundStatus), max_size=12))
def test_no_sequence_of_news_leaves_the_table_or_loses_money(news: list[RefundStatus]) -> None:
    request = Request()
    for status in news:
        request.hear(status)  # checks every move and the sum
        place = place_of(request.applied)
        assert place is None or place is request.path[-1]


NEW = None
TABLE = {
    # (applied, news): the moves
    (NEW, PENDING): "submitted",
    (NEW, UNKNOWN): "submitted",
    (NEW, ACTION): "submitted review",
    (NEW, SUCCEEDED): "submitted succeeded",
    (NEW, FAILED): "submitted failed review",
    (NEW, CANCELED): "submitted stripe_canceled review",
    (PENDING, ACTION): "review",
    (PENDING, SUCCEEDED): "succeeded",
    (PENDING, FAILED): "failed review",
    (PENDING, CANCELED): "stripe_canceled review",
    (UNKNOWN, ACTION): "review",
    (UNKNOWN, SUCCEEDED): "succeeded",
    (UNKNOWN, FAILED): "failed review",
    (UNKNOWN, CANCELED): "stripe_canceled review",
    # The buyer acted, or their time is over.
    (ACTION, PENDING): "submitted",
    (ACTION, UNKNOWN): "submitted",
    (ACTION, SUCCEEDED): "submitted succeeded",
    (ACTION, FAILED): "submitted failed review",
    (ACTION, CANCELED): "submitted stripe_canceled review",
    # Not final: Stripe may take a success back for about thirty days.
    (SUCCEEDED, FAILED): "failed review",
}


@pytest.mark.parametrize("applied, news", list(product([None, *RefundStatus], RefundStatus)))
def test_every_pair_of_what_was_applied_and_what_is_news(
    applied: RefundStatus | None, news: RefundStatus
) -> None:
    expected = TABLE.get((applied, news), "").split()
    assert route(applied, news) == tuple(Bucket(word) for word in expected)


def test_where_the_money_lies_after_each_status() -> None:
    assert {status: place_of(status) for status in [None, *RefundStatus]} == {
        None: Bucket.RELEASING,
        PENDING: Bucket.SUBMITTED,
        UNKNOWN: Bucket.SUBMITTED,
        ACTION: Bucket.REVIEW,
        SUCCEEDED: Bucket.SUCCEEDED,
        # The request has its money back and may send it again under another refund.
        FAILED: None,
        CANCELED: None,
    }
