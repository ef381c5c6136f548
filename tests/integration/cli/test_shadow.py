"""`SLUICE_MODE=shadow` at the terminal: what is said to a person, and what would have happened."""

from tests.integration.cli.test_refund import short_payment
from tests.integration.handlers.test_shadow import money_comes
from tests.support.terminal import Terminal


def in_shadow(terminal: Terminal) -> Terminal:
    terminal.settings["SLUICE_MODE"] = "shadow"
    return terminal


def test_before_anything_was_asked_for_it_says_what_to_do(terminal: Terminal) -> None:
    answer = terminal.sluice("status", "--shadow")
    assert answer.code == 0
    assert "No request was made in shadow mode yet. Set SLUICE_MODE=shadow" in answer.words
    data = terminal.sluice("status", "--shadow", "--json").data
    assert (data["object"], data["requests"], data["since"]) == ("shadow_report", 0, None)


def test_the_report_counts_what_would_have_happened(terminal: Terminal) -> None:
    stage = in_shadow(terminal).stage
    covered = stage.paid(None, 2000)
    short = short_payment(stage)  # needs 50.00 of 10.00
    stands_in = short_payment(stage, 3000)
    asked = {
        payment: terminal.sluice("refund", payment, "--json").data["id"]
        for payment in (covered, short, stands_in)
    }
    note = ("--note", "a good customer")
    assert terminal.sluice("requests", "release", asked[stands_in], *note).code == 0
    assert terminal.sluice("worker", "--once").code == 0
    account = terminal.sluice("requests", asked[short], "--json").data["account"]
    money_comes(stage, account, 5000)
    assert terminal.sluice("worker", "--once").code == 0
    assert stage.calls() == []

    data = terminal.sluice("status", "--shadow", "--json").data
    usd = {"currency": "usd"}
    assert data["requests"] == 3
    assert data["released"] == [{**usd, "requests": 1, "amount": 2000}]
    assert data["released_later"] == [{**usd, "requests": 2, "amount": 8000}]
    assert data["held"] == [{**usd, "requests": 2, "amount": 8000}]
    # Of 30.00 the account had 10.00.
    assert data["covered"] == [{**usd, "requests": 1, "amount": 2000}]
    assert data["held_for"]["requests"] == 2
    assert data["still_held"] == data["review"] == data["rejected"] == []

    answer = terminal.sluice("status", "--shadow")
    for words in ("held 2 (80.00 USD)", "covered 1 (20.00 USD)", "released after being held"):
        assert words in answer.words
    assert "Nothing of this was sent to Stripe." in answer.words


def test_live_figures_leave_shadow_requests_out(terminal: Terminal) -> None:
    in_shadow(terminal).sluice("refund", short_payment(terminal.stage))
    assert terminal.sluice("status", "--json").data["held"] == [{"amount": 5000, "currency": "usd"}]
    assert "mode shadow: nothing is sent" in terminal.sluice("status").words
    terminal.settings["SLUICE_MODE"] = "live"
    data = terminal.sluice("status", "--json").data
    assert (data["mode"], data["held"], data["requests"]["held"]) == ("live", [], 0)


def test_a_person_is_told_that_nothing_will_be_sent(terminal: Terminal) -> None:
    stage = in_shadow(terminal).stage
    request = terminal.sluice("refund", stage.paid(None, 2000), "--json").data
    assert request["mode"] == "shadow"
    assert request["next_steps"] == [
        "Nothing to do: shadow mode records that it would be sent, and sends nothing."
    ]
    terminal.sluice("worker", "--once")
    answer = terminal.sluice("requests", request["id"])
    assert "shadow: decided, never sent" in answer.words
    assert "Shadow mode: it would have been released." in answer.words


def test_a_dry_run_in_shadow_mode_is_of_shadow_mode(terminal: Terminal) -> None:
    stage = in_shadow(terminal).stage
    data = terminal.sluice("refund", stage.paid(None, 2000), "--dry-run", "--json").data
    assert (data["id"], data["mode"], data["status"]) == (None, "shadow", "requested")
    assert data["next_steps"] == [
        "Nothing to do: shadow mode records that it would be sent, and sends nothing."
    ]


def test_a_mode_that_is_none_is_refused(sqlite_terminal: Terminal) -> None:
    sqlite_terminal.settings["SLUICE_MODE"] = "dry"
    answer = sqlite_terminal.sluice("status")
    assert answer.code == 1
    assert "SLUICE_MODE: is neither live nor shadow" in answer.words
