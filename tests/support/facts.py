"""Facts as Stripe would state them: an ordinary payment, of which a test changes what it is about.

It may not hold amounts that a test relies on without naming them; those stand in the test.
"""

from dataclasses import replace
from datetime import UTC, datetime

from refunds.facts import (
    AccountFacts,
    ChargeFacts,
    ChargeType,
    SettlementFacts,
    TransferFacts,
)
from refunds.ids import AccountId, AttemptId, ChargeId, PaymentIntentId, RequestId, TransferId
from refunds.money import Currency, Money

USD = Currency("usd")
EUR = Currency("eur")
JPY = Currency("jpy")
KWD = Currency("kwd")

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACCOUNT = AccountId("acct_shop")
CHARGE = ChargeId("ch_lamp")
TRANSFER = TransferId("tr_lamp")
REQUEST = RequestId("rr_lamp")
ATTEMPT = AttemptId("ra_lamp")


def settled(
    amount_minor: int, currency: Currency, *, net_minor: int | None = None, pending: bool = False
) -> SettlementFacts:
    """The destination payment's balance transaction; without `net_minor` no fee was taken."""
    return SettlementFacts(
        amount=Money(amount_minor, currency),
        net_minor=amount_minor if net_minor is None else net_minor,
        pending=pending,
        available_on=None,
    )


def transferred(
    amount_minor: int,
    currency: Currency = USD,
    *,
    reversed_minor: int = 0,
    settlement: SettlementFacts | None = None,
) -> TransferFacts:
    """The transfer that carried a payment to its connected account."""
    return TransferFacts(
        transfer=TRANSFER,
        account=ACCOUNT,
        amount=Money(amount_minor, currency),
        reversed_minor=reversed_minor,
        settlement=settlement,
    )


def charged(
    amount_minor: int,
    currency: Currency = USD,
    *,
    refunded_minor: int = 0,
    transfer: TransferFacts | None = None,
    fee_minor: int | None = None,
    platform_settled: Money | None = None,
    refundable: bool = True,
    disputed: bool = False,
) -> ChargeFacts:
    """A captured card charge; with a transfer it is a destination charge, else the platform's."""
    return ChargeFacts(
        charge=CHARGE,
        payment_intent=PaymentIntentId("pi_lamp"),
        charge_type=ChargeType.PLATFORM if transfer is None else ChargeType.DESTINATION,
        livemode=False,
        amount=Money(amount_minor, currency),
        refunded_minor=refunded_minor,
        refundable=refundable,
        disputed=disputed,
        payment_method="card",
        transfer=transfer,
        application_fee_minor=fee_minor,
        platform_settled=platform_settled,
        created=NOON,
        read_at=NOON,
    )


def paid_direct(
    amount_minor: int,
    currency: Currency = USD,
    *,
    refunded_minor: int = 0,
    settlement: SettlementFacts | None = None,
    fee_minor: int | None = None,
) -> ChargeFacts:
    """A captured card charge that lives in the connected account."""
    charge = charged(amount_minor, currency, refunded_minor=refunded_minor, fee_minor=fee_minor)
    return replace(charge, charge_type=ChargeType.DIRECT, lives_in=ACCOUNT, settlement=settlement)


def account_facts(*, disabled_reason: str | None = None) -> AccountFacts:
    """An ordinary connected account, shut for `disabled_reason` if one is given."""
    return AccountFacts(
        account=ACCOUNT,
        country="US",
        default_currency=USD,
        charges_enabled=disabled_reason is None,
        payouts_enabled=True,
        disabled_reason=disabled_reason,
        losses_payments="application",
        payout_interval="daily",
        platform_controlled=True,
        email=None,
        read_at=NOON,
    )
