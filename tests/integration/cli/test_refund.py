"""`sluice refund`: asked, held, previewed, repeated, waited for; and every way to ask wrongly."""

import threading
from pathlib import Path
from typing import Final

import pytest

from handlers.view import RequestView
from refunds.ids import RequestId
from runtime.commands import refund as command
from sandbox.server import SandboxServer
from store.requests import list_requests
from tests.support.databases import SqliteTemplate
from tests.support.stage import Stage
from tests.support.terminal import KEY, PASSWORD, Terminal


def short_payment(stage: Stage, amount: int = 5000, left: int = 1000) -> str:
    """A payment whose account has spent most of it."""
    account = stage.account()
    charge = stage.paid(account, amount)
    stage.has(account, left)
    return charge


def recorded(stage: Stage) -> list[str]:
    with stage.services.database.reading() as unit:
        return [row.id for row in list_requests(unit)]


def test_a_person_reads_what_was_decided_and_why(terminal: Terminal) -> None:
    answer = terminal.sluice("refund", short_payment(terminal.stage))
    assert answer.code == 0
    for words in (
        "status held",
        "need 50.00 USD",
        "spendable 10.00 USD",
        "shortfall 40.00 USD",
        "why The account has 10.00 USD spendable, the refund needs 50.00 USD: 40.00 USD short.",
        "next step Wait: it is released by itself",
    ):
        assert words in answer.words


def test_a_program_reads_the_object_that_the_api_shows(terminal: Terminal) -> None:
    answer = terminal.sluice("refund", short_payment(terminal.stage), "--json")
    assert answer.code == 0
    assert set(answer.data) == set(RequestView.__annotations__)
    assert answer.data == terminal.stage.view(RequestId(answer.data["id"]))
    assert answer.data["status"] == "held"


def test_the_printed_key_makes_a_repetition_harmless(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage)
    first = terminal.sluice("refund", charge, "--json")
    key = first.err.split("Idempotency key: ")[1].split()[0]
    again = terminal.sluice("refund", charge, "--key", key, "--json")
    assert again.code == 0
    assert again.data["id"] == first.data["id"]
    assert "nothing new is recorded" in again.words
    assert recorded(terminal.stage) == [first.data["id"]]

    other = terminal.sluice("refund", charge, "--key", key, "--amount", "100", "--json")
    assert other.code == 1
    assert other.data["error"]["type"] == "idempotency_error"
    assert "take a new key" in other.err


def test_a_dry_run_shows_the_same_object_and_records_nothing(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage)
    dry = terminal.sluice("refund", charge, "--dry-run", "--json")
    assert (dry.code, dry.data["id"], dry.data["status"]) == (0, None, "held")
    assert recorded(terminal.stage) == []
    real = terminal.sluice("refund", charge, "--json").data
    moments = ("id", "created", "deadline", "decision")
    assert {k: v for k, v in dry.data.items() if k not in moments} == {
        k: v for k, v in real.items() if k not in moments
    }
    assert dry.data["decision"]["why"] == real["decision"]["why"]
    # The charge has an open request now: asking would be refused, and the preview says so.
    again = terminal.sluice("refund", charge, "--dry-run", "--json")
    assert again.code == 1
    assert again.data["error"]["code"] == "refund_request_open"


def test_what_cannot_be_met_is_recorded_as_rejected_and_exits_with_1(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage, left=5000)
    assert terminal.sluice("refund", charge).code == 0
    terminal.stage.work()
    answer = terminal.sluice("refund", charge, "--json")
    assert (answer.code, answer.data["status"]) == (1, "rejected")


def test_a_dry_run_of_what_cannot_be_met_says_so_and_records_nothing(terminal: Terminal) -> None:
    stage = terminal.stage
    charge = stage.paid(None, 5000)
    stage.sandbox.control("POST", "refunds", {"charge": charge, "amount": 5000})
    answer = terminal.sluice("refund", charge, "--dry-run", "--json")
    assert (answer.code, answer.data["status"], answer.data["id"]) == (1, "rejected", None)
    assert answer.data["decision"]["rule"] == "already_refunded"
    assert answer.data["next_steps"] == ["Nothing to do: the buyer has the money."]
    over = terminal.sluice("refund", stage.paid(None, 5000), "--amount", "5001", "--dry-run")
    assert over.code == 1
    assert "more than" in over.words
    assert recorded(stage) == []


def test_waiting_ends_when_the_refund_has_succeeded(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WAIT_SECONDS", 30.0)
    charge = short_payment(terminal.stage, left=5000)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            terminal.stage.work()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        answer = terminal.sluice("refund", charge, "--wait", "--json")
    finally:
        stop.set()
        worker.join()
    assert (answer.code, answer.data["status"]) == (0, "succeeded")
    assert "is requested" in answer.err, "it says how far it is"


def test_waiting_has_an_end_and_says_that_nothing_is_lost(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WAIT_SECONDS", 0.3)
    answer = terminal.sluice("refund", short_payment(terminal.stage), "--wait", "--json")
    assert (answer.code, answer.data["status"]) == (1, "held")
    assert f"sluice requests {answer.data['id']}" in answer.words


# What was typed after `sluice refund`, the exit code, and what the message must say.
MALFORMED: Final = [
    (["nonsense"], 2, "pi_…, ch_… or py_…"),
    (["pi_\x00"], 2, "pi_…, ch_… or py_…"),
    (["re_1Nx"], 2, "pi_…, ch_… or py_…"),
    (["pi_1", "--amount", "0"], 2, "minor units"),
    (["pi_1", "--amount", "-1"], 2, "minor units"),
    (["pi_1", "--amount", "1.5"], 2, "minor units"),
    (["pi_1", "--amount", "1e3"], 2, "minor units"),
    (["pi_1", "--amount", "5000 USD"], 2, "minor units"),
    (["pi_1", "--amount", "١٢"], 2, "minor units"),
    (["pi_1", "--amount", "1000000000000"], 2, "minor units"),
    (["pi_1", "--amount", "9" * 5000], 2, "minor units"),
    (["pi_1", "--currency", "eur"], 2, "No such option"),
    (["pi_1", "--account", "acct_\x00"], 2, "acct_…"),
    (["pi_1", "--account", "ch_1"], 2, "acct_…"),
    (["pi_1", "--key", ""], 2, "idempotency key"),
    (["pi_1", "--key", "k" * 256], 2, "idempotency key"),
    (["pi_1", "--key", "a\x00b"], 2, "idempotency key"),
    (["pi_1", "--dry-run", "--wait"], 2, "leave out"),
    (["pi_1", "--dry-run", "--key", "k"], 2, "leave out"),
    ([], 2, "Missing argument"),
    (["pi_1", "pi_2"], 2, "unexpected extra argument"),
    (["pi_1Unknown"], 1, "knows no payment"),
]


@pytest.mark.parametrize("arguments, code, words", MALFORMED)
def test_a_malformed_wish_is_refused_in_words(
    sqlite_terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    answer = sqlite_terminal.sluice("refund", *arguments)
    assert answer.code == code
    assert words.lower() in answer.words.lower()
    assert answer.out == ""
    assert recorded(sqlite_terminal.stage) == []


def test_more_than_the_charge_ever_was_is_refused(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage)
    answer = terminal.sluice("refund", charge, "--amount", "5001", "--json")
    assert answer.code == 1
    assert answer.data["error"]["param"] == "amount"
    assert "50.01 USD is more than" in answer.words
    assert recorded(terminal.stage) == []


def test_a_split_payment_asks_for_its_transfers(terminal: Terminal) -> None:
    account, other = terminal.stage.account(), terminal.stage.account()
    charge, (one, two) = terminal.stage.paid_split(5000, [(account, 3000), (other, 1000)])
    answer = terminal.sluice("refund", charge, "--json")
    assert answer.code == 1
    assert answer.data["error"]["code"] == "transfers_ambiguous"
    assert one in answer.words
    assert two in answer.words
    assert recorded(terminal.stage) == []
    named = terminal.sluice(
        "refund", charge, "--transfer", f"{two}:800", "--transfer", one, "--json"
    )
    assert named.code == 0
    assert (named.data["charge_type"], named.data["account"]) == ("separate", other)
    assert named.data["need"]["amount"] == 3000


# A setting, its value (None: not set), and what the person is told to do.
BROKEN_SETTINGS: Final = [
    ("STRIPE_API_KEY", None, "STRIPE_API_KEY is not set"),
    ("STRIPE_API_KEY", "pk_test_1234567890", "not a secret or restricted key"),
    ("DATABASE_URL", "nonsense", "not a database URL"),
    ("DATABASE_URL", f"mysql://u:{PASSWORD}@127.0.0.1/x", "names mysql"),
    ("DATABASE_URL", f"postgresql://u:{PASSWORD}@127.0.0.1:9/x", "Check DATABASE_URL"),
    ("DATABASE_URL", "sqlite:////nowhere/at/all.db", "Check DATABASE_URL"),
    ("DATABASE_URL", "sqlite:///new.db", "sluice migrate"),
]


@pytest.mark.parametrize("name, value, words", BROKEN_SETTINGS)
def test_what_is_missing_or_away_is_said_with_the_next_step(
    sqlite_terminal: Terminal, name: str, value: str | None, words: str
) -> None:
    sqlite_terminal.settings[name] = value
    answer = sqlite_terminal.sluice("refund", "pi_1", "--json")
    assert answer.code == 1
    assert words in answer.words
    assert answer.data["error"]["message"]
    assert recorded(sqlite_terminal.stage) == []


def test_a_revoked_key_is_told_from_a_stripe_that_is_away(sqlite_terminal: Terminal) -> None:
    rule = {"kind": "revoked_key", "path": "*", "times": None}
    sqlite_terminal.stage.sandbox.control("POST", "faults", rule)
    answer = sqlite_terminal.sluice("refund", "pi_1")
    assert answer.code == 1
    assert "Check STRIPE_API_KEY" in answer.words
    sqlite_terminal.stage.sandbox.control("DELETE", "faults")
    rule = {"kind": "http_500", "path": "*", "times": None}
    sqlite_terminal.stage.sandbox.control("POST", "faults", rule)
    answer = sqlite_terminal.sluice("refund", "pi_1")
    assert (answer.code, len(recorded(sqlite_terminal.stage))) == (0, 1)
    dry = sqlite_terminal.sluice("refund", "pi_1", "--dry-run", "--json")
    assert dry.code == 1
    assert "Stripe could not be asked" in dry.data["error"]["message"]
    assert "status.stripe.com" in dry.words


def test_a_wish_that_comes_while_stripe_is_away_is_kept(terminal: Terminal) -> None:
    charge = short_payment(terminal.stage)
    here = terminal.settings["STRIPE_API_BASE"]
    terminal.settings["STRIPE_API_BASE"] = "http://127.0.0.1:9"
    answer = terminal.sluice("refund", charge, "--key", "k")
    assert answer.code == 0
    assert "status requested" in answer.words
    assert "Stripe could not be asked yet" in answer.words
    terminal.settings["STRIPE_API_BASE"] = here
    terminal.stage.later(minutes=10)
    terminal.stage.work()
    again = terminal.sluice("refund", charge, "--key", "k", "--json")
    assert (again.code, again.data["status"]) == (0, "held")


def test_a_database_nobody_has_used_yet_takes_no_wish_while_stripe_is_away(
    sqlite_terminal: Terminal, sqlite_template: SqliteTemplate, tmp_path: Path
) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    sqlite_terminal.settings |= {
        "DATABASE_URL": sqlite_template.copy_to(folder),
        "STRIPE_API_BASE": "http://127.0.0.1:9",
    }
    answer = sqlite_terminal.sluice("refund", "pi_1")
    assert answer.code == 1
    assert "Stripe could not be asked" in answer.words
    assert sqlite_terminal.sluice("requests", "--json").data["data"] == []


def test_a_key_of_another_platform_is_refused(sqlite_terminal: Terminal) -> None:
    charge = short_payment(sqlite_terminal.stage)
    with SandboxServer(port=0, seed=7) as elsewhere:
        sqlite_terminal.settings["STRIPE_API_BASE"] = elsewhere.base_url
        answer = sqlite_terminal.sluice("refund", charge)
    assert answer.code == 1
    assert "this database belongs to" in answer.words.lower()
    assert recorded(sqlite_terminal.stage) == []


def test_a_live_key_on_a_test_database_is_refused(sqlite_terminal: Terminal) -> None:
    sqlite_terminal.settings["STRIPE_API_KEY"] = KEY.replace("test", "live")
    answer = sqlite_terminal.sluice("refund", "pi_1")
    assert answer.code == 1
    assert recorded(sqlite_terminal.stage) == []
