"""A changed policy: deadlines count from creation as ever, and whoever waits is judged by it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.accounts import set_risk
from handlers.policy_change import heed_policy_change
from refunds.errors import UnknownTierError
from refunds.ids import AccountId, LaneId
from refunds.policy import PolicyBook
from runtime.worker import Worker
from store.installation import actions_on
from store.lanes import mark_due
from store.policies import policy_in_force
from store.tables.lanes import Lane
from tests.support.stage import Stage

FORTNIGHT = PolicyBook(default={"hold_for": timedelta(days=14)})


def test_a_longer_wait_holds_for_what_waits_already(stage: Stage) -> None:
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    created = stage.view(request)["created"]
    assert stage.view(request)["deadline"] == created + 7 * 86_400
    stage.later(days=6)
    under(stage, FORTNIGHT)
    assert stage.view(request)["deadline"] == created + 14 * 86_400
    stage.later(days=2)
    swept(stage, account)
    assert stage.view(request)["status"] == "held"
    stage.later(days=7)
    swept(stage, account)
    assert stage.view(request)["status"] == "review"


def test_a_policy_in_force_is_taken_in_once(stage: Stage) -> None:
    account = stage.account()
    stage.wish(stage.paid(account, 5000))
    stage.work()
    assert heed_policy_change(stage.services) == 1
    assert heed_policy_change(stage.services) is None
    assert due(stage, account), "its lane became due"
    stage.services = replace(stage.services, policies=FORTNIGHT)
    assert heed_policy_change(stage.services) == 1
    with stage.services.database.reading() as unit:
        assert policy_in_force(unit) == FORTNIGHT.digest()


def test_a_worker_takes_its_policy_into_force_before_its_first_run(stage: Stage) -> None:
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    stage.later(days=8)
    Worker(replace(stage.services, policies=FORTNIGHT)).run_once()
    assert stage.view(request)["status"] == "held"
    with stage.services.database.reading() as unit:
        assert policy_in_force(unit) == FORTNIGHT.digest()


def test_work_that_is_stopped_halfway_is_done_again(stage: Stage) -> None:
    request = stage.wish(stage.paid(stage.account(), 5000))
    stage.services = replace(stage.services, policies=FORTNIGHT)
    assert heed_policy_change(stage.services, lambda: False) == 0
    with stage.services.database.reading() as unit:
        assert policy_in_force(unit) is None
    assert heed_policy_change(stage.services) == 1
    view = stage.view(request)
    assert view["deadline"] == view["created"] + 14 * 86_400


def test_an_account_is_judged_by_its_tier_and_its_own_words(stage: Stage) -> None:
    risky, own = stage.account(), stage.account()
    stage.services = replace(
        stage.services,
        policies=PolicyBook(
            tiers={"high": {"hold_for": timedelta(days=2)}},
            accounts={AccountId(own): {"hold_for": timedelta(days=30)}},
        ),
    )
    days = {}
    for account in (risky, own):
        set_risk(stage.services, AccountId(account), "high", note="", actor="ada")
        view = stage.view(stage.wish(stage.paid(account, 5000)))
        assert view["deadline"] is not None
        days[account] = (view["deadline"] - view["created"]) // 86_400
    assert days == {risky: 2, own: 30}


def test_a_tier_counts_deadlines_anew_and_leaves_an_audit_row(stage: Stage) -> None:
    account = stage.account()
    request = stage.wish(stage.paid(account, 5000))
    stage.services = replace(
        stage.services, policies=PolicyBook(tiers={"high": {"hold_for": timedelta(days=2)}})
    )
    stage.work()
    set_risk(stage.services, AccountId(account), "high", note="chargebacks", actor="ada")
    view = stage.view(request)
    assert view["deadline"] == view["created"] + 2 * 86_400
    assert due(stage, account)
    set_risk(stage.services, AccountId(account), "none", note="", actor="bob")
    assert stage.view(request)["deadline"] == view["created"] + 7 * 86_400
    with stage.services.database.reading() as unit:
        rows = actions_on(unit, account)
    assert [(r.actor, r.action, r.before, r.after, r.note) for r in rows] == [
        ("ada", "risk", {"risk": None}, {"risk": "high"}, "chargebacks"),
        ("bob", "risk", {"risk": "high"}, {"risk": None}, ""),
    ]


def test_an_unknown_tier_names_those_there_are(stage: Stage) -> None:
    stage.services = replace(stage.services, policies=PolicyBook(tiers={"high": {}, "low": {}}))
    with pytest.raises(UnknownTierError, match="no risk tier hihg; there are high, low, and none"):
        set_risk(stage.services, AccountId("acct_1"), "hihg", note="", actor="ada")


def test_a_wish_decided_late_has_the_deadline_of_its_account(stage: Stage) -> None:
    account = stage.account()
    stage.services = replace(
        stage.services,
        policies=PolicyBook(accounts={AccountId(account): {"hold_for": timedelta(days=30)}}),
    )
    charge = stage.paid(account, 5000)
    stage.sandbox.control("POST", "faults", {"kind": "http_500", "path": "*", "times": 1})
    taken = stage.taken(charge, None, key="k")
    stage.later(seconds=5)
    stage.work()
    view = stage.view(taken.request)
    assert (view["status"], view["deadline"]) == ("held", view["created"] + 30 * 86_400)


def under(stage: Stage, policies: PolicyBook) -> None:
    """A worker starts with another policy."""
    stage.services = replace(stage.services, policies=policies)
    heed_policy_change(stage.services)
    stage.work()


def swept(stage: Stage, account: str) -> None:
    with stage.services.database.unit_of_work() as unit:
        mark_due(unit, LaneId(account), stage.now(), "sweep")
    stage.work()


def due(stage: Stage, account: str) -> bool:
    with stage.services.database.reading() as unit:
        lane = unit.get(Lane, (account, stage.services.mode))
    return lane is not None and lane.release_due_at is not None
