"""Money that leaves an account by itself or against its will: payouts, settings, debits."""

from typing import Any

import pytest
import stripe

from tests.unit.sandbox.money_stage import Json, Stage

DAY = 86_400


@pytest.mark.parametrize(
    "interval, days, first, times",
    [
        # The frozen clock begins on Monday, 23 November 2026; runs are at midnight UTC.
        ("daily", {}, 1, 14),
        ("weekly", {"weekly_payout_days": ["tuesday", "friday"]}, 1, 4),
        ("monthly", {"monthly_payout_days": [30]}, 7, 1),
    ],
)
def test_automatic_payouts_keep_the_minimum_balance(
    stage: Stage, interval: str, days: Json, first: int, times: int
) -> None:
    account = stage.account(available=5000)
    schedule = {"interval": interval, **days}
    payouts = {"minimum_balance_by_currency": {"usd": 1500}, "schedule": schedule}
    stage.client.raw_request(
        "post", "/v1/balance_settings", payments={"payouts": payouts}, stripe_account=account
    )
    seen: list[int] = []
    for day in range(1, 15):
        stage.order("clock", advance=DAY)
        if stage.money(account)[0] == 1500:
            seen.append(day)
            stage.order(f"accounts/{account}/earn", amount=3500)
    assert seen[0] == first
    assert len(seen) == times
    found = stage.client.v1.payouts.list({"limit": 100}, {"stripe_account": account}).data
    assert {payout.amount for payout in found} == {3500}
    assert all(payout.automatic for payout in found)
    assert stage.events(account).count("payout.created") == times


def test_an_automatic_payout_lists_what_it_pays(stage: Stage) -> None:
    account = stage.account(payouts="daily")
    for _ in range(2):
        stage.pay(charge_type="destination", account=account, amount=1000)
        stage.order("clock", advance=DAY)
    acting: Any = {"stripe_account": account}
    for payout in stage.client.v1.payouts.list({}, acting).data:
        paid = stage.client.v1.balance_transactions.list({"payout": payout.id}, acting).data
        assert sum(txn.net for txn in paid if txn.type != "payout") == payout.amount == 1000


def test_settings_are_told_and_unset(stage: Stage) -> None:
    account = stage.account()

    def change(value: object) -> None:
        stage.client.raw_request(
            "post",
            "/v1/balance_settings",
            payments={"payouts": {"minimum_balance_by_currency": value}},
            stripe_account=account,
        )

    def minimum() -> object:
        answer = stage.client.raw_request("get", "/v1/balance_settings", stripe_account=account)
        shown: Any = answer.data
        return shown["payments"]["payouts"]["minimum_balance_by_currency"]

    change({"usd": 1500, "eur": 700})
    assert minimum() == {"usd": 1500, "eur": 700}
    change({"usd": ""})
    assert minimum() == {"eur": 700}
    change("")
    assert minimum() is None
    assert stage.events(account).count("balance_settings.updated") == 3


def test_a_bank_that_refuses_gives_the_money_back(stage: Stage) -> None:
    account = stage.account(available=1000)
    stage.order(f"accounts/{account}/refuse_payouts", code="account_closed")
    acting: Any = {"stripe_account": account}
    payout = stage.client.v1.payouts.create({"amount": 800, "currency": "usd"}, acting)
    assert stage.money(account) == (200, 0)
    stage.order("clock", advance=3 * DAY)
    failed = stage.client.v1.payouts.retrieve(payout.id, options=acting)
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert failed.failure_balance_transaction is not None
    assert stage.money(account) == (1000, 0)
    assert stage.events(account)[-1] == "payout.failed"


@pytest.mark.parametrize("losses, filled", [("stripe", True), ("application", False)])
def test_banks_fill_negative_balances_where_that_is_switched_on(
    stage: Stage, losses: str, filled: bool
) -> None:
    account = stage.account(losses=losses, payouts="daily")
    stage.order(f"accounts/{account}/balance", available=-300)
    stage.order("clock", advance=DAY)
    assert stage.money(account)[0] == (0 if filled else -300)


def test_account_debits(stage: Stage) -> None:
    platform = stage.client.v1.accounts.retrieve_current().id
    able = stage.account(available=1000)
    wish: Any = {"amount": 700, "currency": "usd", "destination": platform}
    stage.client.v1.transfers.create(wish, {"stripe_account": able})
    assert (stage.money(able), stage.money()) == ((300, 0), (100_700, 0))
    refusals = {
        able: "insufficient available funds",
        stage.account(losses="stripe", available=1000): "liable for its losses",
        stage.account(country="DE", available=1000): "another region",
        stage.account(
            default_currency="eur", currencies=["usd"], available=1000
        ): "only be debited",
    }
    for account, why in refusals.items():
        with pytest.raises(stripe.InvalidRequestError, match=why):
            stage.client.v1.transfers.create(wish, {"stripe_account": account})
