"""`sluice requests`: listed, shown with the whole story, and acted on by a person with a reason."""

import getpass
import os
import pwd
from typing import Any

import pytest

from handlers.operate import Action
from runtime.commands.arguments import actor
from store.installation import actions_on
from store.requests import list_requests
from tests.integration.cli.test_refund import recorded, short_payment
from tests.support.terminal import Terminal


def ask(terminal: Terminal, amount: int = 5000) -> str:
    answer = terminal.sluice("refund", short_payment(terminal.stage, amount), "--json")
    return str(answer.data["id"])


def shown(terminal: Terminal, request: str) -> dict[str, Any]:
    data: dict[str, Any] = terminal.sluice("requests", request, "--json").data
    return data


def test_a_list_is_newest_first_and_turns_its_pages(terminal: Terminal) -> None:
    ids = [ask(terminal, amount) for amount in (3000, 4000, 5000)]
    first = terminal.sluice("requests", "--limit", "2", "--json").data
    assert (first["object"], first["url"], first["has_more"]) == (
        "list",
        "/api/refund_requests",
        True,
    )
    assert [each["id"] for each in first["data"]] == [ids[2], ids[1]]
    last = terminal.sluice("requests", "--starting-after", ids[1], "--json").data
    assert ([each["id"] for each in last["data"]], last["has_more"]) == ([ids[0]], False)

    answer = terminal.sluice("requests", "--limit", "2")
    assert answer.code == 0
    assert all(request in answer.out for request in (ids[2], ids[1]))
    assert f"--starting-after {ids[1]}" in answer.err


def test_a_list_is_narrowed_by_status_and_account(terminal: Terminal) -> None:
    held, canceled = ask(terminal), ask(terminal)
    terminal.sluice("requests", "cancel", canceled, "--note", "a mistake")
    assert [
        r["id"] for r in terminal.sluice("requests", "--status", "held", "--json").data["data"]
    ] == [held]
    account = shown(terminal, canceled)["account"]
    listed = terminal.sluice("requests", "--account", account, "--json").data["data"]
    assert [each["id"] for each in listed] == [canceled]
    nothing = terminal.sluice("requests", "--status", "review")
    assert (nothing.code, nothing.out) == (0, "")
    assert "No refund request matches" in nothing.err
    assert terminal.sluice("requests", "--status", "pending").code == 2


def test_one_request_is_shown_with_its_whole_story(terminal: Terminal) -> None:
    request = ask(terminal)
    terminal.sluice("requests", "release", request, "--note", "a good customer")
    terminal.stage.work()
    view = shown(terminal, request)
    assert view["status"] == "succeeded"
    answer = terminal.sluice("requests", request)
    assert answer.code == 0
    for title in (
        "What happened",
        "Refunds at Stripe",
        "Ledger",
        "Waivers",
    ):
        assert title in answer.out
    for words in (
        "40.00 USD short",
        "the platform stands in for 40.00 USD of 50.00 USD",
        view["refunds"][0],
        "opened → requested",
        "submitted → succeeded",
        "a good customer",
        actor(),
        "HTTP 200",
        "sluice-ra_",
    ):
        assert words in answer.words


def test_actions_do_what_they_say_and_keep_who_and_why(terminal: Terminal) -> None:
    request = ask(terminal)
    answer = terminal.sluice(
        "requests", "close", request, "--note", "paid by bank transfer", "--json"
    )
    assert (answer.code, answer.data["status"]) == (0, "closed")
    with terminal.stage.services.database.reading() as unit:
        (action,) = actions_on(unit, request)
    assert (action.actor, action.action, action.note) == (actor(), "close", "paid by bank transfer")

    other = ask(terminal)
    said = terminal.sluice("requests", "cancel", other, "--note", "a mistake")
    assert said.code == 0
    assert "Canceled: it will not be sent." in said.err
    assert "canceled" in said.out


def test_the_actor_is_the_systems_user_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert getpass.getuser() == "somebody-else"
    assert actor() == f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


def test_people_can_act_while_stripe_is_away(terminal: Terminal) -> None:
    request = ask(terminal)
    terminal.settings["STRIPE_API_BASE"] = "http://127.0.0.1:9"
    answer = terminal.sluice("requests", "cancel", request, "--note", "can't wait")
    assert answer.code == 0
    assert shown(terminal, request)["status"] == "canceled"


@pytest.mark.parametrize("action", [str(action) for action in Action])
def test_an_action_the_state_does_not_allow_changes_nothing(
    sqlite_terminal: Terminal, action: str
) -> None:
    request = ask(sqlite_terminal)
    sqlite_terminal.sluice("requests", "cancel", request, "--note", "a mistake")
    before = shown(sqlite_terminal, request)
    answer = sqlite_terminal.sluice("requests", action, request, "--note", "again", "--json")
    assert answer.code == 1
    assert "it is canceled" in answer.words
    assert f"sluice requests {request}" in answer.err
    assert answer.data["error"]["code"] == "wrong_state"
    assert shown(sqlite_terminal, request) == before


@pytest.mark.parametrize(
    "note, words",
    [
        (None, "Missing option '--note'"),
        ("", "say why"),
        (" \t", "say why"),
        ("a\x00b", "not text"),
        ("a\udcff", "not text"),
        ("x" * 1001, "1 to 1000 characters"),
    ],
)
def test_an_action_without_a_proper_reason_is_refused(
    sqlite_terminal: Terminal, note: str | None, words: str
) -> None:
    request = ask(sqlite_terminal)
    arguments = [] if note is None else ["--note", note]
    answer = sqlite_terminal.sluice("requests", "cancel", request, *arguments)
    assert answer.code in (1, 2)
    assert words in answer.words
    assert shown(sqlite_terminal, request)["status"] == "held"
    with sqlite_terminal.stage.services.database.reading() as unit:
        assert actions_on(unit, request) == []


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["rr_0"], 1, "no refund request has the id rr_0"),
        (["--starting-after", "rr_0"], 1, "no refund request has the id rr_0"),
        (["approve", "rr_0", "--note", "x"], 1, "no refund request has the id rr_0"),
        (["rr_\x00"], 2, "rr_…"),
        (["approve", "pi_1", "--note", "x"], 2, "rr_…"),
        (["aprove", "rr_0"], 2, "Did you mean 'approve'"),
        (["--limit", "0"], 2, "1<=x<=100"),
        (["--limit", "101"], 2, "1<=x<=100"),
        (["--account", "acct_%"], 2, "acct_…"),
    ],
)
def test_a_wrong_word_is_explained(
    sqlite_terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    answer = sqlite_terminal.sluice("requests", *arguments)
    assert answer.code == code
    assert words.lower() in answer.words.lower()
    assert answer.out == ""


def test_a_note_cannot_steer_the_terminal(terminal: Terminal) -> None:
    request = ask(terminal)
    evil = "ok \x1b[2J\x1b]0;owned\x07 [bold]not markup[/bold] \u202egnp"
    assert terminal.sluice("requests", "cancel", request, "--note", evil).code == 0
    answer = terminal.sluice("requests", request)
    assert "\x1b" not in answer.out
    assert "\x07" not in answer.out
    assert "\u202e" not in answer.out
    assert "[bold]not markup[/bold]" in answer.words


def test_nothing_is_recorded_by_looking(terminal: Terminal) -> None:
    request = ask(terminal)
    for arguments in ((), (request,), ("--json",), ("--help",), ("cancel", "--help")):
        assert terminal.sluice("requests", *arguments).code == 0
    assert recorded(terminal.stage) == [request]
    with terminal.stage.services.database.reading() as unit:
        assert [row.status for row in list_requests(unit)] == ["held"]
