"""Attempts: which calls are made, in which order, with which parameters, and what to do unsure.

It may not call anything; parameters are compared whole, so that one too many shows.
"""

import json
from datetime import timedelta

import pytest

from refunds.attempt import (
    KEY_FORGOTTEN_AFTER,
    SAME_KEY_FOR,
    Intent,
    Recovery,
    how_to_recover,
    plan_steps,
)
from refunds.facts import ChargeFacts, TransferFacts
from refunds.money import Currency, Money
from refunds.need import Leg, Need
from refunds.steps import StepKind, StripeCall
from tests.support.facts import (
    ACCOUNT,
    ATTEMPT,
    CHARGE,
    EUR,
    NOON,
    REQUEST,
    TRANSFER,
    USD,
    charged,
    settled,
    transferred,
)

METADATA = {"sluice_request": "rr_lamp", "sluice_attempt": "ra_lamp"}


def intent(
    amount_minor: int = 4_000,
    *,
    leg: Leg | None = None,
    uncovered: bool = False,
    spendable_minor: int = 0,
    refund_application_fee: bool = False,
    reason: str | None = None,
) -> Intent:
    return Intent(
        request=REQUEST,
        attempt=ATTEMPT,
        amount=Money(amount_minor, USD),
        legs=() if leg is None else (leg,),
        uncovered=uncovered,
        spare_minor=() if leg is None else (spendable_minor,),
        refund_application_fee=refund_application_fee,
        reason=reason,
    )


def needing(
    amount_minor: int,
    currency: Currency = USD,
    *,
    reversal_minor: int | None = None,
    transfer: TransferFacts | None = None,
) -> Leg:
    return Leg(
        account=ACCOUNT,
        transfer=transfer or transferred(10_000),
        need=Need(amount_minor=amount_minor, currency=currency, fx_buffer_minor=0),
        own_pending_minor=0,
        reversal_minor=amount_minor if reversal_minor is None else reversal_minor,
    )


def refund_call(**more: object) -> StripeCall:
    params = {"charge": CHARGE, "amount": 4_000, "metadata": METADATA, **more}
    return StripeCall(
        kind=StepKind.REFUND,
        params=params,  # type: ignore[arg-type]  # the values are the test's own
        target=None,
        account=None,
        idempotency_key="sluice-ra_lamp-1",  # type: ignore[arg-type]  # written out on purpose
    )


def reversal_call(amount_minor: int) -> StripeCall:
    return StripeCall(
        kind=StepKind.REVERSAL,
        params={"amount": amount_minor, "metadata": METADATA},
        target=TRANSFER,
        account=None,
        idempotency_key="sluice-ra_lamp-2",  # type: ignore[arg-type]  # written out on purpose
    )


def test_a_platforms_own_payment_is_refunded_in_one_plain_call() -> None:
    assert plan_steps(charged(10_000), intent()) == (refund_call(),)


def test_a_covered_refund_takes_its_transfer_back_in_the_same_call() -> None:
    charge = charged(10_000, transfer=transferred(10_000))
    assert plan_steps(charge, intent(leg=needing(4_000), spendable_minor=9_000)) == (
        refund_call(reverse_transfer=True),
    )


@pytest.mark.parametrize(
    "charge, amount_minor",
    [
        # Somebody reversed it all: Stripe refuses to reverse nothing.
        (charged(10_000, transfer=transferred(10_000, reversed_minor=10_000)), 4_000),
        (
            charged(
                10_000, refunded_minor=6_000, transfer=transferred(10_000, reversed_minor=10_000)
            ),
            4_000,
        ),
    ],
    ids=["partial", "last partial"],
)
def test_nothing_left_to_reverse_is_not_reversed(charge: ChargeFacts, amount_minor: int) -> None:
    assert plan_steps(charge, intent(amount_minor, leg=needing(0), spendable_minor=0)) == (
        refund_call(),
    )


def test_one_cent_left_to_reverse_is_reversed() -> None:
    charge = charged(10_000, transfer=transferred(10_000, reversed_minor=9_999))
    assert plan_steps(charge, intent(leg=needing(1)))[0].params["reverse_transfer"] is True


@pytest.mark.parametrize(
    "asked, fee_minor, transfer_reversed, sent",
    [
        (True, 1_000, 0, True),
        (False, 1_000, 0, False),  # nobody asked
        (True, None, 0, False),  # there is no fee object: Stripe would refuse the parameter
        (True, 0, 0, False),
        (True, 1_000, 10_000, False),  # Stripe takes it only together with reverse_transfer
    ],
)
def test_the_application_fee_goes_back_only_where_there_is_one_and_it_was_asked_for(
    asked: bool, fee_minor: int | None, transfer_reversed: int, sent: bool
) -> None:
    charge = charged(
        10_000, fee_minor=fee_minor, transfer=transferred(10_000, reversed_minor=transfer_reversed)
    )
    leg = needing(0 if transfer_reversed else 4_000)
    (call,) = plan_steps(charge, intent(leg=leg, refund_application_fee=asked))
    assert ("refund_application_fee" in call.params) is sent
    assert call.params.get("refund_application_fee", True) is True


def test_a_fee_is_not_given_back_without_a_connected_account() -> None:
    (call,) = plan_steps(charged(10_000, fee_minor=1_000), intent(refund_application_fee=True))
    assert call == refund_call()


def test_the_reason_is_passed_on_when_there_is_one() -> None:
    assert plan_steps(charged(10_000), intent(reason="requested_by_customer")) == (
        refund_call(reason="requested_by_customer"),
    )


@pytest.mark.parametrize(
    "spendable, reversal",
    [
        (1_500, 1_500),  # what the account can spare
        (4_000, 4_000),
        (9_000, 4_000),  # and no more than this refund's share
        (1, 1),
        (0, None),
        (-700, None),
    ],
)
def test_an_uncovered_release_refunds_first_and_takes_back_what_can_be_spared(
    spendable: int, reversal: int | None
) -> None:
    charge = charged(10_000, fee_minor=1_000, transfer=transferred(10_000))
    calls = plan_steps(
        charge,
        intent(
            leg=needing(4_000),
            uncovered=True,
            spendable_minor=spendable,
            refund_application_fee=True,
        ),
    )
    expected = () if reversal is None else (reversal_call(reversal),)
    assert calls == (refund_call(), *expected)


def test_an_uncovered_release_takes_back_no_more_than_is_left_of_the_transfer() -> None:
    transfer = transferred(10_000, reversed_minor=9_000)
    leg = needing(1_000, transfer=transfer)
    charge = charged(10_000, transfer=transfer)
    calls = plan_steps(charge, intent(leg=leg, uncovered=True, spendable_minor=5_000))
    assert calls == (refund_call(), reversal_call(1_000))


def test_an_uncovered_release_in_another_currency_reverses_in_the_transfers() -> None:
    transfer = transferred(10_000, settlement=settled(9_213, EUR))
    charge = charged(10_000, transfer=transfer)
    leg = needing(3_686, EUR, reversal_minor=4_000, transfer=transfer)
    calls = plan_steps(charge, intent(leg=leg, uncovered=True, spendable_minor=1_000))
    assert calls == (refund_call(), reversal_call(1_085))  # 1000 · 10000 / 9213 = 1085.42


@pytest.mark.parametrize(
    "charge, leg",
    [
        (charged(10_000), None),
        (charged(10_000, transfer=transferred(10_000, reversed_minor=10_000)), needing(0)),
    ],
    ids=["platform's own", "nothing left to reverse"],
)
def test_an_uncovered_release_that_needs_nothing_reverses_nothing(
    charge: ChargeFacts, leg: Leg | None
) -> None:
    calls = plan_steps(charge, intent(leg=leg, uncovered=True, spendable_minor=5_000))
    assert calls == (refund_call(),)


def test_keys_differ_by_attempt_and_step_and_fit_stripes_limit() -> None:
    charge = charged(10_000, transfer=transferred(10_000))
    calls = plan_steps(charge, intent(leg=needing(4_000), uncovered=True, spendable_minor=1))
    keys = [call.idempotency_key for call in calls]
    assert len(set(keys)) == 2
    assert all(ATTEMPT in key and len(key) <= 255 for key in keys)


def test_the_parameters_survive_being_stored() -> None:
    charge = charged(10_000, fee_minor=1, transfer=transferred(10_000))
    (call,) = plan_steps(
        charge, intent(leg=needing(4_000), refund_application_fee=True, reason="duplicate")
    )
    assert json.loads(json.dumps(call.params)) == call.params


@pytest.mark.parametrize(
    "age, move",
    [
        (timedelta(minutes=-10), Recovery.SEND_AGAIN),  # the clock was set back
        (timedelta(0), Recovery.SEND_AGAIN),
        (timedelta(hours=20) - timedelta(microseconds=1), Recovery.SEND_AGAIN),
        (timedelta(hours=20), Recovery.WAIT),
        (timedelta(hours=24), Recovery.WAIT),  # Stripe keeps keys for at least this long
        (timedelta(hours=24, minutes=30) - timedelta(microseconds=1), Recovery.WAIT),
        (timedelta(hours=24, minutes=30), Recovery.LOOK),
        (timedelta(days=40), Recovery.LOOK),
    ],
)
def test_the_one_safe_move_while_the_outcome_is_unknown(age: timedelta, move: Recovery) -> None:
    assert how_to_recover(NOON, NOON + age) is move


def test_the_key_is_given_up_well_before_stripe_may_forget_it_and_the_list_read_well_after() -> (
    None
):
    stripe_keeps_it = timedelta(hours=24)
    assert SAME_KEY_FOR < stripe_keeps_it < KEY_FORGOTTEN_AFTER
