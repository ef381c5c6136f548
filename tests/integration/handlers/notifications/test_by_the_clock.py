"""What is told because time passes: deadlines, unanswered reviews, what Stripe holds, the digest.

Each is told once, however often a chore comes round and whoever does it.
"""

from datetime import timedelta
from typing import Any

import pytest

from handlers.chores import mark_round, run_due_chore
from handlers.notifications.deadlines import tell_deadlines
from handlers.notifications.digest import digest
from handlers.operate import Action, act
from refunds.ids import RequestId
from refunds.notifications import Kind
from store.outbox import told_of
from tests.support.stage import Stage
from tests.support.telling import held


def told(stage: Stage, subject: str) -> list[dict[str, Any]]:
    with stage.services.database.reading() as unit:
        return [row.payload for row in told_of(unit, subject)]


def types(stage: Stage, request: RequestId) -> list[str]:
    return [each["type"].removeprefix("refund_request.") for each in told(stage, request)]


def looked(stage: Stage) -> None:
    tell_deadlines(stage.services, lambda: None)


# Held for 7 days, which is 168 hours: near is the last day of them.
@pytest.mark.parametrize(
    "hours, expected",
    [
        (143, ["held"]),
        (145, ["held", "deadline_near"]),
        (167, ["held", "deadline_near"]),
        (168, ["held", "deadline_passed"]),
    ],
)
def test_a_deadline_is_told_when_it_is_near_and_when_it_has_passed(
    stage: Stage, hours: int, expected: list[str]
) -> None:
    _, request = held(stage)
    stage.offset += timedelta(hours=hours)
    for _ in range(3):
        looked(stage)
    assert types(stage, request) == expected


def test_both_are_told_once_and_say_how_long_is_left(stage: Stage) -> None:
    _, request = held(stage)
    for _ in range(40):
        stage.offset += timedelta(hours=6)
        looked(stage)
    near, passed = told(stage, request)[1:]
    assert near["why"] == "It still waits, and its deadline comes in 24 hours."
    assert passed["why"] == "It still waits, and its deadline has passed."
    assert near["data"]["status"] == "held"


def test_what_waits_no_more_has_no_deadline(stage: Stage) -> None:
    _, request = held(stage)
    act(stage.services, Action.CANCEL, request, note="a mistake", actor="ada")
    stage.offset += timedelta(days=8)
    looked(stage)
    assert types(stage, request) == ["held", "canceled"]


def test_a_review_that_nobody_answers_is_told_again_each_day(stage: Stage) -> None:
    _, request = held(stage)
    stage.later(days=7, seconds=1)
    mark_round(stage.services, "sweep")
    assert run_due_chore(stage.services)
    stage.work()
    before = types(stage, request)
    assert sorted(before) == ["deadline_passed", "held", "review"]
    for _ in range(5):
        stage.offset += timedelta(hours=12)
        mark_round(stage.services, "escalate")
        run_due_chore(stage.services)
        run_due_chore(stage.services)
    assert types(stage, request)[3:] == ["review", "review"]
    first, second = told(stage, request)[3:]
    assert first["why"].startswith("Nobody has decided for 1 day. ")
    assert second["why"].startswith("Nobody has decided for 2 days. ")


def test_what_stripe_holds_is_told_before_it_gives_up(stage: Stage) -> None:
    charge = stage.paid(None, 5000)
    request = stage.wish(charge)
    stage.fault(
        "interlude",
        after_effect=False,
        steps=[{"path": "/_sandbox/accounts/platform/balance", "body": {"available": 0}}],
    )
    stage.work()
    [refund] = stage.refunds()
    assert refund["pending_reason"] == "insufficient_funds"
    for days in (10, 22, 7, 5):
        stage.offset += timedelta(days=days)
        for _ in range(2):
            mark_round(stage.services, "stripe_pending")
            run_due_chore(stage.services)
    told_kinds = types(stage, request)
    assert told_kinds == ["released", *["stripe_pending"] * 3]
    assert "gives it up in" in told(stage, request)[1]["why"]


def test_finance_gets_one_digest_a_day_with_the_figures(stage: Stage) -> None:
    _, request = held(stage)
    _, sent = held(stage)
    act(stage.services, Action.RELEASE, sent, note="a good customer", actor="ada")
    stage.work()
    for _ in range(3):
        digest(stage.services, lambda: None)
    day = f"{stage.now():%Y-%m-%d}"
    [payload] = told(stage, day)
    assert payload["type"] == Kind.DIGEST
    data = payload["data"]
    created = stage.view(request)["created"]
    # 1,234.50 refunded, 10.00 of it taken back at once.
    exposed = [{"amount": 122_450, "currency": "usd"}]
    assert data == {
        "id": day,
        "object": "digest",
        "date": day,
        "held_requests": 1,
        "held": [{"amount": 123_450, "currency": "usd"}],
        "oldest_held": {"id": request, "created": created},
        "in_review": 0,
        "covered": exposed,
        "recovered": [],
        "exposure": exposed,
        "dead_letters": 0,
        "undelivered": 0,
    }
    stage.offset += timedelta(days=2)
    digest(stage.services, lambda: None)
    [later] = told(stage, f"{stage.now():%Y-%m-%d}")
    assert (later["data"]["covered"], later["data"]["exposure"]) == ([], exposed)


def test_the_chores_come_round(stage: Stage) -> None:
    for name in ("deadlines", "digest"):
        assert mark_round(stage.services, name)
        assert run_due_chore(stage.services)
        assert not mark_round(stage.services, name)
