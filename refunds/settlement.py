"""What a refund's status at Stripe means for our buckets, in whatever order the news arrives.

This module maps status to moves; it may not append them or read a refund.
"""

from collections.abc import Mapping
from typing import Final

from refunds.facts import RefundStatus
from refunds.lifecycle import Bucket

_PLACE: Final[Mapping[RefundStatus | None, Bucket | None]] = {
    None: Bucket.RELEASING,
    RefundStatus.PENDING: Bucket.SUBMITTED,
    RefundStatus.UNKNOWN: Bucket.SUBMITTED,
    RefundStatus.REQUIRES_ACTION: Bucket.REVIEW,
    RefundStatus.SUCCEEDED: Bucket.SUCCEEDED,
    RefundStatus.FAILED: None,
    RefundStatus.CANCELED: None,
}
"""Where the refund's amount lies once this status was applied; `None`: it no longer answers for
it.
"""

_ONWARD: Final[Mapping[RefundStatus, tuple[Bucket, ...]]] = {
    RefundStatus.PENDING: (),
    RefundStatus.UNKNOWN: (),
    RefundStatus.REQUIRES_ACTION: (Bucket.REVIEW,),
    RefundStatus.SUCCEEDED: (Bucket.SUCCEEDED,),
    RefundStatus.FAILED: (Bucket.FAILED, Bucket.REVIEW),
    RefundStatus.CANCELED: (Bucket.STRIPE_CANCELED, Bucket.REVIEW),
}
"""From SUBMITTED on."""


def place_of(applied: RefundStatus | None, *, reversed_first: bool = False) -> Bucket | None:
    """Return where a refund's amount lies after `applied`; `None` once it passed the money on.

    `reversed_first`: its transfers were reversed before the refund was asked for.
    """
    if applied is None and reversed_first:
        return Bucket.REVERSED
    return _PLACE[applied]


def route(applied: RefundStatus | None, news: RefundStatus) -> tuple[Bucket, ...]:
    """Return the buckets the amount moves through, in order; empty if the news changes nothing.

    Final words stay: a stale `pending` after `succeeded` is ignored, `failed` after `succeeded` is
    not (Stripe allows it for about 30 days). Source: Stripe docs, "Refund failures".
    """
    place = _PLACE[applied]
    if applied is news or place is None:
        return ()
    if place is Bucket.SUCCEEDED:
        return (Bucket.FAILED, Bucket.REVIEW) if news is RefundStatus.FAILED else ()
    if place is Bucket.SUBMITTED:
        return _ONWARD[news]
    return (Bucket.SUBMITTED, *_ONWARD[news])
