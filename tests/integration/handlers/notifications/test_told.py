"""What the outbox says after each story: every fact once, in order, in the words of the ledger.

Facts come from the whole project; it may not write a notification itself.
"""

from typing import Any

import stripe

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from handlers.recovery import collect
from handlers.recovery_outcome import settle_due_recovery
from handlers.signals import told
from handlers.sweep import sweep
from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST
from refunds.ids import RequestId
from refunds.notifications import Kind
from store.attempts import attempts_of
from store.outbox import told_of
from tests.support.stage import KEY, Stage


def payloads(stage: Stage, subject: str) -> list[dict[str, Any]]:
    with stage.services.database.reading() as unit:
        return [row.payload for row in told_of(unit, subject)]


def kinds(stage: Stage, request: RequestId) -> list[str]:
    return [each["type"].removeprefix("refund_request.") for each in payloads(stage, request)]


def held(stage: Stage) -> tuple[str, RequestId]:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    return account, stage.wish(charge, metadata={"order": "7"})


def test_held_and_released_with_what_the_api_says_and_why(stage: Stage) -> None:
    account, request = held(stage)
    before = stage.view(request)
    stage.work()
    stage.has(account, 5000)
    stage.later(minutes=5)
    swept(stage)
    assert kinds(stage, request) == ["held", "released", "succeeded"]
    first, released, succeeded = payloads(stage, request)
    assert first["data"] == before
    assert before["decision"] is not None
    assert first["why"] == before["decision"]["why"]
    assert (first["data"]["spendable"], first["data"]["shortfall"]) == (1000, 4000)
    assert "50.00 USD" in first["buyer_text"]
    # Stripe's answer brought both at once.
    assert released["data"]["status"] == succeeded["data"]["status"] == "succeeded"
    assert succeeded["data"] == stage.view(request)


def test_a_release_that_stripe_refuses_is_no_news_of_a_held_request(stage: Stage) -> None:
    account, request = held(stage)
    for _ in range(3):
        stage.has(account, 5000)
        # Somebody draws on the balance between our read and Stripe's own look at it.
        steps = [{"path": f"/_sandbox/accounts/{account}/payout", "body": {"amount": 4500}}]
        stage.fault("interlude", after_effect=False, steps=steps)
        stage.later(hours=2)
        swept(stage)
        decision = stage.view(request)["decision"]
        assert decision is not None
        assert decision["rule"] == "stripe_short"
    assert kinds(stage, request) == ["held"]


def test_a_covered_wish_is_told_when_it_is_out(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 5000)
    request = stage.wish(charge)
    stage.work()
    assert kinds(stage, request) == ["released", "succeeded"]


def test_a_wish_that_is_refused_is_told_also_when_stripe_was_away(stage: Stage) -> None:
    charge = stage.paid(None, 5000)
    stage.work()
    now = stage.wish(charge)
    stage.work()
    rejected = stage.wish(charge)
    assert kinds(stage, rejected) == ["rejected"]
    stage.fault("http_500", path="*", method="GET")
    undecided = stage.taken(stage.paid(None, 900), 901, key="too much").request
    assert kinds(stage, undecided) == []
    stage.later(seconds=5)
    stage.work()
    assert kinds(stage, undecided) == ["rejected"]
    [payload] = payloads(stage, undecided)
    assert payload["data"]["status"] == "rejected"
    assert payload["buyer_text"] is None
    assert kinds(stage, now) == ["released", "succeeded"]


def test_people_are_heard_too(stage: Stage) -> None:
    _, withdrawn = held(stage)
    act(stage.services, Action.CANCEL, withdrawn, note="a mistake", actor="ada")
    assert kinds(stage, withdrawn) == ["held", "canceled"]
    _, given_up = held(stage)
    act(stage.services, Action.CLOSE, given_up, note="paid in cash", actor="ada")
    assert kinds(stage, given_up) == ["held", "closed"]
    assert payloads(stage, given_up)[-1]["why"] == "Closed by ada: paid in cash"
    stage.fault("http_500", path="*", method="GET")
    unread = stage.taken(stage.paid(None, 900), None, key="unread").request
    act(stage.services, Action.CANCEL, unread, note="a mistake", actor="ada")
    assert kinds(stage, unread) == ["canceled"]


def test_a_deadline_is_told_once_with_the_review_it_leads_to(stage: Stage) -> None:
    _, request = held(stage)
    stage.later(days=7, seconds=1)
    swept(stage)
    assert sorted(kinds(stage, request)) == ["deadline_passed", "held", "review"]
    act(stage.services, Action.APPROVE, request, note="they promised", actor="ada")
    swept(stage)
    assert kinds(stage, request)[3:] == ["held"]


def test_what_the_platform_stands_in_for_is_told_with_its_amount(stage: Stage) -> None:
    _, request = held(stage)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    assert kinds(stage, request) == ["held", "released", "succeeded", "covered"]
    covered = payloads(stage, request)[-1]
    assert covered["exposure"] == {"amount": 4000, "currency": "usd"}
    assert "40.00 USD" in covered["why"]


def test_a_late_failure_is_told_and_that_somebody_has_to_look(stage: Stage) -> None:
    account, request = held(stage)
    stage.has(account, 5000)
    swept(stage)
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    assert kinds(stage, request) == ["held", "released", "succeeded", "failed", "review"]


def test_money_that_no_request_explains_is_told(stage: Stage) -> None:
    account = stage.account()
    charge = stage.paid(account, 10_000)
    stage.has(account, 10_000)
    request = stage.wish(charge, 4000)
    stage.work()
    with stage.services.database.reading() as unit:
        [attempt] = attempts_of(unit, request)
    names = {METADATA_REQUEST: request, METADATA_ATTEMPT: attempt.id}
    client = stripe.StripeClient(KEY, base_addresses={"api": stage.sandbox.base_url})
    forged = client.v1.refunds.create(
        params={"charge": charge, "amount": 4000, "metadata": dict(names)}
    )
    reconcile(stage.services)
    reconcile(stage.services)
    [payload] = payloads(stage, forged.id)
    assert payload["type"] == Kind.MONEY_UNEXPECTED
    assert payload["data"]["amount"] == 4000
    assert payload["data"]["refund_request"] == request
    assert "buyer_text" not in payload


def test_what_is_taken_back_is_told_step_by_step(stage: Stage) -> None:
    account, request = held(stage)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    for available in (1500, 9000):
        stage.has(account, available)
        collect(stage.services, lambda: None)
    steps = [each for each in payloads(stage, request) if each["type"] == Kind.RECOVERY_STEP]
    assert [each["exposure"]["amount"] for each in steps] == [1500, 2500]
    assert steps[0]["why"].startswith("15.00 USD of what the account owed was taken back")


def test_money_taken_back_for_nothing_is_told(stage: Stage) -> None:
    account, request = held(stage)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.work()
    stage.has(account, 9000)
    stage.fault("lost_response", path="/v1/transfers/*/reversals")
    collect(stage.services, lambda: None)
    # The refund fails while nobody knows what became of the reversal: nothing is owed any more.
    stage.sandbox.control("POST", f"refunds/{stage.refunds()[0]['id']}/fail", {})
    reconcile(stage.services)
    stage.later(minutes=1)
    assert settle_due_recovery(stage.services)
    state = stage.sandbox.control("GET", "state")["objects"]
    reversal = state["transfer_reversal"][-1]
    [payload] = payloads(stage, reversal["id"])
    assert payload["type"] == Kind.MONEY_UNEXPECTED
    assert payload["data"]["amount"] == 4000
    assert account in payload["why"]


class Ears:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        told.connect(self.hear)

    def hear(self, _sender: object, kinds: tuple[str, ...]) -> None:
        self.heard += kinds


def test_what_is_told_can_be_counted_after_the_commit(stage: Stage) -> None:
    ears = Ears()
    held(stage)
    assert ears.heard == [Kind.HELD]


def swept(stage: Stage) -> None:
    """A sweep, and everything that is due after it."""
    sweep(stage.services, lambda: None)
    stage.work()
