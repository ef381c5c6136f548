"""`sluice notify`: previews, tests of channels, the list, bringing back what was given up."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from handlers.notifications.dispatch import GIVE_UP_AFTER
from refunds.clock import utc_now
from refunds.notifications import LETTERS, Kind
from store.installation import actions_on
from store.receivers import disable
from store.tables.outbox import DispatchState
from tests.support.receivers import (
    SECRET,
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
)
from tests.support.telling import FINANCE, SUPPORT, dispatches, held, tell, webhook
from tests.support.terminal import Terminal


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def post() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


@pytest.mark.parametrize("kind", [str(kind) for kind in Kind])
def test_every_letter_and_payload_can_be_looked_at(sqlite_terminal: Terminal, kind: str) -> None:
    payload = sqlite_terminal.sluice("notify", "preview", kind, "--payload").data
    assert payload["type"] == kind
    for reader in LETTERS[Kind(kind)]:
        answer = sqlite_terminal.sluice("notify", "preview", kind, "--audience", str(reader))
        assert answer.code == 0
        assert answer.out.startswith(f"To: {reader}\nSubject: ")
        html = sqlite_terminal.sluice(
            "notify", "preview", kind, "--audience", str(reader), "--html"
        )
        assert html.out.startswith("<!doctype html>")
    if not LETTERS[Kind(kind)]:
        refused = sqlite_terminal.sluice("notify", "preview", kind)
        assert refused.code == 1
        assert "go to nobody" in refused.words


def test_a_preview_is_in_the_locale_of_the_letters(sqlite_terminal: Terminal) -> None:
    sqlite_terminal.settings["SLUICE_NOTIFY_EMAIL_LOCALE"] = "de_DE"
    answer = sqlite_terminal.sluice("notify", "preview", str(Kind.HELD))
    assert "1.234,50 USD" in answer.out


def test_a_test_goes_through_every_channel_and_says_what_happened(
    sqlite_terminal: Terminal, http: HttpReceiver, post: MailReceiver
) -> None:
    only_log = sqlite_terminal.sluice("notify", "test")
    assert (only_log.code, "Only the log" in only_log.err) == (0, True)
    sqlite_terminal.settings |= {
        "SLUICE_NOTIFY_WEBHOOKS": f"shop:{SECRET}:{http.url},gone:{SECRET}:http://127.0.0.1:1/x",
        "SLUICE_NOTIFY_EMAIL_SERVER": post.url,
        "SLUICE_NOTIFY_EMAIL_FROM": "refunds@shop.example",
        "SLUICE_NOTIFY_EMAIL_FINANCE": FINANCE,
        "SLUICE_NOTIFY_EMAIL_OPERATIONS": SUPPORT,
        "SLUICE_NOTIFY_EMAIL_ACCOUNTS": "on",
    }
    answer = sqlite_terminal.sluice("notify", "test", "--json")
    assert answer.code == 1
    found = {(each["receiver"], each["address"]): each["delivered"] for each in answer.data["data"]}
    assert found == {
        ("log", ""): True,
        ("webhook:shop", ""): True,
        ("webhook:gone", ""): False,
        ("email", f"finance:{FINANCE}"): True,
        ("email", f"operations:{SUPPORT}"): True,
    }
    assert http.types() == [Kind.TEST]
    assert len(post.letters) == 2
    table = sqlite_terminal.sluice("notify", "test")
    assert "No answer" in table.words
    assert SECRET not in table.words
    assert dispatches(sqlite_terminal.stage) == [], "nothing is stored"


def test_what_was_given_up_is_listed_brought_back_and_recorded(
    terminal: Terminal, http: HttpReceiver
) -> None:
    stage = terminal.stage
    http.answers = [500, 500]
    held(stage)
    channel = webhook(http)
    tell(stage, channel)
    waiting = terminal.sluice("notify", "list", "--json").data["data"]
    assert [(each["state"], each["attempts"], each["note"]) for each in waiting] == [
        ("pending", 1, "HTTP 500")
    ]
    assert waiting[0]["next_attempt"] is not None
    refused = terminal.sluice("notify", "requeue", str(waiting[0]["id"]), "--note", "why not")
    assert refused.code == 1
    assert "dead or dropped" in refused.words
    stage.offset += GIVE_UP_AFTER + timedelta(seconds=1)
    tell(stage, channel)
    listed = terminal.sluice("notify", "list", "--state", "dead")
    assert "webhook:shop" in listed.out
    status = terminal.sluice("status")
    assert "1 notifications were given up: sluice notify list --state dead" in status.words
    stage.offset = timedelta(0)
    [dead] = dispatches(stage, DispatchState.DEAD)
    answer = terminal.sluice("notify", "requeue", str(dead.dispatch), "--note", "mended", "--json")
    assert (answer.code, answer.data["state"], answer.data["attempts"]) == (0, "pending", 0)
    tell(stage, channel)
    assert len(http.taken) == 1
    with stage.services.database.reading() as unit:
        [action] = actions_on(unit, dead.notification)
    assert (action.action, action.note) == ("requeue", "mended")
    missing = terminal.sluice("notify", "requeue", "4711", "--note", "?")
    assert missing.code == 1
    assert "sluice notify list" in missing.words


def test_a_disabled_receiver_is_seen_and_enabled(terminal: Terminal) -> None:
    with terminal.stage.services.database.unit_of_work() as unit:
        disable(unit, "webhook:shop", utc_now(), "HTTP 410: the endpoint wants no more.")
    assert "webhook:shop is disabled since" in terminal.sluice("notify", "list").err
    assert "sluice notify enable webhook:shop" in terminal.sluice("status").words
    assert terminal.sluice("notify", "enable", "webhook:shop", "--note", "moved").code == 0
    assert terminal.sluice("notify", "list").err == "Nothing matches.\n"
    assert terminal.sluice("notify", "enable", "webhook:shop", "--note", "moved").code == 1


def test_a_list_turns_its_pages(terminal: Terminal, http: HttpReceiver) -> None:
    for _ in range(3):
        held(terminal.stage)
    tell(terminal.stage, webhook(http))
    first = terminal.sluice("notify", "list", "--limit", "2", "--json").data
    assert (len(first["data"]), first["has_more"]) == (2, True)
    last = first["data"][-1]["id"]
    rest = terminal.sluice("notify", "list", "--starting-after", str(last), "--json").data
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
