"""`sluice policy`: what holds, for whom and from where, and the line of a mistake."""

import tomllib
from pathlib import Path

import pytest

from refunds.clock import utc_now
from refunds.ids import AccountId
from refunds.policy import DEFAULT_BOOK
from refunds.policy_form import read_policy
from store.accounts import set_tier
from tests.support.terminal import Terminal

POLICY = """\
[default]
hold_for = "5d"

[risk.high]
review_above = { usd = 0 }
slower_settlement_days = 3

[accounts.acct_1]
hold_for = "14d"
"""


@pytest.fixture
def written(terminal: Terminal) -> Path:
    """A policy file that the settings name."""
    path = terminal.folder / "policy.toml"
    path.write_text(POLICY)
    terminal.settings["SLUICE_POLICY_FILE"] = str(path)
    return path


def test_what_is_shown_is_a_policy_file_that_says_the_same(
    terminal: Terminal, written: Path
) -> None:
    shown = terminal.sluice("policy", "show")
    assert shown.code == 0
    assert 'hold_for = "5d"\n' in shown.out
    assert 'order = "oldest_first"  # built-in\n' in shown.out
    again = read_policy(tomllib.loads(shown.out))
    before = read_policy(tomllib.loads(POLICY))
    for account, tier in ((None, None), (None, "high"), (AccountId("acct_1"), "high")):
        assert again.policy_for(account, tier) == before.policy_for(account, tier)
    assert terminal.sluice("policy", "show", "--json").data["risk"] == {
        "high": {"review_above": {"usd": 0}, "slower_settlement_days": 3}
    }


def test_the_built_in_policy_is_shown_without_a_file(terminal: Terminal) -> None:
    shown = terminal.sluice("policy", "show")
    assert read_policy(tomllib.loads(shown.out)).policy_for(None, None) == (
        DEFAULT_BOOK.policy_for(None, None)
    )
    checked = terminal.sluice("policy", "check")
    assert (checked.code, "not set: the built-in policy holds" in checked.words) == (0, True)


def test_what_holds_for_an_account_says_where_each_key_comes_from(
    terminal: Terminal, written: Path
) -> None:
    with terminal.stage.services.database.unit_of_work() as unit:
        set_tier(unit, AccountId("acct_1"), "high", utc_now())
    shown = terminal.sluice("policy", "show", "--account", "acct_1")
    assert shown.out.startswith("# what holds for acct_1, risk tier high\n")
    assert 'hold_for = "14d"  # accounts.acct_1\n' in shown.out
    assert "review_above = { usd = 0 }  # risk.high\n" in shown.out
    assert "starve_after = 10  # built-in\n" in shown.out
    data = terminal.sluice("policy", "show", "--account", "acct_1", "--json").data
    assert (data["object"], data["account"], data["risk"]) == ("account_policy", "acct_1", "high")
    assert (data["policy"]["hold_for"], data["sources"]["hold_for"]) == ("14d", "accounts.acct_1")
    other = terminal.sluice("policy", "show", "--account", "acct_2")
    assert 'hold_for = "5d"  # default\n' in other.out


def test_a_tier_that_the_policy_does_not_know_is_said(terminal: Terminal, written: Path) -> None:
    with terminal.stage.services.database.unit_of_work() as unit:
        set_tier(unit, AccountId("acct_2"), "gone", utc_now())
    shown = terminal.sluice("policy", "show", "--account", "acct_2")
    assert "no section [risk.gone]" in shown.err


def test_a_right_file_is_called_right_and_what_has_no_effect_is_said(
    terminal: Terminal, written: Path
) -> None:
    checked = terminal.sluice("policy", "check")
    assert checked.code == 0
    assert f"{written}:6: risk.high.slower_settlement_days has no effect yet" in checked.words
    data = terminal.sluice("policy", "check", "--json").data
    assert (data["object"], data["ok"], data["file"]) == ("policy_check", True, str(written))
    assert f"{written}:6: risk.high.slower_settlement_days" in data["remarks"][-1]


def test_a_mistake_is_named_with_its_line_and_nothing_starts(
    terminal: Terminal, written: Path
) -> None:
    written.write_text(POLICY.replace('"14d"', '"a fortnight"'))
    checked = terminal.sluice("policy", "check")
    assert checked.code == 1
    assert f'{written}:9: accounts.acct_1.hold_for is a duration such as "7d"' in checked.words
    data = terminal.sluice("policy", "check", "--json").data
    assert data["error"]["code"] == "policy_file"
    started = terminal.sluice("worker", "--once")
    assert (started.code, f"{written}:9:" in started.words) == (1, True)
