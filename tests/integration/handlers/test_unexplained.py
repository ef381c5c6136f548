"""Somebody edits a refund's metadata in the Dashboard: it is ours, and nothing about it says so."""

from datetime import timedelta

import stripe

from handlers.reconcile import reconcile
from handlers.release import run_due_lane
from handlers.unsettled import recover_due_attempt
from refunds.attempt import AttemptState
from refunds.ids import RequestId
from store.attempts import attempts_of
from store.tables.attempts import ReleaseAttempt
from tests.support.stage import KEY, Stage


def lost(stage: Stage) -> RequestId:
    """A refund that was made, its answer lost."""
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    stage.fault("lost_response")
    run_due_lane(stage.services)
    return request


def edited(stage: Stage, name: str) -> None:
    """Somebody removes one of our names from the only refund."""
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    client.v1.refunds.update(stage.refunds()[0]["id"], params={"metadata": {name: ""}})


def attempt_of(stage: Stage, request: RequestId) -> ReleaseAttempt:
    with stage.services.database.reading() as unit:
        [attempt] = attempts_of(unit, request)
    return attempt


def posts(stage: Stage) -> int:
    return sum(call["path"] == "/v1/refunds" for call in stage.calls())


def test_an_answer_that_does_not_fit_is_not_asked_for_without_pause(stage: Stage) -> None:
    # The edited refund is taken in as another hand's before our own call is repeated.
    request = lost(stage)
    edited(stage, "sluice_attempt")
    reconcile(stage.services)
    stage.later(seconds=3)
    assert recover_due_attempt(stage.services)
    assert posts(stage) == 2
    attempt = attempt_of(stage, request)
    assert (attempt.state, attempt.last_trouble) == (AttemptState.PREPARED, "unexplained")
    assert attempt.next_try_at > stage.now()

    # Each further try waits longer, and none of them pays the buyer again.
    for _ in range(5):
        stage.later(minutes=10)
        stage.work()
    assert posts(stage) == 7
    assert len(stage.refunds()) == 1
    assert stage.view(request)["status"] == "releasing"


def test_a_listed_refund_that_does_not_fit_is_not_looked_for_without_pause(stage: Stage) -> None:
    request = lost(stage)
    edited(stage, "sluice_request")
    stage.later(hours=25)
    for tries in (2, 3, 4):
        before = stage.now()
        assert recover_due_attempt(stage.services)
        attempt = attempt_of(stage, request)
        assert (attempt.tries, attempt.last_trouble) == (tries, "unexplained")
        # 2 ** tries seconds, a quarter less for the spread of 0.5.
        assert attempt.next_try_at >= before + timedelta(seconds=0.75 * 2**tries)
        stage.later(seconds=2**tries)
    assert len(stage.refunds()) == 1
