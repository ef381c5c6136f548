"""Split payments that come to nothing half-way: given back, or kept for the next try."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import stripe

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from refunds.ids import RequestId
from refunds.policy import OnDeadline
from refunds.steps import StripeCall
from tests.integration.handlers.test_policy_keys import under
from tests.support.split_play import (
    balance,
    calls,
    emptied_meanwhile,
    look_again,
    named,
    path,
    promised,
    reversed_of,
    rule,
    two_sellers,
)
from tests.support.stage import KEY, Stage


def test_a_refusal_after_a_reversal_gives_the_first_account_its_money_back(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    emptied_meanwhile(stage, second, two)
    before = balance(stage, None)
    stage.work()
    view = stage.view(request)
    assert (view["status"], rule(stage, request)) == ("review", "compensated")
    assert path(stage, request)[2:] == ["releasing", "reversed", "compensated", "review"]
    assert (balance(stage, first), balance(stage, None)) == (6000, before)
    assert calls(stage) == [("reversals", 200), ("reversals", 400), ("transfers", 200)]
    assert promised(stage) == {}
    # A person lets it try again, once the money is there.
    stage.has(second, 3000)
    act(stage.services, Action.APPROVE, request, note="they are owed", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert (balance(stage, first), balance(stage, second)) == (0, 0)
    # The second time the first account's money is in the transfer that gave it back.
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)
    assert [name for name, _ in calls(stage)] == [
        "reversals",
        "reversals",
        "transfers",
        "reversals",
        "reversals",
        "refunds",
    ]


def test_a_refused_refund_gives_everything_back(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    steps = [{"path": "/_sandbox/disputes", "body": {"charge": charge}}]
    stage.fault("interlude", after_effect=False, steps=steps)
    before = balance(stage, None)
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "compensated")
    assert (balance(stage, first), balance(stage, second)) == (6000, 3000)
    assert stage.refunds() == []
    assert before > 0


def test_a_late_failure_keeps_what_was_taken_for_the_next_try(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    (refund,) = stage.refunds()
    stage.sandbox.control("POST", f"refunds/{refund['id']}/fail", {})
    reconcile(stage.services)
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "refund_failed")
    act(stage.services, Action.APPROVE, request, note="another bank", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert [name for name, _ in calls(stage)] == ["reversals", "reversals", "refunds", "refunds"]
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)


def failed_late(
    stage: Stage, amount: int | None = None, *, before: int | None = None
) -> tuple[str, str, RequestId]:
    """A refund that succeeded and failed; `before` is what another hand had refunded by then."""
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    if before is not None:
        paid_by_hand(stage, before)
        stage.later(minutes=10)
    request = stage.wish(charge, amount, transfers=named((one, None), (two, None)))
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    own = next(r for r in stage.refunds() if r["metadata"].get("sluice_request") == request)
    stage.sandbox.control("POST", f"refunds/{own['id']}/fail", {})
    reconcile(stage.services)
    return first, second, request


def paid_by_hand(stage: Stage, minor: int) -> None:
    """A refund in the Dashboard that takes nothing from the accounts; its news arrives."""
    state = stage.sandbox.control("GET", "state")
    charge = next(each for each in state["objects"]["charge"] if each["id"].startswith("ch_"))
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    client.v1.refunds.create(params={"charge": charge["id"], "amount": minor})
    reconcile(stage.services)


def test_a_late_failure_that_is_closed_gives_the_accounts_their_money_back(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    stage.work()
    (refund,) = stage.refunds()
    stage.sandbox.control("POST", f"refunds/{refund['id']}/fail", {})
    reconcile(stage.services)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "closed"
    assert (balance(stage, first), balance(stage, second)) == (6000, 3000)
    assert promised(stage) == {}


@pytest.mark.parametrize(
    "minor, kept",
    [
        # All 100.00 that failed: nothing of what was reversed is given back.
        (10_000, (6000, 3000)),
        # 40.00 of 100.00: 60.00 · 0.4 = 24.00 and 30.00 · 0.4 = 12.00 stay.
        (4000, (2400, 1200)),
    ],
)
def test_what_another_hand_paid_the_buyer_meanwhile_is_not_given_back(
    stage: Stage, minor: int, kept: tuple[int, int]
) -> None:
    first, second, request = failed_late(stage)
    paid_by_hand(stage, minor)
    act(stage.services, Action.CLOSE, request, note="paid in the Dashboard", actor="ada")
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("closed", "paid_elsewhere")
    decision = stage.view(request)["decision"]
    assert decision is not None
    assert f"got {minor / 100:.2f} USD by another hand" in decision["why"]
    assert (balance(stage, first), balance(stage, second)) == (6000 - kept[0], 3000 - kept[1])
    assert promised(stage) == {}


def test_a_refund_of_another_wish_from_before_keeps_nothing_from_the_accounts(
    stage: Stage,
) -> None:
    first, second, request = failed_late(stage, 5000, before=5000)
    act(stage.services, Action.CLOSE, request, note="paid in cash", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "closed"
    assert (balance(stage, first), balance(stage, second)) == (6000, 3000)


def test_a_rest_that_waits_for_the_platforms_money_stays_the_rest(stage: Stage) -> None:
    first, second, request = failed_late(stage)
    paid_by_hand(stage, 4000)
    stage.has("platform", 0)
    act(stage.services, Action.CLOSE, request, note="the rest in cash", actor="ada")
    stage.work()
    assert (balance(stage, first), balance(stage, second)) == (0, 0)
    stage.has("platform", 10_000)
    stage.later(hours=1)
    stage.work()
    assert (balance(stage, first), balance(stage, second)) == (3600, 1800)


def test_a_policy_that_cancels_gives_the_accounts_their_money_back(stage: Stage) -> None:
    """Nobody is there to close it, and what is canceled can't be closed any more."""
    under(stage, on_deadline=OnDeadline.CANCEL, hold_for=timedelta(days=2))
    first, second, request = failed_late(stage)
    stage.has("platform", 9000)
    act(stage.services, Action.APPROVE, request, note="another bank", actor="ada")
    # The buyer's 100.00 are not there, what was reversed is: 60.00 and 30.00.
    stage.work()
    assert rule(stage, request) == "platform_short"
    stage.later(days=3)
    look_again(stage)
    assert (stage.view(request)["status"], rule(stage, request)) == ("canceled", "deadline")
    assert (balance(stage, first), balance(stage, second)) == (6000, 3000)
    assert balance(stage, None) == 0
    assert promised(stage) == {}
    look_again(stage)
    assert [name for name, _ in calls(stage)].count("transfers") == 2


def test_giving_back_waits_for_the_platforms_money(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    emptied_meanwhile(stage, second, two)
    run_due_lane(stage.services)
    stage.has("platform", 0)
    stage.work()
    assert stage.view(request)["status"] == "reversed"
    stage.has("platform", 10_000)
    stage.later(hours=1)
    stage.work()
    assert stage.view(request)["status"] == "review"
    assert balance(stage, first) == 6000


@pytest.mark.parametrize("fault", ["lost_response", "reset"])
@pytest.mark.parametrize("step", ["reversals", "refunds"])
@pytest.mark.parametrize("wait", [{"minutes": 1}, {"hours": 25}], ids=["minute", "day"])
def test_whatever_stays_unanswered_is_done_exactly_once(
    stage: Stage, fault: str, step: str, wait: dict[str, int]
) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    place = f"/v1/transfers/{two}/reversals" if step == "reversals" else "/v1/refunds"
    stage.fault(fault, path=place)
    run_due_lane(stage.services)
    stage.later(**wait)
    stage.work()
    view = stage.view(request)
    if (fault, step, wait) == ("reset", "reversals", {"hours": 25}):
        # Proved never made, with the first one taken: everything is given back.
        assert (view["status"], balance(stage, first)) == ("review", 6000)
        assert stage.refunds() == []
        return
    assert view["status"] == "succeeded"
    assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)
    assert len(stage.refunds()) == 1


@pytest.mark.parametrize("fault", ["lost_response", "reset"])
@pytest.mark.parametrize("wait", [{"minutes": 1}, {"hours": 25}], ids=["minute", "day"])
def test_an_unanswered_transfer_back_is_made_once(
    stage: Stage, fault: str, wait: dict[str, int]
) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    emptied_meanwhile(stage, second, two)
    stage.fault(fault, path="/v1/transfers")
    stage.work()
    assert stage.view(request)["status"] == "reversed"
    stage.later(**wait)
    stage.work()
    assert stage.view(request)["status"] == "review"
    assert balance(stage, first) == 6000


class Died(BaseException):
    """A worker that was killed: nothing it would have done afterwards happens."""


class Mortal:
    """A gateway whose worker dies around its nth call that moves money."""

    def __init__(self, gateway: Any, at: int, *, after: bool) -> None:
        self._gateway, self._at, self._after, self._calls = gateway, at, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    def execute(self, call: StripeCall) -> Any:
        """Make the call, or die before it, or after it and before anybody knows."""
        self._calls += 1
        if self._calls == self._at and not self._after:
            raise Died
        outcome = self._gateway.execute(call)
        if self._calls == self._at:
            raise Died
        return outcome


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("refused", [False, True], ids=["well", "refused"])
def test_a_worker_that_dies_at_any_call_leaves_everything_to_be_done_once(
    stage: Stage, at: int, *, after: bool, refused: bool
) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, transfers=named((one, None), (two, None)))
    if refused:
        emptied_meanwhile(stage, second, two)
    healthy = stage.services
    mortal: Any = Mortal(healthy.gateway, at, after=after)
    stage.services = replace(healthy, gateway=mortal)
    with pytest.raises(Died):
        stage.work()
    stage.services = replace(healthy, worker="worker-2")
    stage.later(minutes=1)
    stage.work()
    if refused:
        # reversal, refused reversal, transfer back
        assert (stage.view(request)["status"], balance(stage, first)) == ("review", 6000)
        assert stage.refunds() == []
    else:
        assert stage.view(request)["status"] == "succeeded"
        assert (reversed_of(stage, one), reversed_of(stage, two)) == (6000, 3000)
        assert len(stage.refunds()) == 1
    assert promised(stage) == {}


def test_a_refund_by_another_hand_meanwhile_is_told_of_when_all_is_given_back(
    stage: Stage,
) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, 5000, transfers=named((one, None), (two, None)))
    emptied_meanwhile(stage, second, two)
    run_due_lane(stage.services)
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 5000})
    stage.has("platform", 0)
    stage.work()
    reconcile(stage.services)
    assert stage.view(request)["status"] == "reversed"
    stage.has("platform", 10_000)
    stage.later(hours=1)
    stage.work()
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")
    decision = stage.view(request)["decision"]
    assert decision is not None
    assert "was given back to the accounts" in decision["why"]


def test_a_refund_by_another_hand_stops_what_a_lost_reversal_puts_back(stage: Stage) -> None:
    first, second, charge, one, two = two_sellers(stage)
    stage.has(first, 6000)
    stage.has(second, 3000)
    request = stage.wish(charge, 5000, transfers=named((one, None), (two, None)))
    stage.fault("reset", path=f"/v1/transfers/{one}/reversals")
    run_due_lane(stage.services)
    assert stage.view(request)["status"] == "releasing"
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 5000})
    reconcile(stage.services)
    stage.later(hours=26)
    stage.work()
    # On hold it would have gone out by itself, and the buyer would have been paid twice.
    assert (stage.view(request)["status"], rule(stage, request)) == ("review", "foreign_refund")
    assert len(stage.refunds()) == 1
