"""`balance.available` and `payout.*`: who gets a release run, and who is left in peace.

No figure of an event may matter: what is asserted is which lanes are due, and what a run then does.
"""

import pytest

from refunds.lifecycle import Status
from store.lanes import lanes_with_waiting
from store.tables.inbox import InboxState
from store.tables.lanes import Lane
from store.tables.requests import Mode
from tests.support.event_stage import EventStage


def test_available_money_releases_what_waits_for_it(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 10_000)
    stage.run()
    assert (stage.due(account), stage.status(request)) == (None, Status.HELD)
    stage.order(f"accounts/{account}/earn", amount=10_000)
    stage.take_in()
    assert stage.due(account) == "balance.available"
    stage.run()
    assert stage.status(request) is Status.SUCCEEDED


def test_an_old_snapshot_after_the_money_is_gone_releases_nothing(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 10_000)
    stage.order(f"accounts/{account}/earn", amount=10_000)
    stage.has(account, 0)
    stage.take_in()
    stage.run()
    assert stage.status(request) is Status.HELD


def test_a_burst_becomes_one_due_lane(stage: EventStage) -> None:
    account = stage.account()
    stage.hold(stage.pay(account), 10_000)
    stage.run()
    for _ in range(5):
        stage.put("balance.available", {"object": "balance"}, account=account)
    stage.work()
    with stage.database.reading() as unit:
        assert [str(each) for each in lanes_with_waiting(unit, None, 10)] == [account]
    stage.run()
    assert stage.due(account) is None


def test_money_nobody_waits_for_makes_no_lane(stage: EventStage) -> None:
    account = stage.account()
    event = stage.put("balance.available", {"object": "balance"}, account=account)
    stage.work()
    assert stage.event(event).state is InboxState.IGNORED
    with stage.database.reading() as unit:
        assert unit.get(Lane, (account, Mode.LIVE)) is None


def test_the_platforms_money_wakes_its_own_lane_and_who_waits_for_it(stage: EventStage) -> None:
    short, covered_later = stage.account(), stage.account()
    waits_for_account = stage.hold(stage.pay(covered_later), 3_000)
    stage.run()
    waits_for_platform = stage.short_of_platform(short, 4_000)
    own = stage.hold(stage.pay(None), 2_000)
    stage.has("platform", 0)
    stage.run()
    stage.order("accounts/platform/earn", amount=6_000)
    stage.take_in()
    due = [stage.due(each) for each in (short, None, covered_later)]
    # 4,000 + 2,000 = 6,000: both go; the third waits for another balance and is not disturbed.
    assert due == ["balance.available", "balance.available", None]
    stage.run()
    statuses = [stage.status(each) for each in (waits_for_platform, own, waits_for_account)]
    assert statuses == [Status.SUCCEEDED, Status.SUCCEEDED, Status.HELD]


def test_a_release_under_way_is_reason_enough_for_a_run(stage: EventStage) -> None:
    account = stage.account()
    stage.release(stage.hold(stage.pay(account), 10_000), "reset")
    stage.put("balance.available", {"object": "balance"}, account=account)
    stage.work()
    assert stage.due(account) == "balance.available"


@pytest.mark.parametrize("type_", ["payout.failed", "payout.canceled"])
def test_a_payout_that_came_back_is_money_that_came_in(stage: EventStage, type_: str) -> None:
    account = stage.account()
    stage.hold(stage.pay(account), 10_000)
    stage.run()
    stage.put(type_, {"id": "po_1", "object": "payout"}, account=account)
    stage.work()
    assert stage.due(account) == type_


def test_a_payout_the_bank_sends_back_releases_what_it_had_drained(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 10_000)
    stage.has(account, 10_000)
    payout = stage.order(f"accounts/{account}/payout", amount=10_000)["payouts"][0]
    stage.take_in()
    stage.run()
    assert stage.status(request) is Status.HELD
    stage.order(f"payouts/{payout['id']}/fail")
    stage.take_in()
    stage.run()
    assert stage.status(request) is Status.SUCCEEDED


def test_a_payout_made_is_noted_and_wakes_nobody(stage: EventStage) -> None:
    account = stage.account()
    stage.hold(stage.pay(account), 10_000)
    stage.run()
    event = stage.put("payout.created", {"id": "po_1", "object": "payout"}, account=account)
    stage.work()
    assert stage.event(event).state is InboxState.DONE
    assert stage.due(account) is None
