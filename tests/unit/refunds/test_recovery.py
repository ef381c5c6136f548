"""What can be taken back: no more than is owed, than there is, and than is left of the transfer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.facts import SettlementFacts, TransferFacts
from refunds.ids import RecoveryId, RequestId, TransferId
from refunds.money import Currency, Money
from refunds.recovery import (
    METADATA_RECOVERY,
    Collectable,
    owed_for,
    plan_recovery,
    recovery_call,
)
from refunds.steps import StepKind
from tests.support.facts import ACCOUNT, EUR, USD, charged


def transfer(
    minor: int = 10_000, *, reversed_minor: int = 0, settled: Money | None = None
) -> TransferFacts:
    """A transfer in dollars; `settled` where the account keeps another currency."""
    settlement = None
    if settled is not None:
        settlement = SettlementFacts(
            amount=settled, net_minor=settled.amount_minor, pending=False, available_on=None
        )
    return TransferFacts(
        transfer=TransferId("tr_1"),
        account=ACCOUNT,
        amount=Money(minor, USD),
        reversed_minor=reversed_minor,
        settlement=settlement,
    )


@pytest.mark.parametrize(
    "of, owes, spare, taken",
    [
        (transfer(), 4_000, 9_000, 4_000),  # all that is owed
        (transfer(), 4_000, 1_500, 1_500),  # all there is
        (transfer(reversed_minor=7_000), 4_000, 9_000, 3_000),  # 100.00 - 70.00 left of it
        (transfer(reversed_minor=10_000), 4_000, 9_000, None),
        (transfer(), 4_000, 0, None),
        (transfer(), 4_000, -50, None),
        (transfer(), 0, 9_000, None),
    ],
)
def test_the_least_of_three(of: TransferFacts, owes: int, spare: int, taken: int | None) -> None:
    found = plan_recovery(of, owes, spare, 2)
    expected = None
    if taken is not None:
        expected = Collectable(reversal_minor=taken, takes=Money(taken, USD))
    assert found == expected


def test_in_another_currency_the_rate_of_the_payment_and_a_buffer_count() -> None:
    # 100.00 USD came in as 80.00 EUR. Of 40.00 EUR owed, 50.00 USD are reversed: 40.00 + 0.80.
    of = transfer(settled=Money(8_000, EUR))
    assert plan_recovery(of, 4_000, 9_000, 2) == Collectable(
        reversal_minor=5_000, takes=Money(4_080, EUR)
    )
    # Only 40.00 are there: 5000 * 4000 // 4080 = 4901 USD, which take 3921 + 79 = 4000.
    assert plan_recovery(of, 4_000, 4_000, 2) == Collectable(
        reversal_minor=4_901, takes=Money(4_000, EUR)
    )


def test_a_unit_too_many_by_rounding_up_twice_is_left() -> None:
    # 6 USD cents would take 2 + 1 cents of euro, and 2 are there: 6 * 2 // 3 = 4 would still take
    # 2 + 1, 3 take 1 + 1.
    of = transfer(settled=Money(3_000, EUR))
    assert plan_recovery(of, 4_000, 2, 2) == Collectable(reversal_minor=3, takes=Money(2, EUR))


def test_too_little_to_reverse_a_single_unit_is_nothing() -> None:
    # One cent of the transfer is 100 in the account's currency, and 99 are there.
    of = transfer(100, settled=Money(10_000, Currency("jpy")))
    assert plan_recovery(of, 5_000, 99, 0) is None
    assert plan_recovery(of, 5_000, 101, 2) is None  # 100 and a buffer of 2


@given(
    minor=st.integers(1, 50_000),
    settled=st.integers(1, 500_000),
    gone=st.integers(0, 50_000),
    owes=st.integers(0, 50_000),
    spare=st.integers(-100, 50_000),
    percent=st.integers(0, 20),
)
def test_never_more_than_there_is_or_is_left(
    minor: int, settled: int, gone: int, owes: int, spare: int, percent: int
) -> None:
    of = transfer(minor, reversed_minor=min(gone, minor), settled=Money(settled, EUR))
    found = plan_recovery(of, owes, spare, percent)
    if found is not None:
        assert 0 < found.reversal_minor <= minor - of.reversed_minor
        assert found.takes.amount_minor <= spare
        assert found.reversal_minor * settled // minor <= owes


def test_its_call_carries_names_of_its_own() -> None:
    call = recovery_call(RecoveryId("rv_1"), RequestId("rr_1"), transfer(), 500)
    assert (call.kind, call.target, call.account) == (StepKind.REVERSAL, "tr_1", None)
    assert call.params == {
        "amount": 500,
        "metadata": {"sluice_request": "rr_1", METADATA_RECOVERY: "rv_1"},
    }
    assert call.idempotency_key == "sluice-rv_1-1"


@pytest.mark.parametrize(
    "refunded, reversed_minor, idle, owed",
    [
        # Of 100.00 paid and 90.00 sent on:
        (5_000, 0, 0, 4_500),
        (5_000, 3_000, 0, 1_500),  # whoever reversed it
        (5_000, 9_000, 0, 0),  # never less than nothing
        (5_000, 3_000, 2_000, 3_500),  # 20.00 served a refund that failed
        (5_000, 1_000, 2_000, 4_500),  # never more idle than was reversed
        (12_000, 0, 0, 9_000),  # never more than was sent on
        (1, 0, 0, 1),  # rounded up, as Stripe does
    ],
)
def test_an_account_owes_its_share_of_a_payments_refunds_once(
    refunded: int, reversed_minor: int, idle: int, owed: int
) -> None:
    sent = transfer(9_000, reversed_minor=reversed_minor)
    charge = charged(10_000, refunded_minor=refunded, transfer=sent)
    assert owed_for(charge, sent, idle) == Money(owed, USD)


def test_what_it_owes_is_told_in_the_currency_it_settled_in() -> None:
    sent = transfer(9_000, settled=Money(8_100, EUR))
    charge = charged(10_000, refunded_minor=5_000, transfer=sent)
    assert owed_for(charge, sent, 0) == Money(4_050, EUR)
