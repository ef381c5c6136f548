"""`sluice requests ID` reads as a story: the wish, each decision and why, what Stripe said."""

import re
from datetime import timedelta

from handlers.operate import Action, act
from handlers.reconcile import reconcile
from refunds.decision import Outcome, Rule, decide, without_figures
from store.requests import lock_request, record_evaluation
from tests.integration.handlers.test_stripe_pending import queued
from tests.support.stage import Stage
from tests.support.terminal import Terminal


def eventful(stage: Stage) -> str:
    """Held, released by a person, its answer lost, found, and failed at Stripe days later."""
    account = stage.account()
    charge = stage.paid(account, 5000)
    stage.has(account, 1000)
    request = stage.wish(charge)
    stage.work()
    stage.later(hours=2)
    act(stage.services, Action.RELEASE, request, note="a good customer", actor="ada")
    stage.fault("reset")
    stage.work()
    stage.later(minutes=1)
    stage.work()
    stage.later(days=3)
    stage.sandbox.control("POST", f"refunds/{stage.view(request)['refunds'][0]}/fail", {})
    reconcile(stage.services)
    return request


def told(terminal: Terminal, request: str, *more: str) -> str:
    """What is told, in one line without the table's frame."""
    out = terminal.sluice("requests", request, *more).out
    return " ".join(re.sub(r"[│┃━┏┓┗┛┡┩╇┳┻└┘┴─]", " ", out).split())


def test_what_happened_is_told_in_order(terminal: Terminal) -> None:
    request = eventful(terminal.stage)
    text = told(terminal, request)
    refund = terminal.stage.view(request)["refunds"][0]  # type: ignore[arg-type]  # an id as printed
    scenes = [
        "What happened",
        "shop A refund of 50.00 USD was asked for, with the key key-1.",
        "It is held, by cover after intake: The account has 10.00 USD spendable",
        "[need 50.00 USD, spendable 10.00 USD, short 40.00 USD]",
        "ada release: a good customer",
        "It may go, by person after person: A person released it; the platform stands in for 40.00",
        "is prepared: 50.00 USD, uncovered, as a refund with the key sluice-ra_",
        "Asked for the refund: unknown: connection (no answer)",
        f"): {refund}",
        f"{refund} over 50.00 USD has succeeded. (releasing → submitted → succeeded, after",
        "Asked for the reversal: done (HTTP 200, request req_",
        "is settled: done.",
        "has failed (lost_or_stolen_card). (succeeded → failed → review, after reconcile)",
        "It needs a person, by refund_failed after reconcile",
        "Refunds at Stripe",
        "Ledger",
        "Waivers",
    ]
    place = 0
    for scene in scenes:
        found = text.find(scene, place)
        assert found >= 0, f"{scene!r} is not told after {text[max(0, place - 80) : place]!r}"
        place = found


def test_programs_get_every_row(terminal: Terminal) -> None:
    request = eventful(terminal.stage)
    data = terminal.sluice("requests", request, "--json").data
    assert (data["id"], data["status"]) == (request, "review")
    history = data["history"]
    assert (history["asked_by"], history["idempotency_key"]) == ("shop", "key-1")
    assert [(row["rule"], row["outcome"]) for row in history["decisions"]] == [
        ("cover", "hold"),
        ("person", "release"),
        ("refund_failed", "review"),
    ]
    (attempt,) = history["attempts"]
    assert [step["kind"] for step in attempt["steps"]] == ["refund", "reversal"]
    assert attempt["steps"][0]["params"]["amount"] == 5000
    assert [call["outcome"] for call in attempt["calls"]] == ["unknown:connection", "done", "done"]
    assert [row["to_bucket"] for row in history["ledger"]] == [
        "requested",
        "held",
        "releasing",
        "submitted",
        "succeeded",
        "failed",
        "review",
    ]
    assert [(row["actor"], row["note"]) for row in history["actions"]] == [
        ("ada", "a good customer")
    ]
    assert [row["rule"] for row in history["waivers"]] == ["person"]


def test_what_stripe_holds_is_told_with_its_end(terminal: Terminal) -> None:
    request = queued(terminal.stage)
    text = told(terminal, request)
    assert "held by Stripe re_" in text
    assert "for want of money; it fails 45 days later, in 44 d" in text
    (held,) = terminal.sluice("requests", request, "--json").data["history"]["held_by_stripe"]
    assert held["days_left"] == 44


def test_a_long_history_is_shortened_and_can_be_seen_whole(terminal: Terminal) -> None:
    stage = terminal.stage
    request = stage.wish(stage.paid(stage.account(), 5000))
    for number in range(60):
        verdict = without_figures(decide(Outcome.HOLD, Rule.COVER, f"Look number {number}."))
        with stage.services.database.unit_of_work() as unit:
            at = stage.now() + timedelta(minutes=number)
            row = lock_request(unit, request)
            record_evaluation(unit, row, verdict, at=at, cause="sweep", inputs={})
    short = told(terminal, request)
    assert "A refund of 50.00 USD was asked for" in short
    assert "Look number 0." in short
    assert "Look number 30." in short
    assert "Look number 59." in short
    assert "Look number 20." not in short
    assert f"… 22 more All of it: sluice requests {request} --all" in short
    whole = told(terminal, request, "--all")
    assert all(f"Look number {number}." in whole for number in range(60))
    assert "more All of it" not in whole
    history = terminal.sluice("requests", request, "--json").data["history"]
    assert len(history["decisions"]) == 61
