"""What a person approves after its deadline: it waits on, for as long again and not for ever."""

from dataclasses import replace

import pytest

from handlers.escalate import escalate
from handlers.operate import Action, act
from refunds.ids import LaneId, RequestId
from refunds.money import Currency
from refunds.policy import OnDeadline, PolicyBook
from store.lanes import mark_due
from tests.support.stage import Stage

USD = Currency("usd")


def swept(stage: Stage, account: str) -> None:
    """Let the lane be looked at, as it is now and then without any news."""
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "sweep")
    stage.work()


def approve(stage: Stage, request: RequestId) -> None:
    act(stage.services, Action.APPROVE, request, note="they are owed it", actor="ada")


def said(stage: Stage, request: RequestId) -> tuple[str, str]:
    view = stage.view(request)
    assert view["decision"] is not None
    return view["status"], str(view["decision"]["rule"])


@pytest.mark.parametrize("then", list(OnDeadline))
def test_what_is_approved_after_its_deadline_waits_whatever_then_happens(
    stage: Stage, then: OnDeadline
) -> None:
    default = {"on_deadline": then, "review_above": {USD: 100}}
    stage.services = replace(stage.services, policies=PolicyBook(default=default))
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    stage.later(days=9)
    swept(stage, account)
    assert said(stage, request) == ("review", "review_above")
    approve(stage, request)
    swept(stage, account)
    assert said(stage, request) == ("held", "cover")
    stage.has(account, 5000)
    swept(stage, account)
    assert stage.view(request)["status"] == "succeeded"


def test_what_a_person_lets_wait_comes_before_a_person_again(stage: Stage) -> None:
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    deadline = stage.view(request)["deadline"]
    stage.later(days=7, hours=1)
    swept(stage, account)
    assert said(stage, request) == ("review", "deadline")
    approve(stage, request)
    stage.later(days=6)
    swept(stage, account)
    assert said(stage, request) == ("held", "cover")
    stage.later(days=1, hours=1)
    swept(stage, account)
    assert said(stage, request) == ("review", "deadline")
    assert stage.view(request)["deadline"] == deadline
    # It is reminded of anew, too.
    stage.later(days=1, hours=1)
    assert escalate(stage.services, lambda: None).startswith("1 ")
    approve(stage, request)
    stage.later(days=6)
    swept(stage, account)
    assert said(stage, request) == ("held", "cover")


def test_a_persons_release_that_waits_for_the_platform_ends_as_well(stage: Stage) -> None:
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    stage.later(days=7, hours=1)
    swept(stage, account)
    stage.has("platform", 0)
    act(stage.services, Action.RELEASE, request, note="now", actor="ada")
    swept(stage, account)
    assert said(stage, request) == ("review", "platform_short")
    stage.later(days=7, hours=1)
    swept(stage, account)
    assert said(stage, request) == ("review", "deadline")
    # That release is used up: money alone sends nothing a person didn't look at again.
    stage.has("platform", 10_000)
    swept(stage, account)
    assert said(stage, request) == ("review", "deadline")
