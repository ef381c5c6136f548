"""`sluice events`: the inbox as a person sees it, and dead letters brought back."""

from datetime import datetime, timedelta

import pytest

from refunds.ids import EventId
from runtime.commands.arguments import actor
from store.event_claims import claim_due_events, fail_event
from store.inbox import get_event, record_deliveries
from store.installation import actions_on
from store.tables.inbox import InboxState
from tests.support.inbox import NOON, build_delivery
from tests.support.stage import Stage
from tests.support.terminal import Terminal

BODY = b'{"id": "evt_1", "data": {"object": {"note": "\\u001b[2J"}}}'


def receive(stage: Stage, *events: str, at: datetime = NOON) -> None:
    """Events that came in one after the other, a second apart."""
    with stage.services.database.unit_of_work() as unit:
        record_deliveries(
            unit,
            [
                build_delivery(
                    event, account="acct_1", body=BODY, received_at=at + timedelta(seconds=number)
                )
                for number, event in enumerate(events)
            ],
        )


def kill(stage: Stage, error: str = "UnusableEventError: no account in it") -> None:
    """Let every due event fail for good."""
    with stage.services.database.unit_of_work() as unit:
        claims = claim_due_events(
            unit, worker="w", now=NOON + timedelta(hours=1), limit=50, lease=timedelta(seconds=10)
        )
        for claim in claims:
            now = NOON + timedelta(hours=1, seconds=1)
            fail_event(unit, claim, now=now, error=error, next_attempt_at=None)


def test_a_list_is_newest_first_and_turns_its_pages(terminal: Terminal) -> None:
    receive(terminal.stage, "evt_1", "evt_2", "evt_3")
    first = terminal.sluice("events", "list", "--limit", "2", "--json").data
    assert (first["object"], first["has_more"]) == ("list", True)
    assert [each["id"] for each in first["data"]] == ["evt_3", "evt_2"]
    rest = terminal.sluice("events", "list", "--starting-after", "evt_2", "--json").data
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (["evt_1"], False)
    answer = terminal.sluice("events", "list", "--limit", "2")
    assert (answer.code, "evt_3" in answer.out, "evt_1" in answer.out) == (0, True, False)
    assert "--starting-after evt_2" in answer.err


def test_dead_letters_are_found_read_and_brought_back(terminal: Terminal) -> None:
    receive(terminal.stage, "evt_1")
    kill(terminal.stage)
    listed = terminal.sluice("events", "list", "--state", "dead")
    assert "UnusableEventError: no account in it" in listed.words
    shown = terminal.sluice("events", "show", "evt_1")
    assert shown.code == 0
    assert "state dead" in shown.words
    assert "next step sluice events requeue evt_1" in shown.words

    answer = terminal.sluice("events", "requeue", "evt_1", "--note", "the account is back")
    assert answer.code == 0
    with terminal.stage.services.database.reading() as unit:
        event = get_event(unit, EventId("evt_1"))
        (action,) = actions_on(unit, "evt_1")
    assert (event.state, event.attempts) == (InboxState.PENDING, 0)
    assert (action.actor, action.action, action.note) == (
        actor(),
        "requeue",
        "the account is back",
    )


def test_an_event_that_is_not_dead_is_left_alone(terminal: Terminal) -> None:
    receive(terminal.stage, "evt_1")
    answer = terminal.sluice("events", "requeue", "evt_1", "--json")
    assert answer.code == 1
    assert answer.data["error"]["code"] == "wrong_state"
    assert "sluice events show evt_1" in answer.err
    with terminal.stage.services.database.reading() as unit:
        assert actions_on(unit, "evt_1") == []


def test_the_body_is_shown_only_when_asked_for_and_made_harmless(terminal: Terminal) -> None:
    receive(terminal.stage, "evt_1")
    for arguments in (("show", "evt_1"), ("show", "evt_1", "--json"), ("list",)):
        assert "note" not in terminal.sluice("events", *arguments).out
    body = terminal.sluice("events", "show", "evt_1", "--body")
    assert body.data["data"]["object"]["note"] == "\x1b[2J"
    assert "\x1b" not in body.out


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["show", "evt_0"], 1, "holds no event"),
        (["requeue", "evt_0"], 1, "holds no event"),
        (["list", "--starting-after", "evt_0"], 1, "holds no event"),
        (["show", "evt_\x00"], 2, "evt_…"),
        (["show", "rr_1"], 2, "evt_…"),
        (["list", "--state", "lost"], 2, "is not one of"),
        (["list", "--type", "x' OR 1=1"], 2, "event type"),
        (["requeue", "evt_1", "--note", "\x00"], 2, "not text"),
        (["requeue"], 2, "Missing argument"),
    ],
)
def test_a_wrong_word_is_explained(
    sqlite_terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    answer = sqlite_terminal.sluice("events", *arguments)
    assert answer.code == code
    assert words in answer.words
    assert answer.out == ""
