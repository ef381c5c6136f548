"""Need: what each kind of refund asks of the connected account and of the platform.

Each row has its arithmetic beside it, worked out by hand; no row may be computed by the code it
checks.
"""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.facts import ChargeFacts, TransferFacts
from refunds.money import Money
from refunds.need import (
    Leg,
    Need,
    Weighing,
    plan_legs,
    platform_cost,
    reversal_minor,
    spendable_in_transfer_minor,
    taken_minor,
)
from tests.support.facts import (
    ACCOUNT,
    EUR,
    JPY,
    KWD,
    USD,
    charged,
    settled,
    transferred,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A refund and what it must ask for; `buffer` at 2 %."""

    charge: ChargeFacts
    refund: int
    need: int
    buffer: int = 0


# A = refund, C = charge, T = transfer. With an application fee, T = C: Stripe moves the whole
# charge and takes the fee out of the account afterwards.
CASES = {
    "full": Case(
        charge=charged(10_000, transfer=transferred(10_000), fee_minor=1_000),
        refund=10_000,
        need=10_000,  # all of T; the fee does not lessen it
    ),
    "partial": Case(
        charge=charged(10_000, transfer=transferred(10_000), fee_minor=1_000),
        refund=3_000,
        need=3_000,  # 3000 · 10000 / 10000
    ),
    "second partial": Case(
        charge=charged(
            10_000, refunded_minor=3_000, transfer=transferred(10_000, reversed_minor=3_000)
        ),
        refund=2_500,
        need=2_500,  # of the original C and T, not of what is left: 2500 · 10000 / 10000
    ),
    "last partial": Case(
        charge=charged(
            10_000, refunded_minor=5_500, transfer=transferred(10_000, reversed_minor=5_500)
        ),
        refund=4_500,
        need=4_500,  # completes C: all that is left of T, 10000 - 5500
    ),
    "transfer_data[amount], full": Case(
        charge=charged(10_000, transfer=transferred(8_775)),
        refund=10_000,
        need=8_775,  # all of T
    ),
    "transfer_data[amount], partial": Case(
        charge=charged(10_000, transfer=transferred(8_775)),
        refund=3_333,
        need=2_925,  # 3333 · 8775 / 10000 = 2924.7075
    ),
    "transfer_data[amount], second partial": Case(
        charge=charged(
            10_000, refunded_minor=3_333, transfer=transferred(8_775, reversed_minor=2_925)
        ),
        refund=3_333,
        need=2_925,  # the same share of the same whole
    ),
    "transfer_data[amount], last partial": Case(
        charge=charged(
            10_000, refunded_minor=6_666, transfer=transferred(8_775, reversed_minor=5_850)
        ),
        refund=3_334,
        need=2_925,  # 8775 - 5850, where the share would be 3334 · 8775 / 10000 = 2925.585 → 2926
    ),
    "a little of a large transfer": Case(
        charge=charged(10_000, transfer=transferred(8_775)),
        refund=1,
        need=1,  # 0.8775
    ),
    "reversed in part by somebody, partial": Case(
        charge=charged(10_000, transfer=transferred(10_000, reversed_minor=6_000)),
        refund=3_000,
        need=3_000,  # the share still fits into the 4000 left
    ),
    "reversed in part by somebody, partial beyond what is left": Case(
        charge=charged(10_000, transfer=transferred(10_000, reversed_minor=8_000)),
        refund=3_000,
        need=2_000,  # no more than 10000 - 8000
    ),
    "reversed in part by somebody, full": Case(
        charge=charged(10_000, transfer=transferred(10_000, reversed_minor=6_000)),
        refund=10_000,
        need=4_000,  # what is left
    ),
    "reversed in full by somebody": Case(
        charge=charged(10_000, transfer=transferred(10_000, reversed_minor=10_000)),
        refund=10_000,
        need=0,
    ),
    "reversed beyond its amount": Case(
        charge=charged(10_000, transfer=transferred(10_000, reversed_minor=10_001)),
        refund=10_000,
        need=0,  # never below nothing
    ),
    "refunded without reversal before, last partial": Case(
        charge=charged(10_000, refunded_minor=6_000, transfer=transferred(10_000)),
        refund=4_000,
        need=10_000,  # completing the charge reverses all that is left of T
    ),
    "zero decimals": Case(
        charge=charged(5_001, JPY, transfer=transferred(4_000, JPY)),
        refund=1_000,
        need=800,  # 1000 · 4000 / 5001 = 799.84 yen
    ),
    "three decimals": Case(
        charge=charged(10_005, KWD, transfer=transferred(9_995, KWD)),
        refund=5_000,
        need=4_996,  # 5000 · 9995 / 10005 = 4995.0025 fils
    ),
    "settled in the transfer's own currency": Case(
        charge=charged(
            10_000, transfer=transferred(10_000, settlement=settled(10_000, USD, net_minor=9_000))
        ),
        refund=10_000,
        need=10_000,  # gross: the fee comes back after the reversal, if at all
    ),
    "settled in another currency, full": Case(
        charge=charged(10_000, transfer=transferred(10_000, settlement=settled(9_213, EUR))),
        refund=10_000,
        need=9_213,  # all of it
        buffer=185,  # 2 % of 9213 = 184.26
    ),
    "settled in another currency, partial": Case(
        charge=charged(10_000, transfer=transferred(8_000, settlement=settled(7_371, EUR))),
        refund=3_000,
        need=2_212,  # T: 3000 · 8000 / 10000 = 2400; 2400 · 7371 / 8000 = 2211.3
        buffer=45,  # 2 % of 2212 = 44.24
    ),
    "settled in a currency without decimals": Case(
        charge=charged(10_000, transfer=transferred(10_000, settlement=settled(15_437, JPY))),
        refund=2_500,
        need=3_860,  # 2500 · 15437 / 10000 = 3859.25 yen
        buffer=78,  # 2 % of 3860 = 77.2
    ),
    "charge in one currency, transfer in another": Case(
        charge=charged(10_000, USD, transfer=transferred(9_200, EUR)),
        refund=5_000,
        need=4_600,  # 5000 · 9200 / 10000, in the transfer's currency, which the account keeps
    ),
}


def legs_of(charge: ChargeFacts, refund: int, percent: int = 2) -> tuple[Leg, ...]:
    return plan_legs(charge, refund, Weighing(fx_buffer_percent=percent))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_refund_needs(case: Case) -> None:
    transfer = case.charge.transfer
    assert transfer is not None
    (leg,) = legs_of(case.charge, case.refund)
    settlement = transfer.settlement
    currency = settlement.amount.currency if settlement else transfer.amount.currency
    assert (leg.account, leg.transfer) == (ACCOUNT, transfer)
    assert leg.need == Need(amount_minor=case.need, currency=currency, fx_buffer_minor=case.buffer)


def test_a_payment_of_the_platforms_own_needs_nothing_of_anybody() -> None:
    assert legs_of(charged(10_000), 10_000) == ()


def test_need_and_buffer_are_compared_together_and_told_apart() -> None:
    need = Need(amount_minor=9_213, currency=EUR, fx_buffer_minor=185)
    assert need.total_minor == 9_398
    assert need.money == Money(9_213, EUR)


def test_the_platform_chooses_the_buffer() -> None:
    charge = charged(10_000, transfer=transferred(10_000, settlement=settled(9_213, EUR)))
    buffers = [leg.need.fx_buffer_minor for p in (0, 5) for leg in legs_of(charge, 10_000, p)]
    assert buffers == [0, 461]  # 5 % of 9213 = 460.65


@pytest.mark.parametrize(
    "charge, refund, cost",
    [
        (charged(10_000), 4_000, Money(4_000, USD)),
        (charged(10_000, platform_settled=Money(10_000, USD)), 4_000, Money(4_000, USD)),
        # 4000 · 9213 / 10000 = 3685.2 → 3686; 2 % of it = 73.72 → 74.
        (charged(10_000, platform_settled=Money(9_213, EUR)), 4_000, Money(3_760, EUR)),
        # 333 · 21000 / 10000 = 699.3 → 700; 2 % of it = 14.
        (charged(10_000, JPY, platform_settled=Money(21_000, USD)), 333, Money(714, USD)),
        # Reversals come back afterwards: a destination charge costs as much at first.
        (charged(10_000, transfer=transferred(10_000)), 4_000, Money(4_000, USD)),
    ],
    ids=["unread", "same currency", "converted", "from yen", "destination"],
)
def test_what_the_platform_pays_at_first(charge: ChargeFacts, refund: int, cost: Money) -> None:
    assert platform_cost(charge, refund, 2) == cost


@pytest.mark.parametrize(
    "transfer, spendable, spare",
    [
        (transferred(10_000), 2_500, 2_500),
        (transferred(10_000), 12_000, 10_000),  # no more than the transfer
        (transferred(10_000, reversed_minor=9_000), 2_500, 1_000),  # no more than is left of it
        (transferred(10_000, reversed_minor=10_000), 2_500, 0),
        (transferred(10_000, reversed_minor=10_001), 2_500, 0),
        (transferred(10_000), 0, 0),
        (transferred(10_000), -1, 0),
        (transferred(10_000), 1, 1),
        (transferred(10_000, reversed_minor=9_999), 5, 1),
        # 2500 EUR cents · 10000 / 9213 = 2713.55: rounded down, or the account would lack one.
        (transferred(10_000, settlement=settled(9_213, EUR)), 2_500, 2_713),
        (transferred(10_000, reversed_minor=9_000, settlement=settled(9_213, EUR)), 2_500, 1_000),
        (transferred(10_000, settlement=settled(10_000, USD)), 2_500, 2_500),
        # A settlement of nothing gives no rate to convert by.
        (transferred(10_000, settlement=settled(0, EUR)), 2_500, 2_500),
        # Stripe's smallest settlement still gives one: all of the transfer for one cent.
        (transferred(100, settlement=settled(1, EUR)), 1, 100),
        # One yen there is 100/154 of a cent here, and one cent can be taken back for two yen.
        (transferred(100, settlement=settled(154, JPY)), 1, 0),
        (transferred(100, settlement=settled(154, JPY)), 2, 1),
    ],
)
def test_what_a_spendable_amount_can_take_back(
    transfer: TransferFacts, spendable: int, spare: int
) -> None:
    assert spendable_in_transfer_minor(transfer, spendable) == spare


@pytest.mark.parametrize(
    "transfer, reversed_minor, took",
    [
        (transferred(10_000), 5_000, 5_000),
        (transferred(10_000, settlement=settled(10_000, USD)), 5_000, 5_000),
        # 50.00 USD of 100.00, settled as 80.00 EUR: 40.00 EUR.
        (transferred(10_000, settlement=settled(8_000, EUR)), 5_000, 4_000),
        # 3 · 9213 / 10000 = 2.76: rounded down, or the account would owe less than it does.
        (transferred(10_000, settlement=settled(9_213, EUR)), 3, 2),
        (transferred(0, settlement=settled(9_213, EUR)), 0, 0),
    ],
)
def test_what_a_reversal_took_in_the_accounts_currency(
    transfer: TransferFacts, reversed_minor: int, took: int
) -> None:
    assert taken_minor(transfer, reversed_minor) == took


@given(
    charge_minor=st.integers(1, 10**7),
    transfer_percent=st.integers(1, 100),
    cuts=st.lists(st.integers(1, 10**7), max_size=6),
)
def test_partial_refunds_take_back_the_whole_transfer_and_never_more(
    charge_minor: int, transfer_percent: int, cuts: list[int]
) -> None:
    transfer_minor = max(1, charge_minor * transfer_percent // 100)
    refunded = reversed_ = 0
    for wish in [*cuts, charge_minor]:
        part = min(wish, charge_minor - refunded)
        if part == 0:
            continue
        charge = charged(
            charge_minor,
            refunded_minor=refunded,
            transfer=transferred(transfer_minor, reversed_minor=reversed_),
        )
        assert charge.transfer is not None
        taken = reversal_minor(charge, charge.transfer, part)
        assert 0 <= taken <= transfer_minor - reversed_
        refunded, reversed_ = refunded + part, reversed_ + taken
    assert (refunded, reversed_) == (charge_minor, transfer_minor)


@given(
    refund=st.integers(1, 10_000),
    transfer_minor=st.integers(1, 10_000),
    settled_minor=st.integers(1, 2_000_000),
    percent=st.integers(0, 20),
)
def test_a_need_is_never_less_than_the_exact_share(
    refund: int, transfer_minor: int, settled_minor: int, percent: int
) -> None:
    transfer = transferred(transfer_minor, settlement=settled(settled_minor, EUR))
    need = legs_of(charged(10_000, transfer=transfer), refund, percent)[0].need
    # Exact in integers: need/settled >= refund/charge, and the buffer on top of it.
    assert need.amount_minor * 10_000 >= refund * settled_minor
    assert need.fx_buffer_minor * 100 >= need.amount_minor * percent
    assert need.amount_minor <= settled_minor


@given(
    spendable=st.integers(0, 10**7),
    transfer_minor=st.integers(1, 10**6),
    settled_minor=st.integers(1, 10**7),
)
def test_what_is_taken_back_costs_no_more_than_was_spendable(
    spendable: int, transfer_minor: int, settled_minor: int
) -> None:
    transfer = transferred(transfer_minor, settlement=settled(settled_minor, EUR))
    spare = spendable_in_transfer_minor(transfer, spendable)
    assert 0 <= spare <= transfer_minor
    assert spare * settled_minor <= spendable * transfer_minor
