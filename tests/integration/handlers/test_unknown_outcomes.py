"""What nobody answered: the same key while Stripe knows it, a full list once it can't, no
guessing.
"""

from datetime import timedelta

import pytest

from handlers.carry_out import carry_out
from handlers.release import run_due_lane
from handlers.unsettled import recover_due_attempt
from refunds.attempt import AttemptState
from refunds.errors import LeaseLostError
from refunds.ids import RequestId
from store.attempts import ATTEMPT_LEASE, attempts_of, calls_of, claim_unsettled
from tests.support.stage import Stage


def covered(stage: Stage, amount: int = 5000) -> tuple[str, RequestId]:
    account = stage.account()
    charge = stage.paid(account, amount)
    stage.has(account, amount)
    return account, stage.wish(charge)


def states(stage: Stage, request: RequestId) -> list[AttemptState]:
    with stage.services.database.reading() as unit:
        return [attempt.state for attempt in attempts_of(unit, request)]


def test_stripe_is_unwell_for_hours_and_one_key_is_used(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("reset", times=4)
    stage.work()
    for _ in range(12):
        stage.later(minutes=30)
        stage.work()
    assert stage.view(request)["status"] == "succeeded"
    keys = {call["idempotency_key"] for call in stage.calls() if call["path"] == "/v1/refunds"}
    assert len(keys) == 1
    assert states(stage, request) == [AttemptState.DONE]


def test_a_500_stays_under_its_key_and_no_new_one_is_taken_for_a_day(stage: Stage) -> None:
    # Stripe stores a 500 under the key and repeats it: only a day later may a new key be taken.
    _, request = covered(stage)
    stage.fault("http_500", times=1)
    stage.work()
    for _ in range(20):
        stage.later(hours=1)
        stage.work()
    assert stage.view(request)["status"] == "releasing"
    assert stage.refunds() == []
    stage.later(hours=5)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert states(stage, request) == [AttemptState.NEVER_EXECUTED, AttemptState.DONE]
    assert len(stage.refunds()) == 1


def test_after_a_day_the_list_shows_that_it_happened(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("lost_response", times=1)
    run_due_lane(stage.services)
    assert stage.view(request)["status"] == "releasing"
    stage.later(hours=25)
    calls_before = len(stage.calls())
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert len(stage.calls()) == calls_before, "nothing was sent: the key is forgotten by now"
    assert len(stage.refunds()) == 1


def test_after_a_day_an_empty_list_proves_that_it_never_happened(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("reset", times=1)
    run_due_lane(stage.services)
    assert stage.view(request)["status"] == "releasing"
    stage.later(hours=25)
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    assert states(stage, request) == [AttemptState.NEVER_EXECUTED, AttemptState.DONE]
    assert len(stage.refunds()) == 1


def test_between_20_and_24_hours_nothing_is_sent(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("reset", times=1)
    run_due_lane(stage.services)
    calls_before = len(stage.calls())
    stage.later(hours=21)
    stage.work()
    assert stage.view(request)["status"] == "releasing"
    assert len(stage.calls()) == calls_before
    stage.later(hours=2)
    stage.work()
    assert stage.view(request)["status"] == "releasing"


def test_an_unknown_outcome_keeps_its_reservation(stage: Stage) -> None:
    # 5,000 there and promised to a call nobody answered: a second wish for 5,000 must wait.
    account, first = covered(stage)
    other = stage.paid(account, 5000)
    stage.has(account, 5000)
    stage.fault("reset", times=1)
    run_due_lane(stage.services)
    assert stage.view(first)["status"] == "releasing"
    second = stage.wish(other)
    view = stage.view(second)
    assert view["status"] == "held"
    assert (view["spendable"], view["shortfall"]) == (0, 5000)


def test_the_timeline_shows_every_try(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("reset", times=1)
    stage.work()
    stage.later(seconds=30)
    stage.work()
    with stage.services.database.reading() as unit:
        attempt = attempts_of(unit, request)[0]
        outcomes = [call.outcome for call in calls_of(unit, attempt.id)]
    assert outcomes == ["unknown:connection", "done"]


def test_a_worker_that_hangs_does_not_keep_the_attempt(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("reset", times=1)
    run_due_lane(stage.services)
    other = stage.another_worker("worker-2")
    stage.offset += timedelta(seconds=11)
    assert recover_due_attempt(other)
    assert stage.view(request)["status"] == "succeeded"


def test_a_lost_answer_is_not_counted_twice_against_the_charge(stage: Stage) -> None:
    # 10,000 paid. 6,000 refunded at Stripe, answer lost: Stripe counts it, and so do we. What is
    # left for a second wish is 4,000, not -2,000.
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 20_000)
    first = stage.wish(charge, 6000)
    stage.fault("lost_response", times=1)
    run_due_lane(stage.services)
    assert stage.view(first)["status"] == "releasing"
    second = stage.wish(charge, 4000, additional=True)
    assert stage.view(second)["status"] == "requested"
    run_due_lane(stage.services)
    assert stage.view(second)["status"] == "succeeded"
    third = stage.wish(charge, 1, additional=True)
    assert stage.view(third)["status"] == "rejected"
    stage.later(seconds=30)
    stage.work()
    assert [stage.view(r)["status"] for r in (first, second)] == ["succeeded"] * 2


def test_a_request_held_beside_an_unknown_outcome_goes_out_when_that_is_known(
    stage: Stage,
) -> None:
    account = stage.account()
    lost, beside = stage.paid(account, 5000), stage.paid(account, 5000)
    stage.has(account, 10_000)
    stage.fault("lost_response", times=1)
    first = stage.wish(lost)
    run_due_lane(stage.services)
    # Stripe took 5,000 for it already, and 5,000 stay promised to it: 10,000 - 5,000 - 5,000.
    second = stage.wish(beside)
    run_due_lane(stage.services)
    view = stage.view(second)
    assert (view["status"], view["spendable"], view["shortfall"]) == ("held", 0, 5000)

    stage.later(seconds=3)
    stage.work()
    assert [stage.view(each)["status"] for each in (first, second)] == ["succeeded"] * 2
    assert len(stage.refunds()) == 2


def test_a_500_that_is_only_repeated_holds_up_nobody_else(stage: Stage) -> None:
    _, stuck = covered(stage)
    stage.fault("http_500", times=1)
    stage.work()
    for _ in range(6):
        stage.later(minutes=5)
        stage.work()
    assert len(stage.calls()) > 4, "it was tried again and again"
    _, other = covered(stage)
    stage.work()
    assert (stage.view(stuck)["status"], stage.view(other)["status"]) == ("releasing", "succeeded")


def test_a_caller_that_woke_up_too_late_makes_no_call(stage: Stage) -> None:
    _, request = covered(stage)
    stage.fault("reset", times=1)
    run_due_lane(stage.services)
    stage.later(seconds=3)
    with stage.services.database.unit_of_work() as unit:
        late = claim_unsettled(unit, "late", stage.now())
    assert late is not None
    stage.later(seconds=ATTEMPT_LEASE.total_seconds() + 1)
    with stage.services.database.unit_of_work() as unit:
        assert claim_unsettled(unit, "present", stage.now()) is not None
    calls = len(stage.calls())
    with pytest.raises(LeaseLostError):
        carry_out(stage.services, *late)
    assert len(stage.calls()) == calls
    assert states(stage, request) == [AttemptState.PREPARED]
