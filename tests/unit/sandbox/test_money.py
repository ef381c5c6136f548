"""Who has which money after each movement: the arithmetic stands beside each row."""

from typing import Any

import pytest
import stripe

from tests.unit.sandbox.money_stage import Json, Stage

DAY = 86_400


# charge, refund -> what the account and the platform gain by both together.
# C 10000, F application fee, T transfer; refund A.
ROUND_TRIPS = [
    # platform only: A out of the platform's 10000
    ({"charge_type": "platform"}, {"amount": 4000}, None, 6000),
    # destination, F 1000: account 10000 - 1000; reversal A of T = C: 9000 - 4000; platform F
    (
        {"charge_type": "destination", "application_fee_amount": 1000},
        {"amount": 4000, "reverse_transfer": True},
        5000,
        1000,
    ),
    # and F·A/C = 400 of the fee back
    (
        {"charge_type": "destination", "application_fee_amount": 1000},
        {"amount": 4000, "reverse_transfer": True, "refund_application_fee": True},
        5400,
        600,
    ),
    # without the reversal the platform pays alone: 1000 - 4000
    (
        {"charge_type": "destination", "application_fee_amount": 1000},
        {"amount": 4000},
        9000,
        -3000,
    ),
    # destination, T 8000 of 10000: reversal A·T/C = 3200; platform 2000 - 4000 + 3200
    (
        {"charge_type": "destination", "transfer_amount": 8000},
        {"amount": 4000, "reverse_transfer": True},
        4800,
        1200,
    ),
    # all of it: nothing is left anywhere but the fee that wasn't given back
    (
        {"charge_type": "destination", "application_fee_amount": 1000},
        {"reverse_transfer": True},
        -1000,
        1000,
    ),
]


@pytest.mark.parametrize("charge, refund, account_gain, platform_gain", ROUND_TRIPS)
def test_round_trips(
    stage: Stage, charge: Json, refund: Json, account_gain: int | None, platform_gain: int
) -> None:
    account = stage.account(available=50_000)
    if account_gain is not None:
        charge = {**charge, "account": account}
    made = stage.pay(amount=10_000, **charge)
    wish: Any = {"charge": made["charge"]["id"], **refund}
    assert stage.client.v1.refunds.create(wish).status == "succeeded"
    assert stage.money(account) == (50_000 + (account_gain or 0), 0)
    assert stage.money() == (100_000 + platform_gain, 0)


def test_a_direct_charge_is_refunded_by_the_account_itself(stage: Stage) -> None:
    account = stage.account()
    made = stage.pay(
        charge_type="direct", account=account, amount=10_000, application_fee_amount=1000
    )
    assert (stage.money(account), stage.money()) == ((9000, 0), (101_000, 0))
    wish: Any = {"charge": made["charge"]["id"], "amount": 5000, "refund_application_fee": True}
    stage.client.v1.refunds.create(wish, {"stripe_account": account})
    # 9000 - 5000 + half of the fee
    assert (stage.money(account), stage.money()) == ((4500, 0), (100_500, 0))
    assert "charge.refunded" in stage.events(account)
    assert "charge.refunded" not in stage.events()


def test_separate_charges_and_transfers(stage: Stage) -> None:
    first, second = stage.account(), stage.account()
    shares = [{"destination": first, "amount": 6000}, {"destination": second, "amount": 3000}]
    made = stage.pay(charge_type="separate", amount=10_000, transfers=shares)
    assert stage.money() == (101_000, 0)
    groups = {item["transfer_group"] for item in made["transfers"]}
    charge = stage.client.v1.charges.retrieve(made["charge"]["id"])
    assert groups == {charge.transfer_group}
    stage.client.v1.refunds.create({"charge": charge.id, "amount": 5000})
    sent = made["transfers"][0]["id"]
    stage.client.v1.transfers.reversals.create(sent, {"amount": 2500})
    assert stage.money() == (101_000 - 5000 + 2500, 0)
    assert stage.money(first) == (3500, 0)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unreversed"):
        stage.client.v1.transfers.reversals.create(sent, {"amount": 3501})
    with pytest.raises(stripe.InvalidRequestError, match="1000 usd is left"):
        stage.client.v1.transfers.create(
            {
                "amount": 1001,
                "currency": "usd",
                "destination": first,
                "source_transaction": charge.id,
            }
        )


def test_a_pending_payment_gives_its_pending_part_first(stage: Stage) -> None:
    """9000 of T = 10000 are pending after the fee: a reversal of 9500 takes 500 available."""
    account = stage.account(available=600)
    made = stage.pay(
        charge_type="destination",
        account=account,
        amount=10_000,
        application_fee_amount=1000,
        funds="pending",
    )
    assert stage.money(account) == (600, 9000)
    stage.client.v1.refunds.create(
        {"charge": made["charge"]["id"], "amount": 9500, "reverse_transfer": True}
    )
    assert stage.money(account) == (100, 0)
    with pytest.raises(stripe.InvalidRequestError) as short:
        stage.client.v1.refunds.create(
            {"charge": made["charge"]["id"], "amount": 101, "reverse_transfer": True}
        )
    assert short.value.code == "balance_insufficient"
    stage.order("clock", advance=4 * DAY)
    assert stage.money(account) == (100, 0)


def test_the_error_code_of_a_shortfall_is_a_switch(stage: Stage) -> None:
    account = stage.account()
    made = stage.pay(charge_type="destination", account=account, amount=5000)
    stage.order(f"accounts/{account}/payout")
    for code in ("insufficient_funds", None):
        stage.order("switches", short_code=code)
        with pytest.raises(stripe.InvalidRequestError, match="Insufficient funds") as short:
            stage.client.v1.refunds.create(
                {"charge": made["charge"]["id"], "reverse_transfer": True}
            )
        assert short.value.code == code
    assert stage.client.v1.refunds.list({"charge": made["charge"]["id"]}).data == []


@pytest.mark.parametrize("losses, reserved", [("application", 5000), ("stripe", None)])
def test_below_zero_only_where_the_platform_carries_losses(
    stage: Stage, losses: str, reserved: int | None
) -> None:
    account = stage.account(losses=losses)
    made = stage.pay(charge_type="destination", account=account, amount=5000)
    stage.order(f"accounts/{account}/payout")
    stage.order("switches", short="negative")
    wish: Any = {"charge": made["charge"]["id"], "reverse_transfer": True}
    if reserved is None:
        with pytest.raises(stripe.InvalidRequestError):
            stage.client.v1.refunds.create(wish)
        return
    stage.client.v1.refunds.create(wish)
    assert stage.money(account) == (-5000, 0)
    balance = stage.client.v1.balance.retrieve()
    assert balance.connect_reserved is not None
    assert balance.connect_reserved[0].amount == reserved
    # 100000 + 5000 - 5000 (transfer) + 5000 (reversal) - 5000 (refund) - the reserve
    assert stage.money() == (95_000, 0)
    stage.order(f"accounts/{account}/earn", amount=6000)
    assert stage.money() == (100_000, 0)


def test_money_changes_its_currency_on_the_way_there_and_back(stage: Stage) -> None:
    account = stage.account(country="DE", default_currency="eur")
    made = stage.pay(
        charge_type="destination", account=account, amount=10_000, application_fee_amount=1000
    )
    # 100.00 USD at 1.25: 80.00 EUR, less 8.00 EUR of fee
    assert stage.money(account, "eur") == (7200, 0)
    stage.order("switches", usd_per_unit={"eur": "1"})
    stage.order(f"accounts/{account}/balance", currency="eur", available=4999)
    wish: Any = {"charge": made["charge"]["id"], "amount": 5000, "reverse_transfer": True}
    with pytest.raises(stripe.InvalidRequestError):
        stage.client.v1.refunds.create(wish)
    stage.order(f"accounts/{account}/balance", currency="eur", available=5000)
    # today's rate: 50.00 USD are 50.00 EUR now
    stage.client.v1.refunds.create(wish)
    assert stage.money(account, "eur") == (0, 0)


def test_charging_the_account_holder_off_session(stage: Stage) -> None:
    customer = stage.client.v1.customers.create({"payment_method": "pm_card_visa"})
    stored = stage.client.v1.customers.payment_methods.list(customer.id).data[0].id
    wish: Any = {
        "amount": 2000,
        "currency": "usd",
        "customer": customer.id,
        "payment_method": stored,
        "off_session": True,
        "confirm": True,
    }
    assert stage.client.v1.payment_intents.create(wish).status == "succeeded"
    stage.order("clock", advance=3 * DAY)
    assert stage.money() == (102_000, 0)
    for name, code in (
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined"),
    ):
        method = stage.client.v1.payment_methods.attach(name, {"customer": customer.id})
        with pytest.raises(stripe.CardError) as declined:
            stage.client.v1.payment_intents.create(wish | {"payment_method": method.id})
        assert declined.value.code == code
        assert declined.value.http_status == 402
    stranger = stage.client.v1.customers.create()
    with pytest.raises(stripe.InvalidRequestError, match="another customer"):
        stage.client.v1.payment_intents.create(wish | {"customer": stranger.id})


@pytest.mark.parametrize(
    "fate, now, later",
    [
        ("succeed", "succeeded", "succeeded"),
        ("pending", "pending", "succeeded"),
        ("pending_fail", "pending", "failed"),
        ("fail_now", "failed", "failed"),
        ("fail_late", "succeeded", "failed"),
        ("requires_action", "requires_action", "requires_action"),
    ],
)
def test_refund_fates(stage: Stage, fate: str, now: str, later: str) -> None:
    made = stage.pay(charge_type="platform", amount=1000, refund_fate=fate)
    refund = stage.client.v1.refunds.create({"charge": made["charge"]["id"]})
    assert refund.status == now
    stage.order("clock", advance=DAY)
    again = stage.client.v1.refunds.retrieve(refund.id)
    assert again.status == later
    paid = later == "succeeded"
    assert stage.money() == (100_000 if paid else 101_000, 0)
    charge = stage.client.v1.charges.retrieve(made["charge"]["id"])
    assert charge.amount_refunded == (1000 if paid or later == "requires_action" else 0)


def test_only_a_refund_that_waits_for_the_buyer_can_be_canceled(stage: Stage) -> None:
    for fate, possible in (("requires_action", True), ("pending", False)):
        made = stage.pay(charge_type="platform", amount=1000, refund_fate=fate)
        refund = stage.client.v1.refunds.create({"charge": made["charge"]["id"]})
        if possible:
            assert stage.client.v1.refunds.cancel(refund.id).status == "canceled"
        else:
            with pytest.raises(stripe.InvalidRequestError):
                stage.client.v1.refunds.cancel(refund.id)


def test_a_chargeback_takes_the_money_and_fails_waiting_refunds(stage: Stage) -> None:
    made = stage.pay(charge_type="platform", amount=1000, refund_fate="pending")
    refund = stage.client.v1.refunds.create({"charge": made["charge"]["id"], "amount": 400})
    dispute = stage.order("disputes", charge=made["charge"]["id"])
    failed = stage.client.v1.refunds.retrieve(refund.id)
    assert failed.failure_reason == "charge_for_pending_refund_disputed"
    # 100000 + 1000 - 1000 disputed
    assert stage.money() == (100_000, 0)
    stage.order(f"disputes/{dispute['id']}/close", status="won")
    assert stage.money() == (101_000, 0)
    with pytest.raises(ValueError, match="is won already"):
        stage.order(f"disputes/{dispute['id']}/close", status="lost")


def test_non_card_refunds_fail_when_the_platform_is_short(stage: Stage) -> None:
    made = stage.pay(charge_type="platform", amount=1000, payment_method="pm_usBankAccount_success")
    stage.order("accounts/platform/balance", available=999)
    refund = stage.client.v1.refunds.create({"charge": made["charge"]["id"]})
    assert (refund.status, refund.failure_reason) == ("failed", "insufficient_funds")
    assert stage.money() == (999, 0)


def test_a_topup_lets_waiting_refunds_go(stage: Stage) -> None:
    made = stage.pay(charge_type="platform", amount=1000)
    stage.order("accounts/platform/balance", available=0)
    refund = stage.client.v1.refunds.create({"charge": made["charge"]["id"]})
    assert refund.pending_reason == "insufficient_funds"
    stage.client.v1.topups.create({"amount": 1500, "currency": "usd"})
    stage.order("clock", advance=2 * DAY)
    assert stage.client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert stage.money() == (500, 0)
