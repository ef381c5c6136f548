"""A payment's own pending money: how much of it may count towards its refund, and until when.

It may not weigh it against a balance; that is the pool's.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from refunds.facts import TransferFacts
from refunds.need import Weighing, plan_legs
from tests.support.facts import (
    EUR,
    NOON,
    USD,
    charged,
    settled,
    transferred,
)

WEIGHING = Weighing(fx_buffer_percent=2)


@pytest.mark.parametrize(
    "transfer, own",
    [
        # 10000 arrived, 1000 application fee and 320 Stripe fee have left it: 8680 is pending.
        (
            transferred(10_000, settlement=settled(10_000, USD, net_minor=8_680, pending=True)),
            8_680,
        ),
        # Available by now: it is in the balance already and must not count twice.
        (transferred(10_000, settlement=settled(10_000, USD, net_minor=8_680)), 0),
        # Not readable: count nothing rather than too much.
        (transferred(10_000), 0),
        # 3000 were reversed: 8680 - 3000.
        (
            transferred(
                10_000,
                reversed_minor=3_000,
                settlement=settled(10_000, USD, net_minor=8_680, pending=True),
            ),
            5_680,
        ),
        # In euros: 3333 · 9213 / 10000 = 3070.6929 are gone, 9000 - 3071.
        (
            transferred(
                10_000,
                reversed_minor=3_333,
                settlement=settled(9_213, EUR, net_minor=9_000, pending=True),
            ),
            5_929,
        ),
        # Reversed beyond its net: the rest came out of other money, not below nothing.
        (
            transferred(
                10_000,
                reversed_minor=9_000,
                settlement=settled(10_000, USD, net_minor=8_680, pending=True),
            ),
            0,
        ),
    ],
    ids=["net", "available", "unread", "less reversed", "converted", "never below nothing"],
)
def test_a_payments_own_pending_money(transfer: TransferFacts, own: int) -> None:
    (leg,) = plan_legs(charged(10_000, transfer=transfer), 10_000, WEIGHING)
    assert leg.own_pending_minor == own


@pytest.mark.parametrize(
    "available_on, now, own",
    [
        (None, NOON, 8_680),  # not known: as it was read
        (NOON + timedelta(seconds=1), NOON, 8_680),
        (NOON, NOON, 0),  # it is in the balance by now, and would count twice
        (NOON, None, 8_680),  # read this moment: Stripe says that it is pending
    ],
)
def test_pending_money_of_an_older_reading_counts_until_it_became_available(
    available_on: datetime | None, now: datetime | None, own: int
) -> None:
    settlement = settled(10_000, USD, net_minor=8_680, pending=True)
    transfer = transferred(10_000, settlement=replace(settlement, available_on=available_on))
    charge = charged(10_000, transfer=transfer)
    (leg,) = plan_legs(charge, 10, replace(WEIGHING, stale_at=now))
    assert leg.own_pending_minor == own


def test_a_policy_may_not_count_own_pending_money() -> None:
    settlement = settled(10_000, USD, net_minor=8_680, pending=True)
    charge = charged(10_000, transfer=transferred(10_000, settlement=settlement))
    (leg,) = plan_legs(charge, 10, replace(WEIGHING, count_own_pending=False))
    assert leg.own_pending_minor == 0
