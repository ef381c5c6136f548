"""An uncovered release whose refund fails before the account's share is taken back: nobody owes."""

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from refunds.attempt import AttemptState, StepState
from refunds.ids import AttemptId, RequestId
from store.attempts import attempts_of, steps_of
from store.ledger import exposed_of
from tests.support.stage import Stage

# 50.00 refunded of which the account can spare 10.00: a reversal of 1,000 would follow the refund.


def released(stage: Stage, **payment: object) -> tuple[str, RequestId]:
    account = stage.account()
    charge = stage.paid(account, 5000, **payment)
    stage.has(account, 1000)
    request = stage.wish(charge)
    stage.work()
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    return account, request


def settled(stage: Stage, request: RequestId) -> tuple[AttemptState, StepState, int]:
    """The attempt, its reversal, and what the platform stands in for."""
    with stage.services.database.reading() as unit:
        [attempt] = attempts_of(unit, request)
        exposed = exposed_of(unit, AttemptId(attempt.id))
        reversal = steps_of(unit, attempt.id)[1]
    return attempt.state, reversal.state, 0 if exposed is None else exposed.amount_minor


def reversals_asked(stage: Stage) -> int:
    return sum(call["path"].endswith("/reversals") for call in stage.calls())


def test_a_refund_that_fails_at_once_takes_nothing_from_the_account(stage: Stage) -> None:
    _, request = released(stage, refund_fate="fail_now")
    stage.work()
    assert stage.view(request)["status"] == "review"
    assert reversals_asked(stage) == 0
    assert settled(stage, request) == (AttemptState.DONE, StepState.NEVER_EXECUTED, 0)


def test_a_reversal_nobody_answered_is_not_sent_again_once_the_refund_failed(
    stage: Stage,
) -> None:
    _, request = released(stage)
    stage.fault("reset", path="/v1/transfers/*/reversals")
    run_due_lane(stage.services)
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    assert stage.view(request)["status"] == "review"
    asked = reversals_asked(stage)
    for _ in range(4):
        stage.later(hours=5)
        stage.work()
    assert settled(stage, request) == (AttemptState.PREPARED, StepState.PLANNED, 0)
    stage.later(hours=5)
    stage.work()
    assert settled(stage, request) == (AttemptState.DONE, StepState.NEVER_EXECUTED, 0)
    assert reversals_asked(stage) == asked


def test_a_reversal_that_was_made_unheard_is_found_and_leaves_no_exposure(stage: Stage) -> None:
    _, request = released(stage)
    stage.fault("lost_response", path="/v1/transfers/*/reversals")
    run_due_lane(stage.services)
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    stage.later(seconds=5)
    stage.work()
    stage.later(hours=25)
    stage.work()
    assert settled(stage, request) == (AttemptState.DONE, StepState.DONE, 0)
