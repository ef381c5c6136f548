"""A worker dies at every boundary of a guard's work, and Stripe's answers get lost: what is wanted
stands there in the end, written under one key, and the operator's own value comes back.
"""

from dataclasses import replace

import pytest

from gateway.client import StripeGateway
from handlers.operate import Action, act
from refunds.guard import GuardState
from refunds.ids import AccountId, RequestId
from refunds.lifecycle import Status
from refunds.payout_settings import PayoutSettings, SettingsWrite
from refunds.steps import Refused, Unknown
from sandbox.inprocess import BASE
from store.guards import guard_attempts
from tests.support.event_stage import KEY
from tests.support.guard_stage import GuardStage

OWN = {"usd": 1_000}
MANY = 40
"""More boundaries than a guard's work has."""


def keys(stage: GuardStage, account: AccountId) -> list[str]:
    """The keys of the calls of ours that took effect, in order."""
    found = [str(call["idempotency_key"]) for call in stage.writes(account)]
    return list(dict.fromkeys(key for key in found if key.startswith("sluice-ga_")))


def ask(stage: GuardStage, account: AccountId) -> RequestId:
    request = stage.hold(stage.pay(account, 10_000), 5_000)
    stage.later(3)
    return request


def cancel(stage: GuardStage, request: RequestId) -> None:
    act(stage.services, Action.CANCEL, request, note="never mind", actor="ann")
    stage.later(3)


def test_a_worker_that_dies_anywhere_leaves_the_own_value_to_be_put_back(
    stage: GuardStage,
) -> None:
    deaths = 0
    for boundary in range(MANY):
        account = stage.shop(own=OWN)
        request = ask(stage, account)
        died = stage.dies_after(boundary, stage.guard_once)
        stage.settle()
        assert stage.minimum(account) == {"usd": 6_000}, boundary
        assert stage.guard(account)["settings"][0]["own"] == 1_000, boundary
        cancel(stage, request)
        died = stage.dies_after(boundary, stage.guard_once) or died
        stage.settle()
        assert stage.minimum(account) == OWN, boundary
        assert stage.guard(account)["settings"] == [], boundary
        assert stage.history(account) == ["kept", "written", "restored"], boundary
        assert len(keys(stage, account)) == 2, boundary
        deaths += died
        if not died:
            # Claim, books, two calls, two units for them: fewer would mean that it was not there.
            assert deaths >= 10
            return
    raise AssertionError("the work never ended before the worker's death")


@pytest.mark.parametrize("fault", ["lost_response", "reset", "http_500", "http_429"])
def test_an_answer_that_is_lost_is_found_in_the_settings(stage: GuardStage, fault: str) -> None:
    account = stage.shop(own=OWN)
    stage.fault(fault, "/v1/balance_settings", method="POST")
    request = ask(stage, account)
    stage.settle()
    stage.later(60)
    stage.settle()
    assert stage.minimum(account) == {"usd": 6_000}
    assert stage.guard(account)["settings"][0]["own"] == 1_000
    stage.fault(fault, "/v1/balance_settings", method="POST")
    cancel(stage, request)
    stage.settle()
    stage.later(60)
    stage.settle()
    assert stage.minimum(account) == OWN
    assert stage.history(account) == ["kept", "written", "restored"]
    # A stored 500 is repeated under its key for a day: only then another one is taken.
    assert len(keys(stage, account)) == (4 if fault == "http_500" else 2)


@pytest.mark.parametrize("fault, there", [("lost_response", {"usd": 6_000}), ("reset", OWN)])
def test_a_foreign_value_after_a_lost_answer_is_not_overwritten_by_the_retry(
    stage: GuardStage, fault: str, there: dict[str, int]
) -> None:
    account = stage.shop(own=OWN)
    stage.fault(fault, "/v1/balance_settings", method="POST")
    request = ask(stage, account)
    assert stage.guard_once()
    assert stage.minimum(account) == there
    stage.set_by_hand(account, minimum_balance_by_currency={"usd": 7_777})
    stage.later(60)
    stage.settle()
    assert stage.minimum(account) == {"usd": 7_777}
    assert stage.guard(account)["state"] is GuardState.DRIFTED
    cancel(stage, request)
    stage.settle()
    assert stage.minimum(account) == {"usd": 7_777}


def test_a_write_that_never_showed_is_begun_anew_once_its_key_may_be_forgotten(
    stage: GuardStage,
) -> None:
    account = stage.shop(own=OWN)
    stage.fault("reset", "/v1/balance_settings", method="POST", times=None)
    ask(stage, account)
    stage.guard_once()
    stage.later(21 * 3_600)
    stage.sandbox.control("DELETE", "faults")
    stage.settle()
    assert stage.minimum(account) == {"usd": 6_000}
    with stage.database.reading() as unit:
        states = [attempt.state for attempt in guard_attempts(unit, account)]
    assert states == ["never_executed", "done"]


def test_a_worker_that_wakes_up_too_late_changes_nothing(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    request = ask(stage, account)

    class Slow(StripeGateway):
        """Between prepare and call others take the work over, and end it."""

        def write_payout_settings(self, write: SettingsWrite) -> PayoutSettings | Refused | Unknown:
            stage.later(60)
            stage.settle()
            return super().write_payout_settings(write)

    slow = Slow(KEY, api_base=BASE, http_client=stage.sandbox.http_client(), clock=stage.now)
    assert stage.guard_once(replace(stage.services, gateway=slow, worker="late"))
    assert len(keys(stage, account)) == 1
    assert stage.minimum(account) == {"usd": 6_000}
    stage.later(600)
    assert not stage.guard_once(), "the late worker put off what was done"
    assert stage.history(account) == ["kept", "written"]
    cancel(stage, request)
    stage.settle()
    assert stage.minimum(account) == OWN


def test_requests_come_and_go_while_stripe_is_away(stage: GuardStage) -> None:
    account = stage.shop(own=OWN)
    stage.fault("http_503", "/v1/balance_settings", times=None)
    first = ask(stage, account)
    stage.guard_once()
    cancel(stage, first)
    stage.guard_once()
    stage.sandbox.control("DELETE", "faults")
    stage.later(600)
    stage.settle()
    assert stage.minimum(account) == OWN
    assert stage.status(first) is Status.CANCELED
