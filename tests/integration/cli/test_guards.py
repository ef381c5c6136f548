"""The payout guard in the terminal: how each account's stands, and which need somebody."""

from dataclasses import replace

import stripe

from handlers.guard_sweep import sweep_guards
from refunds.policy import PayoutGuard, PolicyBook
from tests.integration.cli.test_status_and_books import worker_lives
from tests.support.stage import KEY, Stage
from tests.support.terminal import Terminal


def guarded(stage: Stage) -> str:
    """An account with daily payouts and a request of 50.00 on hold, guarded."""
    book = PolicyBook(default={"payout_guard": PayoutGuard.ON})
    stage.services = replace(stage.services, policies=book)
    account = stage.account(payouts="daily")
    charge = stage.paid(account, 5000)
    stage.wish(charge)
    stage.later(seconds=3)
    stage.work()
    return account


def set_by_hand(stage: Stage, account: str, minor: int) -> None:
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    payouts = {"minimum_balance_by_currency": {"usd": minor}}
    client.raw_request(
        "post", "/v1/balance_settings", payments={"payouts": payouts}, stripe_account=account
    )


def test_an_account_says_what_was_written_and_what_comes_back(terminal: Terminal) -> None:
    account = guarded(terminal.stage)
    data = terminal.sluice("accounts", account, "--json").data["guard"]
    assert (data["object"], data["state"]) == ("payout_guard", "on")
    assert data["settings"] == [
        {"setting": "usd", "own": None, "written": 5000, "drifted": False, "found": None}
    ]
    words = terminal.sluice("accounts", account).words
    assert "payout guard on since" in words
    assert "usd: 50.00 USD instead of none." in words
    assert "The minimum balance in USD was unset and is 50.00 USD." in words


def test_an_account_without_a_guard_says_so(terminal: Terminal) -> None:
    stage = terminal.stage
    account = stage.account()
    stage.wish(stage.paid(account, 5000))
    assert terminal.sluice("accounts", account, "--json").data["guard"] is None
    assert "payout guard none" in terminal.sluice("accounts", account).words


def test_the_status_counts_guards_and_names_those_somebody_changed(terminal: Terminal) -> None:
    stage = terminal.stage
    account = guarded(stage)
    worker_lives(stage)
    well = terminal.sluice("status")
    assert well.code == 0
    assert "payout guards 1 keep money in the account" in well.words

    set_by_hand(stage, account, 7000)
    sweep_guards(stage.services, lambda: None)
    stage.work()
    answer = terminal.sluice("status")
    assert answer.code == 1
    assert "1 payout guard was changed by somebody else and left so" in answer.words
    assert "from 50.00 USD to 70.00 USD" in answer.words
    data = terminal.sluice("status", "--json").data
    assert data["payout_guards"]["drifted"] == 1
