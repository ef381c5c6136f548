"""When pending money will have covered a shortfall, figures worked out beside each row."""

from datetime import timedelta

import pytest

from refunds.eta import Arrival, Confidence, Eta, estimate
from tests.support.facts import EUR, NOON, USD

DAY = timedelta(days=1)


def arrival(day: int, net_minor: int) -> Arrival:
    return Arrival(on=NOON + day * DAY, currency=USD, net_minor=net_minor)


@pytest.mark.parametrize(
    "shortfall_minor, ahead_minor, arrivals, day",
    [
        (4000, 0, [arrival(2, 4000)], 2),
        # What comes later changes nothing.
        (4000, 0, [arrival(2, 4000), arrival(3, 500)], 2),
        # 1,500 + 1,500 < 4,000 ≤ 1,500 + 1,500 + 1,000
        (4000, 0, [arrival(1, 1500), arrival(2, 1500), arrival(5, 1000)], 5),
        (4000, 0, [arrival(5, 1000), arrival(2, 1500), arrival(1, 1500)], 5),
        # An older request takes 2,000 first: 6,000 are needed.
        (4000, 2000, [arrival(1, 5000), arrival(3, 1000)], 3),
        # 5,000 on day 1, but 2,000 go again on day 2, and 1,000 come on day 4: 4,000 from then on.
        (4000, 0, [arrival(1, 5000), arrival(2, -2000), arrival(4, 1000)], 4),
        # What goes and what comes on one day: 5,000 - 1,000 = 4,000.
        (4000, 0, [arrival(1, 5000), arrival(1, -1000)], 1),
        (4000, 0, [arrival(-1, 4000)], -1),
    ],
)
def test_the_day_on_which_it_is_covered_and_stays_so(
    shortfall_minor: int, ahead_minor: int, arrivals: list[Arrival], day: int
) -> None:
    found = estimate(
        shortfall_minor=shortfall_minor,
        currency=USD,
        ahead_minor=ahead_minor,
        arrivals=arrivals,
        payout_interval="manual",
        guarded=False,
    )
    assert found is not None
    assert found.at == NOON + day * DAY


def test_the_payments_own_money_does_not_arrive_twice() -> None:
    # Need 10,000, of which 6,000 are the payment's own, pending: 4,000 short. Its 6,000 come on day
    # 1 and change nothing; 2,000 + 2,000 of other payments on days 2 and 4 make up the rest.
    found = estimate(
        shortfall_minor=4000,
        currency=USD,
        ahead_minor=0,
        counted_minor=6000,
        arrivals=[arrival(1, 6000), arrival(2, 2000), arrival(4, 2000)],
        payout_interval="manual",
        guarded=False,
    )
    assert found == Eta(at=NOON + 4 * DAY, confidence=Confidence.LIKELY)


@pytest.mark.parametrize(
    "shortfall_minor, arrivals",
    [
        (4000, []),
        (4000, [arrival(1, 3999)]),
        (4000, [arrival(1, 4000), arrival(2, -1)]),
        (4000, [Arrival(on=NOON, currency=EUR, net_minor=9000)]),
        (0, [arrival(1, 4000)]),
    ],
)
def test_no_day_is_better_than_a_wrong_one(shortfall_minor: int, arrivals: list[Arrival]) -> None:
    found = estimate(
        shortfall_minor=shortfall_minor,
        currency=USD,
        ahead_minor=0,
        arrivals=arrivals,
        payout_interval="manual",
        guarded=False,
    )
    assert found is None


@pytest.mark.parametrize(
    "payout_interval, guarded, ahead_minor, confidence",
    [
        ("manual", False, 0, Confidence.LIKELY),
        ("manual", False, 1, Confidence.POSSIBLE),
        ("daily", False, 0, Confidence.UNLIKELY),
        ("daily", False, 1, Confidence.UNLIKELY),
        ("daily", True, 0, Confidence.LIKELY),
        ("daily", True, 1, Confidence.POSSIBLE),
        ("weekly", False, 0, Confidence.POSSIBLE),
        ("monthly", True, 0, Confidence.LIKELY),
        (None, False, 0, Confidence.POSSIBLE),
    ],
)
def test_how_far_it_may_be_believed(
    payout_interval: str | None, guarded: bool, ahead_minor: int, confidence: Confidence
) -> None:
    found = estimate(
        shortfall_minor=1000,
        currency=USD,
        ahead_minor=ahead_minor,
        arrivals=[arrival(1, 2000)],
        payout_interval=payout_interval,
        guarded=guarded,
    )
    assert found == Eta(at=NOON + DAY, confidence=confidence)
