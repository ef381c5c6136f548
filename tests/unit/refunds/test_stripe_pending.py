"""How long Stripe goes on holding a refund, and when somebody is told."""

from datetime import datetime, timedelta

import pytest

from refunds.ids import RefundId
from refunds.money import Money
from refunds.stripe_pending import StripePending
from tests.support.facts import ACCOUNT, CHARGE, NOON, REQUEST, USD

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def pending(alerted_days: int | None = None) -> StripePending:
    return StripePending(
        refund=RefundId("re_lamp"),
        request=REQUEST,
        charge=CHARGE,
        account=ACCOUNT,
        amount=Money(5000, USD),
        since=NOON,
        disputes=(),
        alerted_days=alerted_days,
    )


@pytest.mark.parametrize(
    "now, days",
    [
        (NOON, 45),
        (NOON + MINUTE, 44),
        (NOON + 31 * DAY, 14),
        (NOON + 44 * DAY, 1),
        (NOON + 45 * DAY - MINUTE, 0),
        (NOON + 45 * DAY, 0),
        (NOON + 50 * DAY, 0),
        # A clock of ours that is behind Stripe's.
        (NOON - MINUTE, 45),
    ],
)
def test_whole_days_are_counted_from_when_stripe_made_it(now: datetime, days: int) -> None:
    assert pending().days_left(now) == days
    assert pending().fails_at == NOON + 45 * DAY


@pytest.mark.parametrize(
    "day, told, tells",
    [
        (30, None, None),  # 15 left
        (31, None, 14),
        (31, 14, None),
        (37, 14, None),  # 8 left
        (38, 14, 7),
        (43, 7, None),
        (44, 7, 1),
        (44, 1, None),
        # Nobody looked for a while: the last threshold alone is told.
        (44, None, 1),
        (60, None, 1),
        (60, 1, None),
        # A clock that went backwards takes nothing back.
        (31, 7, None),
    ],
)
def test_each_threshold_is_told_once(day: int, told: int | None, tells: int | None) -> None:
    assert pending(told).alert(NOON + day * DAY) == tells


def test_a_threshold_is_reached_with_its_last_whole_day() -> None:
    assert pending().alert(NOON + 31 * DAY - MINUTE) is None
    assert pending().alert(NOON + 31 * DAY) == 14
