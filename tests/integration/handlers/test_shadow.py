"""Shadow mode: everything is decided and recorded as if it were meant, and nothing is ever sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from gateway.client import StripeGateway
from gateway.port import ReadOnlyError
from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from handlers.sweep import sweep
from handlers.view import RequestView
from refunds.ids import LaneId
from refunds.money import Currency
from refunds.policy import Partial, PolicyBook
from refunds.shadow import Course, summarise
from store.due import anything_due
from store.lanes import mark_due
from store.ledger import entries_of
from store.shadow import shadow_requests
from store.tables.requests import Mode
from tests.support.stage import KEY, Stage

IN_TWO = {"partial": Partial(minimum={Currency("usd"): 1_000}, parts=2)}


@contextmanager
def shadow(stage: Stage) -> Iterator[None]:
    """For the block our side runs in shadow mode, on the same database."""
    live = stage.services
    gateway = StripeGateway(KEY, api_base=stage.sandbox.base_url, read_only=True)
    stage.services = replace(live, mode=Mode.SHADOW, gateway=gateway)
    try:
        yield
    finally:
        stage.services = live
        gateway.close()


def money_comes(stage: Stage, account: str, available: int) -> None:
    stage.has(account, available)
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "balance.available")


def ending(view: RequestView) -> tuple[str, str, str | None]:
    return view["mode"], view["status"], view["decision"] and view["decision"]["outcome"]


def last_reason(stage: Stage, request: str | None) -> str:
    assert request is not None
    with stage.services.database.reading() as unit:
        return entries_of(unit, request)[-1].why  # type: ignore[arg-type]  # an id as the view shows it


def test_a_covered_wish_is_said_to_be_released_and_nothing_is_sent(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    with shadow(stage):
        request = stage.wish(charge)
        stage.work()
    view = stage.view(request)
    assert ending(view) == ("shadow", "canceled", "release")
    assert view["amounts"] == {"canceled": 5000}
    assert last_reason(stage, view["id"]) == (
        "Shadow mode: it would have been released. The account has 50.00 USD spendable, the refund "
        "needs 50.00 USD: covered."
    )
    assert stage.calls() == []


def test_a_short_one_is_held_until_the_money_comes_as_a_live_one_would_be(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    with shadow(stage):
        request = stage.wish(charge)
        stage.work()
        view = stage.view(request)
        assert (view["status"], view["shortfall"]) == ("held", 4000)
        stage.later(hours=3)
        money_comes(stage, account, 5000)
        stage.work()
    assert ending(stage.view(request)) == ("shadow", "canceled", "release")
    assert stage.calls() == []


def test_within_one_run_nothing_is_promised_twice(stage: Stage) -> None:
    # 5,000 for wishes of 3,000 and 3,000: live, one would go out and one would wait.
    account = stage.account()
    charges = [stage.paid(account, 3000) for _ in range(2)]
    stage.has(account, 0)
    with shadow(stage):
        requests = [stage.wish(charge) for charge in charges]
        stage.work()
        money_comes(stage, account, 5000)
        stage.work()
        assert [stage.view(r)["status"] for r in requests] == ["canceled", "held"]
    assert stage.calls() == []


def test_parts_end_as_they_would(stage: Stage) -> None:
    # 90.00 wished for, in at most two parts; the account has 40.00, and keeps it, since nothing is
    # sent. One part of 40.00 would go, and the rest of 50.00 is the last one.
    stage.services = replace(stage.services, policies=PolicyBook(default=IN_TWO))
    account = stage.account()
    charge = stage.paid(account, 9000)
    stage.has(account, 4000)
    with shadow(stage):
        request = stage.wish(charge)
        stage.work()
        assert stage.view(request)["amounts"] == {"canceled": 4000, "held": 5000}
        with stage.services.database.reading() as unit:
            report = summarise(shadow_requests(unit))
        assert [count.amount_minor for count in report.by_course[Course.STILL_HELD]] == [9000]
        money_comes(stage, account, 4999)
        stage.work()
        assert stage.view(request)["amounts"] == {"canceled": 4000, "held": 5000}
        money_comes(stage, account, 5000)
        stage.work()
    assert stage.view(request)["amounts"] == {"canceled": 9000}
    with stage.services.database.reading() as unit:
        report = summarise(shadow_requests(unit))
    assert [count.amount_minor for count in report.by_course[Course.RELEASED_LATER]] == [9000]
    assert stage.calls() == []


def test_shadow_first_then_live(stage: Stage) -> None:
    account = stage.account()
    first, second = (stage.paid(account, 5000) for _ in range(2))
    stage.has(account, 0)
    with shadow(stage):
        tried = stage.wish(first)
        stage.work()
        assert stage.view(tried)["status"] == "held"
    # Live now. The shadow request is in nobody's way, and no live worker takes it.
    meant = stage.wish(first)
    other = stage.wish(second)
    money_comes(stage, account, 10_000)
    stage.work()
    assert [stage.view(r)["status"] for r in (meant, other)] == ["succeeded", "succeeded"]
    assert stage.view(tried)["status"] != "succeeded"
    assert [refund["metadata"]["sluice_request"] for refund in stage.refunds()] == [meant, other]
    # A live database that is looked at in shadow mode keeps what it holds.
    third = stage.wish(stage.paid(account, 1000))
    before = len(stage.calls())
    with shadow(stage):
        money_comes(stage, account, 1000)
        stage.work()
        assert stage.view(third)["status"] in ("requested", "held")
    assert len(stage.calls()) == before
    stage.work()
    assert stage.view(third)["status"] == "succeeded"


def test_a_shadow_worker_takes_no_live_lanes_run_away(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, 1000) for _ in range(2)]
    stage.has(account, 0)
    live = stage.wish(charges[0])
    with shadow(stage):
        pretended = stage.wish(charges[1])
        stage.work()
    stage.work()
    money_comes(stage, account, 2000)
    with stage.services.database.reading() as unit:
        assert anything_due(unit, stage.now(), Mode.SHADOW)
    with shadow(stage):
        stage.work()
    with stage.services.database.reading() as unit:
        assert not anything_due(unit, stage.now(), Mode.SHADOW)
        assert anything_due(unit, stage.now(), Mode.LIVE)
    assert stage.view(pretended)["status"] == "canceled"
    stage.work()
    assert stage.view(live)["status"] == "succeeded"


def test_an_unknown_outcome_from_live_days_is_not_asked_for_again_in_shadow(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    stage.fault("reset")
    run_due_lane(stage.services)
    assert stage.view(request)["status"] == "releasing"
    with shadow(stage):
        stage.later(minutes=5)
        stage.work()
        assert stage.refunds() == []
        with stage.services.database.reading() as unit:
            assert not anything_due(unit, stage.now(), Mode.SHADOW)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_a_gateway_of_shadow_mode_refuses_to_write(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    read_only = StripeGateway(KEY, api_base=stage.sandbox.base_url, read_only=True)
    # Misconfigured on purpose: a live worker in front of it.
    stage.services = replace(stage.services, gateway=read_only)
    with pytest.raises(ReadOnlyError):
        run_due_lane(stage.services)
    assert stage.calls() == []
    assert stage.view(request)["status"] == "releasing"
    read_only.close()


def test_the_platforms_own_refund_ends_the_shadow_of_it(stage: Stage) -> None:
    # Beside Sluice in shadow mode the platform refunds as it always did.
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    with shadow(stage):
        request = stage.wish(charge)
        stage.work()
        made = stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 5000})
        reconcile(stage.services)
    view = stage.view(request)
    assert ending(view) == ("shadow", "canceled", "review")
    assert last_reason(stage, view["id"]) == (
        f"Shadow mode: a person would have been asked. {made['id']} over 50.00 USD was made on "
        f"{charge} by another hand."
    )


def test_people_and_deadlines_work_in_shadow_too(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, 5000) for _ in range(2)]
    stage.has(account, 1000)
    with shadow(stage):
        released, overdue = (stage.wish(charge) for charge in charges)
        act(stage.services, Action.RELEASE, released, note="try it", actor="ada")
        stage.work()
        assert ending(stage.view(released)) == ("shadow", "canceled", "release")
        stage.later(days=8)
        sweep(stage.services, lambda: None)
        stage.work()
        assert stage.view(overdue)["status"] == "review"
        act(stage.services, Action.CLOSE, overdue, note="seen", actor="ada")
    assert stage.view(overdue)["status"] == "closed"
    assert stage.calls() == []


def test_a_wish_that_came_while_stripe_was_away_keeps_its_mode(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    rule = {"kind": "http_500", "path": "/v1/charges/*", "method": "GET", "times": None}
    with shadow(stage):
        stage.sandbox.control("POST", "faults", rule)
        request = stage.wish(charge)
        stage.sandbox.control("DELETE", "faults")
    stage.later(minutes=2)
    stage.work()
    assert stage.view(request)["decision"] is None, "a live worker leaves it alone"
    with shadow(stage):
        stage.work()
    assert ending(stage.view(request)) == ("shadow", "canceled", "release")
    assert stage.calls() == []
