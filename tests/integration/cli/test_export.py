"""`sluice export`: a month as a file, whole or not at all, and the same as over HTTP."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from handlers.operate import Action, act
from tests.support.caller import caller_on
from tests.support.statement import facts_of, read_statement, totals_of
from tests.support.terminal import Terminal


def of_today(terminal: Terminal) -> tuple[str, str, str, str]:
    """Options for yesterday and today, so that midnight does no harm."""
    today = terminal.stage.now().date()
    return "--from", str(today - timedelta(days=1)), "--to", str(today)


def spent(terminal: Terminal) -> None:
    """A refund of 50.00 sent, one of 7.00 withdrawn."""
    stage = terminal.stage
    stage.wish(stage.paid(None, 5000))
    gone = stage.wish(stage.paid(stage.account(), 700))
    stage.work()
    act(stage.services, Action.CANCEL, gone, note="kept", actor="ada")


def test_a_period_goes_to_stdout_and_is_that_of_the_api(terminal: Terminal) -> None:
    spent(terminal)
    days = of_today(terminal)
    answer = terminal.sluice("export", *days)
    assert (answer.code, answer.err) == (0, "")
    rows = read_statement(answer.out)
    assert rows[0]["record"] == "period"
    assert "both days included, in UTC" in rows[0]["why"]
    assert [row["amount"] for row in facts_of(rows, "refund")] == ["50.00"]
    assert totals_of(rows) == {
        ("request", "usd"): 5700,
        ("request_ended", "usd"): 700,
        ("refund", "usd"): 5000,
        ("refund_succeeded", "usd"): 5000,
    }
    asked = caller_on(terminal.stage).get(f"/export.csv?from={days[1]}&to={days[3]}")
    assert asked.status_code == 200
    # Click's runner writes line ends in its own way.
    text = asked.get_data(as_text=True)
    assert text.replace("\r\n", "\n") == answer.out
    assert text.count("\r\n") == len(rows) + 1
    assert asked.content_length == len(text.encode())
    assert asked.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    name = f"sluice-{days[1]}-to-{days[3]}.csv"
    assert asked.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_a_file_is_replaced_by_the_whole_new_one(sqlite_terminal: Terminal, tmp_path: Path) -> None:
    spent(sqlite_terminal)
    file = tmp_path / "november.csv"
    file.write_text("an older one")
    answer = sqlite_terminal.sluice("export", *of_today(sqlite_terminal), "--output", str(file))
    assert (answer.code, answer.out) == (0, "")
    assert "november.csv" in answer.err
    # The bytes are those of stdout, line ends included.
    again = sqlite_terminal.process("export", *of_today(sqlite_terminal))
    assert again.code == 0
    assert file.read_text() == again.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_cant_be_written_is_said_and_nothing_is_left(
    sqlite_terminal: Terminal, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere" / "november.csv"
    answer = sqlite_terminal.sluice("export", *of_today(sqlite_terminal), "--output", str(missing))
    assert answer.code == 1
    assert "can't be written: No such file or directory" in answer.words
    assert "Next:" in answer.err
    taken = tmp_path / "a-folder"
    taken.mkdir()
    before = set(tmp_path.iterdir())
    assert (
        sqlite_terminal.sluice("export", *of_today(sqlite_terminal), "--output", str(taken)).code
        == 2
    )
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "first, last, says",
    [
        ("2026-11-30", "2026-11-01", "ends on 2026-11-01, before it begins on 2026-11-30"),
        ("2026-02-29", "2026-11-01", "2026-02-29"),
        ("yesterday", "2026-11-01", "yesterday"),
        ("2026-11-01", "9999-12-31", "out of range"),
    ],
)
def test_days_that_make_no_period_are_wrong_usage(
    sqlite_terminal: Terminal, first: str, last: str, says: str
) -> None:
    answer = sqlite_terminal.sluice("export", "--from", first, "--to", last)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.words


def test_help_says_that_both_days_are_included(sqlite_terminal: Terminal) -> None:
    assert "--from and --to are both included" in sqlite_terminal.sluice("export", "--help").words
