"""A refund that Stripe accepted and can't pay: seen, counted down, told of, and its end."""

from datetime import timedelta

from structlog.testing import capture_logs

from handlers.chores import mark_round, run_due_chore
from handlers.reconcile import reconcile
from handlers.stripe_pending import watch_stripe_pending
from refunds.facts import DisputeFacts
from refunds.ids import DisputeId, RequestId
from refunds.stripe_pending import StripePending
from store.chores import list_chores
from store.observations import save_dispute
from store.stripe_pending import stripe_pending, stripe_pending_sums
from tests.support.stage import Stage

PLATFORM_SPENDS_ITS_MONEY = {
    "after_effect": False,
    "steps": [{"path": "/_sandbox/accounts/platform/balance", "body": {"available": 0}}],
}


def queued(stage: Stage, amount: int = 5000) -> RequestId:
    """A refund that was covered when it was prepared, and not any more when Stripe made it."""
    stage.has("platform", 100_000)
    request = stage.wish(stage.paid(None, amount))
    stage.fault("interlude", **PLATFORM_SPENDS_ITS_MONEY)
    stage.work()
    assert stage.view(request)["status"] == "submitted"
    return request


def held(stage: Stage) -> list[StripePending]:
    with stage.services.database.reading() as unit:
        return stripe_pending(unit, limit=100)


def alerts(stage: Stage) -> list[tuple[str, int]]:
    """What a round of the chore tells: which refund, and how many days it has left."""
    with capture_logs() as lines:
        watch_stripe_pending(stage.services, lambda: None)
    return [
        (line["refund"], line["days_left"])
        for line in lines
        if line["event"] == "refund.stripe_pending" and line["log_level"] == "error"
    ]


def test_it_is_seen_with_since_when_and_how_long_it_has(stage: Stage) -> None:
    request = queued(stage)
    (pending,) = held(stage)
    assert (pending.request, pending.refund) == (request, stage.view(request)["refunds"][0])
    assert (pending.amount.amount_minor, pending.disputes) == (5000, ())
    assert pending.days_left(stage.now() + timedelta(minutes=1)) == 44
    with stage.services.database.reading() as unit:
        ((count, total),) = stripe_pending_sums(unit)
    assert (count, total.amount_minor) == (1, 5000)


def test_somebody_is_told_once_for_each_threshold(stage: Stage) -> None:
    refund = stage.view(queued(stage))["refunds"][0]
    assert alerts(stage) == []
    stage.later(days=32)
    assert alerts(stage) == [(refund, 12)]
    assert alerts(stage) == [], "stored, so that another worker doesn't tell it again"
    stage.later(days=6)
    assert alerts(stage) == [(refund, 6)]
    stage.later(days=6, hours=12)
    assert alerts(stage) == [(refund, 0)]
    stage.later(hours=1)
    assert alerts(stage) == []


def test_it_is_work_by_the_clock(stage: Stage) -> None:
    queued(stage)
    assert mark_round(stage.services, "stripe_pending")
    assert run_due_chore(stage.services)
    with stage.services.database.reading() as unit:
        notes = {chore.name: chore.note for chore in list_chores(unit)}
    assert notes["stripe_pending"] == "1 refund is held by Stripe, 0 new alerts"


def test_money_that_comes_in_time_ends_it(stage: Stage) -> None:
    request = queued(stage)
    stage.has("platform", 100_000)
    stage.sandbox.control("POST", "accounts/platform/earn", {"amount": 1})
    reconcile(stage.services)
    assert stage.view(request)["status"] == "succeeded"
    assert held(stage) == []
    stage.later(days=44)
    assert alerts(stage) == []


def test_after_45_days_stripe_fails_it_and_the_buyer_is_still_owed(stage: Stage) -> None:
    request = queued(stage)
    stage.later(days=45, seconds=1)
    reconcile(stage.services)
    view = stage.view(request)
    assert view["decision"] is not None
    assert (view["status"], view["decision"]["rule"]) == ("review", "refund_failed")
    assert held(stage) == []


def test_a_dispute_that_is_not_over_is_a_danger(stage: Stage) -> None:
    queued(stage)
    charge = held(stage)[0].charge
    for name, status in (("dp_open", "warning_needs_response"), ("dp_won", "won")):
        dispute = DisputeFacts(
            dispute=DisputeId(name), charge=charge, status=status, charge_refundable=True
        )
        with stage.services.database.unit_of_work() as unit:
            save_dispute(unit, dispute, stage.now())
    assert held(stage)[0].disputes == ("dp_open",)


def test_pages_lose_none_and_repeat_none(stage: Stage) -> None:
    requests = [queued(stage, amount) for amount in (1000, 2000, 3000)]
    seen: list[RequestId] = []
    after: StripePending | None = None
    for _ in requests:
        with stage.services.database.reading() as unit:
            (after,) = stripe_pending(unit, after=after, limit=1)
        seen.append(after.request)
    assert sorted(seen) == sorted(requests)
    with stage.services.database.reading() as unit:
        assert stripe_pending(unit, after=after, limit=1) == []
        (only,) = stripe_pending(unit, request=requests[1], limit=5)
    assert only.request == requests[1]


def test_another_hands_refund_that_stripe_holds_is_not_ours_to_count(stage: Stage) -> None:
    charge = stage.paid(None, 5000)
    stage.wish(charge, 1000)
    stage.has("platform", 0)
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 1000})
    reconcile(stage.services)
    assert held(stage) == []
