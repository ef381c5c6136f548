"""Somebody else changes what the guard wrote: it is told, left alone, and theirs afterwards."""

import pytest

from handlers.operate import Action, act
from refunds.guard import GuardState
from refunds.ids import AccountId, RequestId
from tests.support.guard_stage import GuardStage


def guarded(stage: GuardStage) -> tuple[AccountId, RequestId]:
    account = stage.shop(own={"usd": 1_000})
    request = stage.owed(account, 5_000)
    assert stage.minimum(account) == {"usd": 6_000}
    return account, request


def end(stage: GuardStage, request: RequestId) -> None:
    act(stage.services, Action.CANCEL, request, note="never mind", actor="ann")
    stage.settle()


def news(stage: GuardStage, account: AccountId) -> list[str]:
    assert {each["type"] for each in stage.told(account)} == {"guard.changed"}
    return [each["data"]["state"] for each in stage.told(account)]


def test_our_own_write_is_no_news_to_us(stage: GuardStage) -> None:
    account, request = guarded(stage)
    stage.sweep()
    stage.sweep()
    assert len(stage.writes(account)) == 2  # its operator's, and ours
    assert news(stage, account) == ["on"]
    end(stage, request)
    assert news(stage, account) == ["on", "off"]
    said = [each["why"] for each in stage.told(account)]
    assert "was 10.00 USD and is 60.00 USD." in said[0]
    assert "was 60.00 USD and is 10.00 USD, as it was before the guard." in said[1]


@pytest.mark.parametrize("theirs", [9_000, 1_000, 0, None])
def test_a_foreign_value_is_told_not_fought_and_stays(
    stage: GuardStage, theirs: int | None
) -> None:
    account, request = guarded(stage)
    stage.set_by_hand(
        account, minimum_balance_by_currency={"usd": "" if theirs is None else theirs}
    )
    stage.settle()
    for _ in range(3):
        stage.sweep()
    left = None if theirs is None else {"usd": theirs}
    assert stage.minimum(account) == left
    assert stage.guard(account)["state"] is GuardState.DRIFTED
    assert news(stage, account) == ["on", "drifted"]
    assert (
        "Somebody changed the minimum balance in USD from 60.00 USD" in stage.guard(account)["why"]
    )
    assert stage.history(account).count("drifted") == 1
    # Not fought for a second request either.
    end(stage, stage.owed(account, 700))
    assert stage.minimum(account) == left
    end(stage, request)
    assert stage.minimum(account) == left
    assert stage.guard(account)["state"] is GuardState.OFF
    assert news(stage, account) == ["on", "drifted", "off"]
    assert stage.history(account)[-1] == ("restored" if theirs == 1_000 else "left")


def test_a_value_set_back_lets_the_guard_go_on(stage: GuardStage) -> None:
    account, request = guarded(stage)
    stage.set_by_hand(account, minimum_balance_by_currency={"usd": 9_000})
    stage.settle()
    stage.set_by_hand(account, minimum_balance_by_currency={"usd": 6_000})
    stage.settle()
    assert stage.guard(account)["state"] is GuardState.ON
    stage.owed(account, 700)
    assert stage.minimum(account) == {"usd": 6_700}
    assert stage.history(account)[:5] == ["kept", "written", "drifted", "resumed", "written"]
    del request


def test_the_next_guard_keeps_what_the_other_hand_left(stage: GuardStage) -> None:
    account, request = guarded(stage)
    stage.set_by_hand(account, minimum_balance_by_currency={"usd": 2_500})
    stage.settle()
    end(stage, request)
    again = stage.owed(account, 5_000)
    assert stage.minimum(account) == {"usd": 7_500}
    end(stage, again)
    assert stage.minimum(account) == {"usd": 2_500}


def test_a_change_whose_event_was_lost_is_found_by_the_sweep(stage: GuardStage) -> None:
    account, _ = guarded(stage)
    stage.set_by_hand(account, minimum_balance_by_currency={"usd": 9_000})
    stage.letters()
    stage.sweep()
    assert stage.guard(account)["state"] is GuardState.DRIFTED


def test_an_account_that_goes_over_to_payouts_by_hand_needs_no_guard(stage: GuardStage) -> None:
    account, _ = guarded(stage)
    stage.set_by_hand(account, schedule={"interval": "manual"})
    stage.settle()
    assert stage.minimum(account) == {"usd": 1_000}
    assert stage.guard(account)["state"] is GuardState.NOT_NEEDED
    stage.set_by_hand(account, schedule={"interval": "daily"})
    stage.settle()
    assert stage.minimum(account) == {"usd": 6_000}


def test_settings_of_accounts_without_a_guard_are_nobodys_business(stage: GuardStage) -> None:
    account = stage.shop()
    stage.set_by_hand(account, minimum_balance_by_currency={"usd": 9_000})
    (letter,) = stage.letters()
    stage.record(letter)
    stage.work()
    assert stage.minimum(account) == {"usd": 9_000}
