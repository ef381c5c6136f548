"""Invariants: books in order pass, and each way to break them is caught by the check made for it.

It may not load books from anywhere; each broken one differs from a good one in a single thing.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.ids import AttemptId, ChargeId, RefundId, RequestId, RunId
from refunds.invariants import (
    CHECKS,
    Books,
    ChargeBooks,
    Check,
    Entry,
    RefundBooks,
    RequestBooks,
    RunBooks,
    check_amount_in_buckets_once,
    check_charge_not_exceeded,
    check_every_refund_explained,
    check_moves_legal,
    check_one_refund_per_attempt,
    check_projection_equals_ledger,
    check_run_within_spendable,
    check_shadow_moves_no_money,
    violations,
)
from refunds.lifecycle import LEGAL, Bucket, Status, status_of
from tests.support.facts import ATTEMPT, CHARGE, REQUEST, USD

RUN = RunId("run_1")
OTHER_REQUEST = RequestId("rr_other")


def entries(path: str, amount_minor: int, request: RequestId = REQUEST) -> tuple[Entry, ...]:
    """The whole amount moving along a path of buckets."""
    buckets = [Bucket(word) for word in path.split()]
    return tuple(
        Entry(request=request, source=source, target=target, amount_minor=amount_minor)
        for source, target in pairwise(buckets)
    )


def request_along(path: str, amount_minor: int, request: RequestId = REQUEST) -> RequestBooks:
    last = Bucket(path.rsplit(maxsplit=1)[-1])
    return RequestBooks(
        request=request,
        charge=CHARGE,
        amount_minor=amount_minor,
        status=status_of({last: amount_minor}),
        projection={last: amount_minor},
        entries=entries(path, amount_minor, request),
    )


def refund(
    name: str = "re_1",
    amount_minor: int = 6_000,
    *,
    attempt: AttemptId | None = ATTEMPT,
    observed: bool = False,
    live: bool = True,
    requires_action: bool = False,
) -> RefundBooks:
    return RefundBooks(
        refund=RefundId(name),
        charge=CHARGE,
        attempt=attempt,
        observed=observed,
        live=live,
        amount_minor=amount_minor,
        requires_action=requires_action,
    )


def run(*, spendable: int, released: int) -> tuple[RunBooks, ...]:
    return (RunBooks(run=RUN, currency=USD, spendable_minor=spendable, released_minor=released),)


def one_charge(amount_minor: int) -> tuple[ChargeBooks, ...]:
    return (ChargeBooks(charge=CHARGE, amount_minor=amount_minor),)


SENT_PATH = "opened requested held releasing submitted succeeded"
SENT = request_along(SENT_PATH, 6_000)
HELD = request_along("opened requested held", 4_000, OTHER_REQUEST)
PUT_BACK = request_along("opened requested held releasing held", 4_000, OTHER_REQUEST)
SHADOW = replace(request_along("opened requested held", 6_000, RequestId("rr_x")), shadow=True)
PRETENDED = request_along("opened requested canceled", 6_000, RequestId("rr_y"))
GOOD = Books(
    requests=(SENT, HELD),
    refunds=(refund(),),
    # 6000 refunded and 4000 held: the charge is claimed to the last cent.
    charges=one_charge(10_000),
    runs=run(spendable=6_000, released=6_000),
)


def with_request(**changes: object) -> Books:
    return replace(GOOD, requests=(replace(SENT, **changes), HELD))  # type: ignore[arg-type]  # one field of many


def caught_by(books: Books) -> list[Check]:
    return [check for check in CHECKS if list(check(books))]


IN_ORDER = {
    "nothing": Books(),
    "one sent, one held": GOOD,
    "not asked yet": Books(
        requests=(
            RequestBooks(
                request=REQUEST,
                charge=None,
                amount_minor=None,
                status=Status.REQUESTED,
                projection={},
                entries=(),
            ),
        )
    ),
    "empty buckets in the projection": with_request(
        projection={Bucket.SUCCEEDED: 6_000, Bucket.HELD: 0}
    ),
    "a refund that failed, its request in review": replace(
        GOOD,
        requests=(request_along(f"{SENT_PATH} failed review", 6_000), HELD),
        refunds=(refund(live=False),),
    ),
    "a second refund after the first failed": replace(
        GOOD,
        requests=(
            request_along(f"{SENT_PATH} failed review held releasing submitted succeeded", 6_000),
            HELD,
        ),
        refunds=(refund(live=False), refund("re_2", attempt=AttemptId("ra_2"))),
    ),
    # Stripe's refund is alive and its amount lies in review: one claim, not two.
    "a refund that waits for the buyer": replace(
        GOOD,
        requests=(request_along("opened requested held releasing submitted review", 6_000), HELD),
        refunds=(refund(requires_action=True),),
    ),
    "in parts, some here, some there": replace(
        GOOD,
        requests=(
            replace(
                SENT,
                status=Status.HELD,
                projection={Bucket.HELD: 2_000, Bucket.SUBMITTED: 4_000},
                entries=(
                    *entries("opened requested held", 6_000),
                    *entries("held releasing submitted", 4_000),
                ),
            ),
            HELD,
        ),
        refunds=(refund(amount_minor=4_000),),
    ),
    "a Dashboard refund that was observed": replace(
        GOOD,
        requests=(SENT,),
        refunds=(refund(), refund("re_2", 4_000, attempt=None, observed=True)),
    ),
    "a Dashboard refund that took what a request in review claims": replace(
        GOOD,
        requests=(request_along("opened requested held review", 4_000, OTHER_REQUEST),),
        refunds=(refund("re_2", 10_000, attempt=None, observed=True),),
        runs=(),
    ),
    "a failed refund nobody knows": replace(
        GOOD, refunds=(refund(), refund("re_2", attempt=None, live=False))
    ),
    "observed refunds share no attempt": replace(
        GOOD,
        requests=(),
        refunds=(
            refund("re_2", 1, attempt=None, observed=True),
            refund("re_3", 1, attempt=None, observed=True),
        ),
    ),
    "a shadow request beside what is sent, of the same money": replace(
        GOOD,
        requests=(*GOOD.requests, SHADOW, replace(PRETENDED, shadow=True)),
    ),
    "a run that found less than nothing and released nothing": replace(
        GOOD, runs=run(spendable=-500, released=0)
    ),
}


@pytest.mark.parametrize("books", IN_ORDER.values(), ids=IN_ORDER)
def test_books_in_order_pass(books: Books) -> None:
    assert violations(books) == []


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Books with one thing wrong, the check that must say so, and what it says."""

    books: Books
    check: Check
    says: str


BROKEN = {
    "money came from nowhere": Broken(
        books=with_request(amount_minor=5_999),
        check=check_amount_in_buckets_once,
        says="rr_lamp: 6000 in its buckets, not 5999",
    ),
    "money got lost": Broken(
        books=replace(GOOD, requests=(SENT, replace(HELD, amount_minor=4_001))),
        check=check_amount_in_buckets_once,
        says="rr_other: 4000 in its buckets, not 4001",
    ),
    "an amount nobody knows is in a bucket": Broken(
        books=with_request(amount_minor=None),
        check=check_amount_in_buckets_once,
        says="rr_lamp: 6000 in its buckets, not None",
    ),
    "an entry came before the one that made it possible": Broken(
        books=with_request(
            entries=(
                *entries("requested held", 6_000),
                *entries("opened requested", 6_000),
                *entries("held releasing submitted succeeded", 6_000),
            )
        ),
        check=check_amount_in_buckets_once,
        says="rr_lamp: bucket requested went below zero (-6000)",
    ),
    "the projection has another bucket": Broken(
        books=with_request(projection={Bucket.SUBMITTED: 6_000}, status=Status.SUBMITTED),
        check=check_projection_equals_ledger,
        says="rr_lamp: ledger says",
    ),
    "the projection has another amount": Broken(
        books=with_request(projection={Bucket.SUCCEEDED: 5_999}),
        check=check_projection_equals_ledger,
        says="rr_lamp: ledger says",
    ),
    "the projection has a bucket more": Broken(
        books=with_request(
            projection={Bucket.SUCCEEDED: 6_000, Bucket.CLOSED: 1},
            status=Status.PARTIALLY_REFUNDED,
        ),
        check=check_projection_equals_ledger,
        says="rr_lamp: ledger says",
    ),
    "the status is another": Broken(
        books=with_request(status=Status.SUBMITTED),
        check=check_projection_equals_ledger,
        says="rr_lamp: status submitted isn't that of",
    ),
    "a move that no transition joins": Broken(
        books=with_request(entries=entries("opened requested held submitted succeeded", 6_000)),
        check=check_moves_legal,
        says="rr_lamp: illegal entry",
    ),
    "an entry that moves nothing": Broken(
        books=with_request(entries=(*SENT.entries, *entries("held review", 0))),
        check=check_moves_legal,
        says="rr_lamp: illegal entry",
    ),
    "two refunds of one attempt": Broken(
        books=replace(GOOD, refunds=(refund(amount_minor=3_000), refund("re_2", 3_000))),
        check=check_one_refund_per_attempt,
        says="ra_lamp: 2 refunds at Stripe",
    ),
    "two refunds of one attempt, one of them failed": Broken(
        books=replace(GOOD, refunds=(refund(), refund("re_2", live=False))),
        check=check_one_refund_per_attempt,
        says="ra_lamp: 2 refunds at Stripe",
    ),
    "a cent more than the charge": Broken(
        books=replace(GOOD, charges=one_charge(9_999)),
        check=check_charge_not_exceeded,
        says="ch_lamp: 10000 claimed of 9999",
    ),
    "a refund of ours and one from the Dashboard": Broken(
        books=replace(GOOD, refunds=(refund(), refund("re_2", 1, attempt=None, observed=True))),
        check=check_charge_not_exceeded,
        says="ch_lamp: 10001 claimed of 10000",
    ),
    "requests in review for more than the charge": Broken(
        books=replace(
            GOOD, requests=(SENT, request_along("opened requested review", 4_001, OTHER_REQUEST))
        ),
        check=check_charge_not_exceeded,
        says="ch_lamp: 10001 claimed of 10000",
    ),
    # Nothing of ours lies in review for it, so it does claim a part of the charge.
    "a Dashboard refund that waits for the buyer": Broken(
        books=replace(
            GOOD,
            refunds=(
                refund(),
                refund("re_2", 1, attempt=None, observed=True, requires_action=True),
            ),
        ),
        check=check_charge_not_exceeded,
        says="ch_lamp: 10001 claimed of 10000",
    ),
    "money moved that nobody explains": Broken(
        books=replace(GOOD, requests=(SENT,), refunds=(refund(), refund("re_2", 1, attempt=None))),
        check=check_every_refund_explained,
        says="re_2: money moved that no request explains",
    ),
    "a run that released a cent too much": Broken(
        books=replace(
            GOOD,
            runs=run(spendable=5_999, released=6_000),
        ),
        check=check_run_within_spendable,
        says="run_1: released 6000 of 5999 spendable (usd)",
    ),
    "a shadow request that was sent": Broken(
        books=replace(GOOD, requests=(SENT, replace(PUT_BACK, shadow=True))),
        check=check_shadow_moves_no_money,
        says="rr_other: a shadow request went to releasing",
    ),
    "a run that released though less than nothing was there": Broken(
        books=replace(GOOD, runs=run(spendable=-500, released=1)),
        check=check_run_within_spendable,
        says="run_1: released 1 of -500 spendable (usd)",
    ),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_break_is_caught_by_its_own_check_and_no_other(case: Broken) -> None:
    assert caught_by(case.books) == [case.check]
    (said,) = violations(case.books)
    assert said.startswith(case.says)


@pytest.mark.parametrize("bucket", [b for b in Bucket if b is not Bucket.OPENED])
def test_which_buckets_claim_a_part_of_the_charge(bucket: Bucket) -> None:
    # A held request of 4000 and this one of 6000, without a refund, on a charge of 9999.
    one = replace(SENT, projection={bucket: 6_000})
    books = replace(
        GOOD,
        requests=(one, HELD),
        refunds=(),
        charges=one_charge(9_999),
    )
    claims = bucket in {
        Bucket.REQUESTED,
        Bucket.HELD,
        Bucket.REVIEW,
        Bucket.RELEASING,
        Bucket.REVERSED,
    }
    assert bool(list(check_charge_not_exceeded(books))) is claims


def test_charges_are_counted_apart() -> None:
    other = ChargeId("ch_table")
    books = Books(
        requests=(HELD, replace(HELD, request=REQUEST, charge=other), replace(HELD, charge=None)),
        charges=(
            ChargeBooks(charge=CHARGE, amount_minor=4_000),
            ChargeBooks(charge=other, amount_minor=4_000),
        ),
    )
    assert list(check_charge_not_exceeded(books)) == []


def test_every_check_is_in_the_list_and_has_a_break_that_shows_it() -> None:
    assert len(CHECKS) == len(set(CHECKS)) == 8
    assert {case.check for case in BROKEN.values()} == set(CHECKS)


@given(walk=st.lists(st.integers(0, 100), max_size=15), amount_minor=st.integers(1, 10**9))
def test_any_walk_along_the_table_keeps_the_books_in_order(
    walk: list[int], amount_minor: int
) -> None:
    path = [Bucket.OPENED, Bucket.REQUESTED]
    for step in walk:
        onward = sorted(target for source, target in LEGAL if source is path[-1])
        if not onward:
            break
        path.append(onward[step % len(onward)])
    request = request_along(" ".join(path), amount_minor)
    assert violations(Books(requests=(request,))) == []
