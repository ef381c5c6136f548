"""Where no guard can work it says so, asks nothing in vain, and stands in nobody's way."""

from dataclasses import replace
from typing import Any

import pytest

from handlers.guard_trust import is_guarded
from handlers.operate import Action, act
from refunds.guard import GuardState
from refunds.ids import AccountId
from refunds.lifecycle import Status
from refunds.retry import CLOSED_CIRCUIT
from store.lanes import load_circuit
from store.tables.requests import Mode
from tests.support.guard_stage import GuardStage


def shop(stage: GuardStage, **more: Any) -> AccountId:
    account = AccountId(stage.order("accounts", payouts="daily", **more)["id"])
    stage.letters()
    return account


@pytest.mark.parametrize(
    "more, says",
    [
        ({"country": "BR", "default_currency": "usd"}, "minimum balances in BR"),
        ({"country": "IN", "default_currency": "usd"}, "minimum balances in IN"),
        ({"country": "TH", "default_currency": "usd"}, "minimum balances in TH"),
        ({"details": {"controller": {"is_controller": False}}}, "controller.is_controller"),
    ],
)
def test_accounts_that_know_no_guard(stage: GuardStage, more: dict[str, Any], says: str) -> None:
    account = shop(stage, **more)
    stage.owed(account, 5_000)
    guard = stage.guard(account)
    assert (guard["state"], guard["settings"]) == (GuardState.BLOCKED, [])
    assert says in guard["why"]
    assert stage.writes(account) == []
    assert [each["data"]["state"] for each in stage.told(account)] == ["blocked"]
    stage.sweep()
    assert len(stage.told(account)) == 1
    with stage.database.reading() as unit:
        assert not is_guarded(stage.services, unit, account)


def test_an_account_that_leaves_takes_our_value_along_and_it_is_said(stage: GuardStage) -> None:
    account = stage.shop(own={"usd": 1_000})
    stage.owed(account, 5_000)
    stage.order(f"accounts/{account}/deauthorize")
    stage.settle()
    stage.sweep()
    guard = stage.guard(account)
    assert guard["state"] is GuardState.BLOCKED
    assert "has left the platform" in guard["why"]
    # What is owed to its operator stays known: should the account come back, it is put back.
    assert guard["settings"][0]["own"] == 1_000


def test_an_account_paid_out_by_hand_is_left_as_it_is(stage: GuardStage) -> None:
    account = stage.shop(interval="manual")
    stage.owed(account, 5_000)
    assert stage.guard(account)["state"] is GuardState.NOT_NEEDED
    assert "manual and instant payouts pass every guard" in stage.guard(account)["why"]
    assert stage.writes(account) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_key_without_the_permission_holds_up_no_refund(stage: GuardStage, method: str) -> None:
    account = stage.shop()
    stage.fault("revoked_key", "/v1/balance_settings", method=method, times=None)
    request = stage.hold(stage.pay(account, 10_000), 5_000)
    stage.later(3)
    assert stage.guard_once()
    with stage.database.reading() as unit:
        # The account's own circuit stays closed: its balance can be read all the same.
        assert load_circuit(unit, account) == CLOSED_CIRCUIT
    guard = stage.guard(account)
    assert guard["state"] is GuardState.BLOCKED
    assert "permission for balance settings" in guard["why"]
    stage.earn(account, 5_000)
    assert stage.status(request) is Status.SUCCEEDED
    assert len(stage.told(account)) == 1


def test_a_permission_that_is_given_later_is_used(stage: GuardStage) -> None:
    account = stage.shop()
    stage.fault("revoked_key", "/v1/balance_settings", times=None)
    stage.owed(account, 5_000)
    stage.sandbox.control("DELETE", "faults")
    stage.later(3_600)
    stage.sweep()
    assert stage.minimum(account) == {"usd": 5_000}
    assert [each["data"]["state"] for each in stage.told(account)] == ["blocked", "on"]


def test_in_shadow_mode_nothing_is_written(stage: GuardStage) -> None:
    live = stage.services
    stage.services = replace(live, mode=Mode.SHADOW)
    account = stage.shop()
    stage.hold(stage.pay(account, 10_000), 5_000)
    stage.later(60)
    stage.sweep()
    assert stage.writes(account) == []
    # Nor afterwards by a live worker: a pretended request asks for nothing.
    stage.services = live
    stage.sweep()
    assert stage.writes(account) == []


def test_a_guard_from_live_days_is_left_alone_in_shadow_mode(stage: GuardStage) -> None:
    live = stage.services
    account = stage.shop(own={"usd": 1_000})
    request = stage.owed(account, 5_000)
    stage.services = replace(live, mode=Mode.SHADOW)
    act(live, Action.CANCEL, request, note="never mind", actor="ann")
    stage.settle()
    stage.sweep()
    assert stage.minimum(account) == {"usd": 6_000}
    stage.services = live
    stage.settle()
    assert stage.minimum(account) == {"usd": 1_000}
