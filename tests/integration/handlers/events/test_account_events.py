"""`account.*`: an account Stripe rejected or that left puts what waits for it before a person.

No request may move because an account is merely restricted, and a person's waiver is honoured.
"""

import pytest

from handlers.events import account as account_events
from handlers.operate import Action, act
from refunds.decision import Rule
from refunds.facts import AccountStanding
from refunds.ids import AccountId
from refunds.lifecycle import Bucket, Status
from store.observations import load_account, standing_of
from store.tables.inbox import InboxState
from tests.support.event_stage import EventStage


def standing(stage: EventStage, account: AccountId) -> AccountStanding:
    with stage.database.reading() as unit:
        return standing_of(unit, account)


def test_a_rejected_account_stops_what_waits_and_nothing_else(stage: EventStage) -> None:
    account, innocent = stage.account(), stage.account()
    requests = [stage.hold(stage.pay(account), 1_000) for _ in range(3)]
    other = stage.hold(stage.pay(innocent), 1_000)
    stage.order(f"accounts/{account}/reject", reason="fraud")
    stage.take_in()
    assert standing(stage, account) is AccountStanding.REJECTED
    assert {stage.rule(each) for each in requests} == {Rule.ACCOUNT_REJECTED}
    assert {stage.status(each) for each in requests} == {Status.REVIEW}
    assert stage.status(other) is Status.HELD


def test_a_release_under_way_keeps_its_own_outcome(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 10_000)
    stage.send(request)
    stage.order(f"accounts/{account}/reject")
    stage.take_in()
    assert stage.status(request) is Status.SUCCEEDED


def test_what_a_person_waived_stays_on_hold(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 1_000)
    stage.order(f"accounts/{account}/reject")
    stage.take_in()
    act(stage.services, Action.APPROVE, request, note="their lawyer called", actor="ann")
    stage.put("account.updated", {"id": account, "object": "account"}, account=account)
    stage.work()
    assert stage.status(request) is Status.HELD


def test_many_requests_go_to_review_in_bounded_units(
    stage: EventStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_events, "REVIEW_BATCH", 2)
    account = stage.account()
    requests = [stage.hold(stage.pay(account), 1_000) for _ in range(5)]
    stage.order(f"accounts/{account}/reject")
    letters = [each for each in stage.letters() if each.type == "account.updated"]
    stage.record(letters[-1])
    # 2 + 2 + 1 requests: three units of work for one event.
    assert stage.work() == 3
    assert {stage.status(each) for each in requests} == {Status.REVIEW}
    row = stage.event(letters[-1].event)
    assert (row.state, row.attempts) == (InboxState.DONE, 1)


def test_an_update_of_an_active_account_is_stored_and_gets_a_run(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 1_000)
    stage.run()
    stage.order(f"accounts/{account}/update", payouts_enabled=False)
    stage.take_in()
    assert stage.due(account) == "account.updated"
    assert stage.status(request) is Status.HELD
    with stage.database.reading() as unit:
        row = load_account(unit, account)
        assert row is not None
        assert row.payouts_enabled is False


def test_an_account_without_requests_is_not_even_read(stage: EventStage) -> None:
    account = stage.account()
    reads = stage.reads()
    event = stage.put("account.updated", {"id": account, "object": "account"}, account=account)
    stage.work()
    assert stage.event(event).state is InboxState.IGNORED
    assert stage.reads() == reads


def test_the_object_names_the_account_where_the_event_does_not(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 1_000)
    stage.order(f"accounts/{account}/reject")
    stage.put("account.updated", {"id": account, "object": "account"})
    stage.work()
    assert stage.rule(request) is Rule.ACCOUNT_REJECTED


def test_an_account_that_left_is_not_asked_any_more(stage: EventStage) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 1_000)
    stage.order(f"accounts/{account}/deauthorize")
    letters = [each for each in stage.letters() if each.type.endswith("deauthorized")]
    reads = stage.reads()
    stage.record(*letters)
    stage.work()
    assert stage.reads() == reads
    assert standing(stage, account) is AccountStanding.DEAUTHORIZED
    assert stage.amounts(request) == {Bucket.REVIEW: 1_000}
    assert stage.rule(request) is Rule.ACCOUNT_DEAUTHORIZED


@pytest.mark.parametrize("first", ["update", "departure"])
def test_an_update_that_can_not_be_read_any_more_ends_with_the_departure(
    stage: EventStage, first: str
) -> None:
    account = stage.account()
    request = stage.hold(stage.pay(account), 1_000)
    stage.order(f"accounts/{account}/deauthorize")
    departure = [each for each in stage.letters() if each.type.endswith("deauthorized")]
    if first == "departure":
        stage.record(*departure)
        stage.work()
    update = stage.put("account.updated", {"id": account, "object": "account"}, account=account)
    stage.work()
    stage.record(*departure)
    stage.work()
    stage.later(3_600)
    stage.work()
    assert stage.event(update).state is InboxState.IGNORED
    assert stage.status(request) is Status.REVIEW
