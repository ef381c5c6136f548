"""A review nobody answers is reminded of once a day, and only while it is open."""

import pytest
from structlog.testing import capture_logs

from handlers.escalate import escalate
from handlers.operate import Action, act
from refunds.ids import LaneId, RequestId
from store.escalations import escalations_of
from store.lanes import mark_due
from store.outbox import told_of
from tests.support.stage import Stage


@pytest.fixture
def overdue(stage: Stage) -> RequestId:
    """A request that came before a person at its deadline."""
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    stage.later(days=7)
    sweep(stage, account)
    assert stage.view(request)["status"] == "review"
    return request


def test_each_day_is_one_reminder_however_often_it_comes_round(
    stage: Stage, overdue: RequestId
) -> None:
    assert reminded(stage) == []
    for day in (1, 2):
        stage.later(hours=25)
        assert reminded(stage) == [(overdue, day)]
        assert reminded(stage) == []
    with stage.services.database.reading() as unit:
        whys = [str(row.payload["why"]) for row in told_of(unit, overdue)]
        told = [why for why in whys if "Nobody has decided" in why]
        assert [why.split(".")[0] for why in told] == [
            "Nobody has decided for 1 day",
            "Nobody has decided for 2 days",
        ]
        assert [row.nth for row in escalations_of(unit, overdue)] == [1, 2]


def test_days_without_a_worker_are_one_reminder(stage: Stage, overdue: RequestId) -> None:
    stage.later(days=5, hours=1)
    assert reminded(stage) == [(overdue, 5)]


def test_an_answer_ends_it_and_a_new_review_begins_anew(stage: Stage, overdue: RequestId) -> None:
    stage.later(days=1, hours=1)
    assert reminded(stage) == [(overdue, 1)]
    act(stage.services, Action.APPROVE, overdue, note="go on waiting", actor="ada")
    stage.later(days=3)
    assert reminded(stage) == []


def reminded(stage: Stage) -> list[tuple[str, int]]:
    """Who is reminded of in one round, and which day it is."""
    with capture_logs() as lines:
        escalate(stage.services, lambda: None)
    errors = [line for line in lines if line["event"] == "review.unanswered"]
    assert all(line["log_level"] == "error" for line in errors)
    return [(line["request"], line["days"]) for line in errors]


def sweep(stage: Stage, account: str) -> None:
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "sweep")
    stage.work()
