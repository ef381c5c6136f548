"""The first wish on an account, and a wish from the other mode: what no event ever told us of."""

from handlers.release import run_due_lane
from handlers.undecided import decide_due_request
from store.observations import load_account
from store.tables.installation import Installation
from tests.support.stage import Stage


def reads(stage: Stage, path: str) -> int:
    counted: dict[str, int] = stage.sandbox.control("GET", "calls")["reads"]
    return sum(count for read, count in counted.items() if path in read)


def test_an_account_that_stripe_rejected_before_its_first_wish(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    stage.sandbox.control("POST", f"accounts/{account}/reject", {})
    request = stage.wish(charge)
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("review", "account_rejected")
    stage.work()
    assert stage.calls() == []


def test_an_account_is_asked_about_once(stage: Stage) -> None:
    account = stage.account()
    charges = [stage.paid(account, 1000) for _ in range(3)]
    stage.has(account, 0)
    for charge in charges:
        stage.wish(charge)
    assert reads(stage, account) == 1
    with stage.services.database.reading() as unit:
        assert load_account(unit, account) is not None


def test_an_account_nobody_may_look_into_is_decided_all_the_same(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.sandbox.control("POST", f"accounts/{account}/deauthorize", {})
    request = stage.wish(charge)
    stage.later(minutes=1)
    assert decide_due_request(stage.services)
    assert stage.view(request)["status"] == "held"


def test_a_payment_of_the_other_mode_is_rejected(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    # The database belongs to the live mode, in which Stripe would not show this payment at all.
    with stage.services.database.unit_of_work() as unit:
        row = unit.get(Installation, 1)
        assert row is not None
        row.livemode = True
        unit.add(row)
    request = stage.wish(charge)
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("rejected", "wrong_livemode")
    assert view["decision"]["why"] == (
        f"{charge} is a payment of test mode, and this installation is of live mode."
    )
    assert not run_due_lane(stage.services)
