"""`sluice recovery`: what accounts owe, why it waits, and a person who stops it."""

from handlers.recovery import collect
from tests.integration.handlers.test_recovery import owing
from tests.support.stage import Stage
from tests.support.terminal import Terminal


def test_what_an_account_owes_is_listed_with_what_came_back(
    stage: Stage, terminal: Terminal
) -> None:
    assert "No account owes anything" in terminal.sluice("recovery", "list").err
    account = owing(stage)
    stage.has(account, 1500)
    collect(stage.services, lambda: None)
    # 50.00 refunded: 10.00 taken at once, 15.00 since, 25.00 to come.
    [debt] = terminal.sluice("recovery", "list", "--json").data["data"]
    assert (debt["account"], debt["waits_for"], debt["paused"]) == (account, "balance", None)
    assert debt["exposed"] == [{"amount": 2500, "currency": "usd"}]
    assert debt["recovered"] == [{"amount": 1500, "currency": "usd"}]
    assert 0 < debt["next_try"] - stage.now().timestamp() <= 300
    words = terminal.sluice("recovery", "list").words
    assert "25.00 USD" in words
    assert "as the balance allows" in words


def test_a_pause_holds_for_one_account_until_it_is_resumed(
    stage: Stage, terminal: Terminal
) -> None:
    account, other = owing(stage), owing(stage)
    paused = terminal.sluice("recovery", "pause", account, "--note", "an invoice", "--json").data
    assert (paused["waits_for"], paused["next_try"]) == ("paused", None)
    assert paused["paused"]["note"] == "an invoice"
    assert paused["paused"]["by"].startswith("cli:")
    stage.has(account, 9000)
    stage.has(other, 9000)
    assert collect(stage.services, lambda: None) == "1 reversal"
    [debt] = terminal.sluice("recovery", "list", "--json").data["data"]
    assert debt["account"] == account
    terminal.sluice("recovery", "resume", account, "--note", "not paid")
    assert collect(stage.services, lambda: None) == "1 reversal"
    assert terminal.sluice("recovery", "list", "--json").data["data"] == []


def test_a_pause_of_all_outlives_the_resuming_of_one(stage: Stage, terminal: Terminal) -> None:
    account = owing(stage)
    stage.has(account, 9000)
    assert "paused for all" in terminal.sluice("recovery", "pause", "--note", "audit").words
    still = terminal.sluice("recovery", "resume", account, "--note", "this one", "--json").data
    assert (still["waits_for"], still["paused"]["scope"]) == ("paused", "all")
    assert collect(stage.services, lambda: None) == "0 reversals"
    listed = terminal.sluice("recovery", "list")
    assert "All recovery is paused" in listed.words
    assert terminal.sluice("recovery", "list", "--json").data["paused"]["note"] == "audit"
    done = terminal.sluice("recovery", "resume", "--note", "done", "--json").data
    assert done == {"object": "recovery_switch", "paused": None}
    assert collect(stage.services, lambda: None) == "1 reversal"


def test_an_unknown_account_and_a_missing_reason_are_refused(terminal: Terminal) -> None:
    unknown = terminal.sluice("recovery", "pause", "acct_unknown", "--note", "why not", "--json")
    assert (unknown.code, unknown.data["error"]["code"]) == (1, "resource_missing")
    assert terminal.sluice("recovery", "pause").code == 2
