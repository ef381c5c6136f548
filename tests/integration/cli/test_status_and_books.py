"""`status`, `audit`, `reconcile`, `migrate`: is everything well, and a code for whoever watches."""

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text

from refunds.clock import utc_now
from refunds.retry import Circuit
from store.chores import mark_chore
from store.database import parse_url
from store.lanes import STRIPE_SCOPE, save_circuit
from store.observations import lock_refund
from store.workers import beat
from tests.integration.cli.test_events import kill, receive
from tests.integration.cli.test_refund import short_payment
from tests.integration.handlers.test_stripe_pending import queued
from tests.support.stage import Stage
from tests.support.terminal import Terminal


def worker_lives(stage: Stage) -> None:
    with stage.services.database.unit_of_work() as unit:
        beat(unit, "worker-1", utc_now())


def test_a_healthy_installation_says_so(terminal: Terminal) -> None:
    terminal.sluice("refund", short_payment(terminal.stage))
    worker_lives(terminal.stage)
    with terminal.stage.services.database.unit_of_work() as unit:
        mark_chore(unit, "sweep", 1, utc_now())
    answer = terminal.sluice("status")
    assert answer.code == 0
    for words in ("mode live", "(test mode)", "workers alive 1", "on hold 50.00 USD", "sweep"):
        assert words in answer.words
    assert "Nothing is wrong." in answer.words

    data = terminal.sluice("status", "--json").data
    assert data["held"] == [{"amount": 5000, "currency": "usd"}]
    assert data["requests"]["held"] == 1
    assert (data["workers"], data["inbox"]["pending"], data["problems"]) == (1, 0, [])
    assert data["platform"]["livemode"] is False


def test_what_stripe_itself_holds_is_shown_until_it_is_about_to_fail(terminal: Terminal) -> None:
    stage = terminal.stage
    request = queued(stage)
    worker_lives(stage)
    refund = stage.view(request)["refunds"][0]
    answer = terminal.sluice("status")
    assert answer.code == 0
    assert "held by Stripe 1 (50.00 USD), the first fails in 44 d" in answer.words
    assert refund in answer.out
    data = terminal.sluice("status", "--json").data["held_by_stripe"]
    assert (data["refunds"], data["sums"]) == (1, [{"amount": 5000, "currency": "usd"}])
    (first,) = data["first"]
    assert (first["refund_request"], first["days_left"], first["disputes"]) == (request, 44, [])
    assert first["fails_at"] - first["since"] == 45 * 86_400

    # Made 40 days ago, as far as this command's clock is concerned.
    with stage.services.database.unit_of_work() as unit:
        row = lock_refund(unit, refund)
        assert row is not None
        row.created -= timedelta(days=40)
        unit.add(row)
    answer = terminal.sluice("status")
    assert answer.code == 1
    assert f"{refund} (50.00 USD) waits at Stripe for money and fails in 4 d" in answer.words


def test_every_fault_is_named_with_what_to_do(terminal: Terminal) -> None:
    receive(terminal.stage, "evt_1", "evt_2")
    kill(terminal.stage)
    now = utc_now()
    receive(terminal.stage, "evt_3", at=now - timedelta(minutes=5))
    with terminal.stage.services.database.unit_of_work() as unit:
        open_until = now + timedelta(minutes=5)
        save_circuit(unit, STRIPE_SCOPE, Circuit(failures=5, open_until=open_until), "denied", now)
    answer = terminal.sluice("status", "--json")
    assert answer.code == 1
    problems = "\n".join(answer.data["problems"])
    assert "sluice worker" in problems
    assert "2 dead letters" in problems
    assert "oldest event has waited 5 min" in problems
    assert "denied" in problems
    people = terminal.sluice("status")
    assert people.code == 1
    assert "sluice events list --state dead" in people.words


def test_an_audit_of_books_in_order_ends_with_0(terminal: Terminal) -> None:
    terminal.sluice("refund", short_payment(terminal.stage))
    answer = terminal.sluice("audit")
    assert (answer.code, answer.words) == (0, "In order: 1 requests, 0 refunds, 1 charges.")
    data = terminal.sluice("audit", "--json").data
    assert (data["ok"], data["requests"], data["violations"]) == (True, 1, [])


def test_an_audit_names_what_is_not_in_order(terminal: Terminal) -> None:
    request = terminal.sluice("refund", short_payment(terminal.stage), "--json").data["id"]
    engine = create_engine(parse_url(str(terminal.settings["DATABASE_URL"])))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE request_bucket SET amount_minor = 4999 WHERE bucket = 'held'")
        )
    engine.dispose()
    answer = terminal.sluice("audit")
    assert answer.code == 1
    assert request in answer.out
    assert "sluice reconcile" in answer.err
    data = terminal.sluice("audit", "--json")
    assert (data.code, data.data["ok"]) == (1, False)
    assert any(request in violation for violation in data.data["violations"])


def test_reconcile_takes_in_what_another_hand_did(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage)
    request = terminal.sluice("refund", charge, "--json").data["id"]
    terminal.stage.has("platform", 100_000)
    terminal.stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 700})
    answer = terminal.sluice("reconcile", "--json")
    assert answer.code == 0
    assert (answer.data["complete"], answer.data["refunds"]) == (True, 1)
    assert answer.data["corrected"] == 1
    shown = terminal.sluice("requests", request, "--json").data
    assert (shown["status"], shown["decision"]["rule"]) == ("review", "foreign_refund")
    again = terminal.sluice("reconcile")
    assert again.words == (
        "1 payments compared with Stripe, 1 refunds seen there, 0 corrections appended."
    )


def test_reconcile_that_could_not_ask_ends_with_1(terminal: Terminal) -> None:
    terminal.sluice("refund", short_payment(terminal.stage))
    rule = {"kind": "http_500", "path": "/v1/refunds", "method": "GET", "times": None}
    terminal.stage.sandbox.control("POST", "faults", rule)
    answer = terminal.sluice("reconcile")
    assert answer.code == 1
    assert "Not complete" in answer.err


@pytest.mark.parametrize("command", ["status", "audit", "requests"])
def test_looking_needs_no_key(terminal: Terminal, command: str) -> None:
    terminal.settings["STRIPE_API_KEY"] = None
    assert terminal.sluice(command).code == (1 if command == "status" else 0)


def test_migrating_is_done_once(sqlite_terminal: Terminal, empty_database_url: str) -> None:
    sqlite_terminal.settings["DATABASE_URL"] = empty_database_url
    before = sqlite_terminal.sluice("requests")
    assert before.code == 1
    assert "sluice migrate" in before.words
    assert sqlite_terminal.sluice("migrate", "--json").data["changed"] is True
    assert sqlite_terminal.sluice("migrate", "--json").data["changed"] is False
    assert "Nothing to do" in sqlite_terminal.sluice("migrate").out
    assert sqlite_terminal.sluice("requests").code == 0
