"""Held refunds against automatic payouts: without the guard they starve, with it they are paid."""

import pytest

from refunds.guard import GuardState
from refunds.lifecycle import Status
from refunds.policy import PayoutGuard
from tests.support.guard_stage import GuardStage

DAYS = 6


def available(stage: GuardStage, account: str) -> int:
    balance = stage.sandbox.control("GET", "state")["balances"][account]
    return int(balance["available"].get("usd", 0))


def test_without_the_guard_a_held_refund_waits_for_ever(stage: GuardStage) -> None:
    stage.policy(PayoutGuard.OFF)
    account = stage.shop()
    request = stage.owed(account, 5_000)
    for _ in range(DAYS):
        # 20.00 a day: enough for it within three days, were it left there.
        stage.earn(account, 2_000)
        stage.day()
    assert stage.status(request) is Status.HELD
    assert stage.minimum(account) is None
    assert stage.writes(account) == []


@pytest.mark.parametrize("own", [None, 1_000])
def test_with_the_guard_it_is_released_and_the_operators_own_minimum_is_back(
    stage: GuardStage, own: int | None
) -> None:
    account = stage.shop(own=None if own is None else {"usd": own})
    request = stage.owed(account, 5_000)
    # own + (need + buffer); nothing is converted, so there is no buffer
    assert stage.minimum(account) == {"usd": (own or 0) + 5_000}
    assert stage.guard(account)["state"] is GuardState.ON
    days = 0
    while stage.status(request) is Status.HELD:
        stage.earn(account, 2_000)
        stage.day()
        days += 1
        assert days <= DAYS
    assert (stage.status(request), days) == (Status.SUCCEEDED, 3)
    assert stage.minimum(account) == (None if own is None else {"usd": own})
    assert stage.guard(account)["state"] is GuardState.OFF
    assert stage.guard(account)["settings"] == []
    assert stage.history(account) == ["kept", "written", "restored"]
