"""Every read of the port against the sandbox, over HTTP and through the real SDK.

The expected figures are worked out here by hand; nothing may be taken from the gateway's code.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.client import StripeGateway
from gateway.port import NotFoundError, RejectedReadError, UnavailableError
from refunds.facts import AccountStanding, ChargeType
from refunds.ids import AccountId, ChargeId, DisputeId, EventId, RefundId
from refunds.money import Currency, Money
from refunds.steps import Trouble
from tests.integration.gateway.conftest import Stand

USD, EUR = Currency("usd"), Currency("eur")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def test_whose_key_it_is(stand: Stand, gateway: StripeGateway) -> None:
    platform = gateway.read_platform()
    assert platform.account == str(stand.server.world.platform)
    assert platform.livemode is False


@pytest.mark.parametrize("name", ["payment_intent", "charge"])
def test_a_destination_charge_by_either_id(stand: Stand, gateway: StripeGateway, name: str) -> None:
    account = stand.account()
    paid = stand.pay_to(account, 10_000, application_fee_amount=1_000)
    facts = gateway.read_payment(paid[name]["id"])
    assert (facts.charge, facts.payment_intent) == (
        paid["charge"]["id"],
        paid["payment_intent"]["id"],
    )
    assert (facts.charge_type, facts.account) == (ChargeType.DESTINATION, account)
    assert (facts.amount, facts.application_fee_minor) == (Money(10_000, USD), 1_000)
    assert (facts.refundable, facts.disputed, facts.livemode) == (True, False, False)
    assert facts.platform_settled == Money(10_000, USD)
    assert facts.transfer is not None
    assert facts.transfer.transfer == paid["transfer"]["id"]
    assert (facts.transfer.amount, facts.transfer.reversed_minor) == (Money(10_000, USD), 0)
    assert facts.transfer.settlement is not None
    assert facts.transfer.settlement.amount == Money(10_000, USD)
    # 10,000 came in, the fee of 1,000 went back to the platform.
    assert facts.transfer.settlement.net_minor == 9_000


def test_an_account_that_settles_in_another_currency(stand: Stand, gateway: StripeGateway) -> None:
    stand.order("switches", usd_per_unit={"eur": "1.25"})
    account = stand.account(country="DE", default_currency="eur")
    facts = gateway.read_payment(stand.pay_to(account, 10_000)["charge"]["id"])
    assert facts.transfer is not None
    assert facts.transfer.amount == Money(10_000, USD)
    assert facts.transfer.settlement is not None
    # 100.00 USD at 1.25 USD a euro.
    assert facts.transfer.settlement.amount == Money(8_000, EUR)


@pytest.mark.parametrize("funds, pending", [("available", False), ("pending", True)])
def test_fresh_money_is_told_from_settled_money(
    stand: Stand, gateway: StripeGateway, funds: str, pending: bool
) -> None:
    paid = stand.pay_to(stand.account(), 10_000, funds=funds)
    facts = gateway.read_payment(paid["charge"]["id"])
    assert facts.transfer is not None
    assert facts.transfer.settlement is not None
    assert facts.transfer.settlement.pending is pending
    assert facts.transfer.settlement.available_on is not None


def test_the_other_kinds_of_charges_are_told_apart(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account()
    own = stand.pay(5_000)["charge"]["id"]
    lonely = stand.pay(5_000, transfer_group="order_lonely")["charge"]["id"]
    shared = stand.pay(
        5_000,
        charge_type="separate",
        transfer_group="order_shared",
        transfers=[{"destination": account, "amount": 2_000}],
    )["charge"]["id"]
    direct = stand.pay(5_000, charge_type="direct", account=account)["charge"]["id"]
    assert gateway.read_payment(own).charge_type is ChargeType.PLATFORM
    assert gateway.read_payment(lonely).charge_type is ChargeType.PLATFORM
    assert gateway.read_payment(shared).charge_type is ChargeType.SEPARATE
    assert gateway.read_payment(direct, account).charge_type is ChargeType.DIRECT
    with pytest.raises(NotFoundError):
        gateway.read_payment(direct)


def test_the_receiving_end_of_a_transfer_is_refused(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account()
    received = stand.pay_to(account, 5_000)["transfer"]["destination_payment"]
    with pytest.raises(RejectedReadError, match="behind that transfer"):
        gateway.read_payment(received, account)


def test_an_account_that_withdrew_its_access(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account()
    paid = stand.pay_to(account, 5_000)
    stand.order(f"accounts/{account}/deauthorize")
    with pytest.raises(UnavailableError) as caught:
        gateway.read_balance(account)
    assert caught.value.trouble is Trouble.DENIED
    facts = gateway.read_payment(paid["charge"]["id"])
    assert facts.account == account
    assert facts.transfer is not None
    assert facts.transfer.settlement is None


@pytest.mark.parametrize("payment", ["pi_nobody", "ch_nobody", "py_nobody"])
def test_a_payment_stripe_does_not_know(gateway: StripeGateway, payment: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        gateway.read_payment(payment)
    assert caught.value.stripe_request is not None


def test_balances_of_an_account_and_of_the_platform(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account(available=1_200, pending=3_400)
    stand.order(f"accounts/{account}/earn", amount=-2_000)
    balance = gateway.read_balance(account)
    # 1,200 available less 2,000 taken away.
    assert balance.available_in(USD) == -800
    assert (balance.pending[USD], balance.account) == (3_400, account)
    before = gateway.read_balance(None).available_in(USD)
    stand.order("accounts/platform/earn", amount=700)
    assert gateway.read_balance(None).available_in(USD) == before + 700


def test_an_account_and_its_standing(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account(country="DE", default_currency="eur", payouts="daily")
    facts = gateway.read_account(account)
    assert (facts.account, facts.country, facts.default_currency) == (account, "DE", EUR)
    assert (facts.losses_payments, facts.payout_interval) == ("application", "daily")
    assert facts.standing is AccountStanding.ACTIVE
    stand.order(f"accounts/{account}/reject", reason="fraud")
    assert gateway.read_account(account).standing is AccountStanding.REJECTED


def test_a_chargeback_from_first_word_to_last(stand: Stand, gateway: StripeGateway) -> None:
    stand.order("accounts/platform/earn", amount=50_000)
    charge = stand.pay(5_000)["charge"]["id"]
    dispute = stand.order("disputes", charge=charge)["id"]
    facts = gateway.read_dispute(DisputeId(dispute))
    assert (facts.charge, facts.blocks) == (charge, True)
    assert gateway.read_payment(charge).disputed
    stand.order(f"disputes/{dispute}/close", status="won")
    assert gateway.read_dispute(DisputeId(dispute)).closed
    assert not gateway.read_payment(charge).disputed


def test_a_lost_chargeback_still_stands_in_the_way(stand: Stand, gateway: StripeGateway) -> None:
    stand.order("accounts/platform/earn", amount=50_000)
    charge = stand.pay(5_000)["charge"]["id"]
    dispute = stand.order("disputes", charge=charge)["id"]
    stand.order(f"disputes/{dispute}/close", status="lost")
    assert gateway.read_payment(charge).disputed


def test_an_inquiry_does_not_stand_in_the_way(stand: Stand, gateway: StripeGateway) -> None:
    charge = stand.pay(5_000)["charge"]["id"]
    dispute = stand.order("disputes", charge=charge, kind="inquiry")["id"]
    facts = gateway.read_dispute(DisputeId(dispute))
    assert (facts.inquiry, facts.blocks) == (True, False)
    assert not gateway.read_payment(charge).disputed


def test_a_refund_by_somebody_else(stand: Stand, gateway: StripeGateway) -> None:
    stand.order("accounts/platform/earn", amount=50_000)
    paid = stand.pay(5_000)
    made = stand.order("refunds", charge=paid["charge"]["id"], amount=1_500)
    facts = gateway.read_refund(RefundId(made["id"]))
    assert (facts.amount, facts.metadata, facts.live) == (Money(1_500, USD), {}, True)
    (listed,) = gateway.list_refunds(ChargeId(paid["charge"]["id"]))
    assert replace(listed, read_at=facts.read_at) == facts
    assert gateway.read_payment(paid["charge"]["id"]).remaining_minor == 3_500
    stand.order(f"refunds/{made['id']}/fail")
    failed = gateway.read_refund(RefundId(made["id"]))
    assert (failed.live, failed.failure_reason) == (False, "lost_or_stolen_card")
    # Stripe takes a failed refund off the count.
    assert gateway.read_payment(paid["charge"]["id"]).remaining_minor == 5_000


def test_more_refunds_than_fit_on_a_page(stand: Stand, gateway: StripeGateway) -> None:
    stand.order("accounts/platform/earn", amount=50_000)
    charge = stand.pay(5_000)["charge"]["id"]
    made = [stand.order("refunds", charge=charge, amount=n)["id"] for n in range(1, 96)]
    made += [stand.order("refunds", charge=charge, amount=1)["id"] for _ in range(10)]
    found = gateway.list_refunds(ChargeId(charge))
    assert sorted(refund.refund for refund in found) == sorted(made)
    # 1 + 2 + … + 95 = 4,560, and ten more of 1.
    assert sum(refund.amount.amount_minor for refund in found) == 4_570


def test_events_of_an_account_oldest_first(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account()
    for amount in (100, 200, 300):
        stand.order(f"accounts/{account}/earn", amount=amount)
    types = ["balance.available", "payout.created"]
    found = gateway.list_events(types, account, since=LONG_AGO)
    assert [event.type for event in found] == ["balance.available"] * 3
    snapshots = [json.loads(event.body)["data"]["object"]["available"] for event in found]
    # Each snapshot is the balance after its own earning.
    assert [money[0]["amount"] for money in snapshots] == [100, 300, 600]
    assert {event.account for event in found} == {account}
    assert {json.loads(event.body)["account"] for event in found} == {account}
    rest = gateway.list_events(
        types, account, since=LONG_AGO, ending_before=EventId(found[0].event)
    )
    assert [event.event for event in rest] == [event.event for event in found[1:]]
    tomorrow = found[-1].created + timedelta(days=1)
    assert gateway.list_events(types, account, since=tomorrow) == []


def test_events_of_another_account_are_not_listed(stand: Stand, gateway: StripeGateway) -> None:
    account = stand.account()
    stand.order(f"accounts/{account}/earn", amount=100)
    other = stand.account()
    assert gateway.list_events(["balance.available"], other, since=LONG_AGO) == []


def test_an_account_nobody_knows(gateway: StripeGateway) -> None:
    with pytest.raises(UnavailableError) as caught:
        gateway.read_balance(AccountId("acct_nobody"))
    assert caught.value.trouble is Trouble.DENIED


@pytest.mark.parametrize(
    "kind, trouble",
    [
        ("http_429", Trouble.RATE_LIMITED),
        ("http_500", Trouble.SERVER_ERROR),
        ("http_503", Trouble.SERVER_ERROR),
        ("lock_timeout", Trouble.CONFLICT),
        ("revoked_key", Trouble.DENIED),
        ("lost_response", Trouble.CONNECTION),
        ("hang", Trouble.TIMEOUT),
    ],
)
def test_trouble_while_reading(
    stand: Stand, impatient: StripeGateway, kind: str, trouble: Trouble
) -> None:
    account = stand.account()
    seconds = {"seconds": 0.6} if kind == "hang" else {}
    stand.fault(kind, path="/v1/balance", account=account, **seconds)
    with pytest.raises(UnavailableError) as caught:
        impatient.read_balance(account)
    assert caught.value.trouble is trouble
    assert impatient.read_balance(account).account == account


def test_threads_share_one_gateway(stand: Stand, gateway: StripeGateway) -> None:
    accounts = [stand.account(available=100 * n) for n in range(8)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        balances = list(pool.map(gateway.read_balance, accounts * 5))
    assert [balance.available_in(USD) for balance in balances] == [100 * n for n in range(8)] * 5
