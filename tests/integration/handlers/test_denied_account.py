"""An account that left unheard: Stripe denies every look into it, and no event ever said why."""

from datetime import timedelta

from handlers.circuit import closed_until
from handlers.operate import Action, act
from handlers.undecided import decide_due_request
from refunds.ids import AccountId, AttemptId, RequestId
from refunds.retry import Circuit
from store.attempts import attempts_of
from store.lanes import save_circuit
from store.ledger import exposed_of
from tests.support.stage import Stage


def gone(stage: Stage, account: str) -> None:
    """The account disconnects, and the event that says so is lost."""
    stage.sandbox.control("POST", f"accounts/{account}/deauthorize", {})


def judged(stage: Stage, request: RequestId) -> tuple[str, str]:
    view = stage.view(request)
    assert view["decision"] is not None
    return view["status"], view["decision"]["rule"]


def held(stage: Stage) -> tuple[str, RequestId]:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 0)
    return account, stage.wish(charge)


def test_what_waits_for_it_comes_before_a_person_at_its_deadline(stage: Stage) -> None:
    account, request = held(stage)
    gone(stage, account)
    stage.work()
    assert judged(stage, request) == ("held", "account_deauthorized")
    stage.later(days=6, hours=23)
    stage.work()
    assert judged(stage, request) == ("held", "account_deauthorized")
    stage.later(hours=1, minutes=6)
    stage.work()
    assert judged(stage, request) == ("review", "deadline")


def test_what_a_person_decides_then_is_done(stage: Stage) -> None:
    account, request = held(stage)
    gone(stage, account)
    stage.later(days=8)
    stage.work()
    assert judged(stage, request) == ("review", "deadline")
    act(stage.services, Action.APPROVE, request, note="they will come back", actor="ada")
    stage.later(minutes=6)
    stage.work()
    assert judged(stage, request) == ("held", "account_deauthorized")

    act(stage.services, Action.RELEASE, request, note="the buyer waits", actor="ada")
    stage.later(minutes=6)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    with stage.services.database.reading() as unit:
        [attempt] = attempts_of(unit, request)
        exposed = exposed_of(unit, AttemptId(attempt.id))
    assert exposed is not None
    # Nothing could be taken from the account: the platform stands in for all of it.
    assert exposed.amount_minor == 5000


def test_others_go_on_and_a_reconnected_account_does_too(stage: Stage) -> None:
    account, request = held(stage)
    rule = {"kind": "revoked_key", "path": "/v1/balance", "account": account, "times": None}
    stage.sandbox.control("POST", "faults", rule)
    stage.work()
    assert judged(stage, request) == ("held", "account_deauthorized")
    other = stage.account()
    charge = stage.paid(other, 1000)
    stage.has(other, 1000)
    beside = stage.wish(charge)
    stage.work()
    assert stage.view(beside)["status"] == "succeeded"

    stage.sandbox.control("DELETE", "faults")
    stage.has(account, 5000)
    stage.later(minutes=6)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"


def test_a_wish_on_it_is_decided_with_its_charge(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    gone(stage, account)
    taken = stage.taken(charge, None, key="k")
    assert not taken.decided
    stage.later(seconds=5)
    stage.work()
    assert judged(stage, taken.request) == ("held", "account_deauthorized")
    view = stage.view(taken.request)
    assert (view["charge"], view["amounts"]) == (charge, {"held": 5000})
    assert not decide_due_request(stage.services), "it is decided once"
    stage.later(days=7)
    stage.work()
    assert judged(stage, taken.request) == ("review", "deadline")


def test_a_wish_on_it_that_is_overdue_already_goes_before_a_person(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.sandbox.control("POST", "faults", {"kind": "reset", "path": "*", "times": 1})
    taken = stage.taken(charge, 2000, key="k")
    gone(stage, account)
    stage.later(days=8)
    stage.work()
    assert judged(stage, taken.request) == ("review", "deadline")


def test_what_the_platform_sends_says_nothing_of_its_access_to_the_account(stage: Stage) -> None:
    account, request = held(stage)
    gone(stage, account)
    act(stage.services, Action.RELEASE, request, note="the buyer waits", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert closed_until(stage.services, AccountId(account)) is not None
    assert closed_until(stage.services, None) is None


def test_a_call_of_the_platforms_that_is_denied_stops_all_of_them(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    stage.wish(charge)
    stage.fault("revoked_key")
    stage.work()
    assert closed_until(stage.services, None) is not None
    assert closed_until(stage.services, AccountId(stage.account())) is not None


def test_a_lost_answer_is_asked_for_again_though_the_account_denies_us(stage: Stage) -> None:
    account, request = held(stage)
    gone(stage, account)
    act(stage.services, Action.RELEASE, request, note="the buyer waits", actor="ada")
    stage.fault("lost_response")
    stage.work()
    assert stage.view(request)["status"] == "releasing"
    with stage.services.database.unit_of_work() as unit:
        long = Circuit(failures=9, open_until=stage.now() + timedelta(hours=1))
        save_circuit(unit, account, long, "denied", stage.now())
    stage.later(seconds=5)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
