"""`sluice accounts`: how they stand in our books, and the risk tier a person puts one into."""

from pathlib import Path

from handlers.operate import Action, act
from refunds.ids import RequestId
from tests.integration.cli.test_refund import short_payment
from tests.support.stage import Stage
from tests.support.terminal import Terminal


def held_on(stage: Stage, terminal: Terminal) -> tuple[str, str]:
    """A request of 50.00 on hold; return its account and its id."""
    view = terminal.sluice("refund", short_payment(stage), "--json").data
    return str(view["account"]), str(view["id"])


def test_an_account_shows_what_waits_and_what_it_had(stage: Stage, terminal: Terminal) -> None:
    account, _ = held_on(stage, terminal)
    data = terminal.sluice("accounts", account, "--json").data
    assert {key: data[key] for key in ("id", "object", "standing", "risk")} == {
        "id": account,
        "object": "account",
        "standing": "active",
        "risk": None,
    }
    assert data["open"] == [{"requests": 1, "amount": 5000, "currency": "usd"}]
    assert data["need"] == [{"amount": 5000, "currency": "usd"}]
    assert (data["reserved"], data["exposure"]) == ([], [])
    assert data["balance"]["available"] == {"usd": 1000}
    shown = terminal.sluice("accounts", account)
    assert "waiting or in review 50.00 USD in 1 request" in shown.words
    assert "available 10.00 USD, as read" in shown.words


def test_what_the_platform_stands_in_for_is_shown(stage: Stage, terminal: Terminal) -> None:
    # 50.00 released of which 10.00 could be taken back at once: 40.00 are owed.
    account, request = held_on(stage, terminal)
    act(stage.services, Action.RELEASE, RequestId(request), note="ok", actor="ada")
    stage.work()
    data = terminal.sluice("accounts", account, "--json").data
    assert data["exposure"] == [{"amount": 4000, "currency": "usd"}]
    assert (data["open"], data["need"]) == ([], [])


def test_a_list_turns_its_pages(stage: Stage, terminal: Terminal) -> None:
    accounts = sorted(held_on(stage, terminal)[0] for _ in range(3))
    first = terminal.sluice("accounts", "--limit", "2", "--json").data
    assert (first["object"], first["has_more"]) == ("list", True)
    assert [each["id"] for each in first["data"]] == accounts[:2]
    rest = terminal.sluice("accounts", "--starting-after", accounts[1], "--json").data
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (accounts[2:], False)
    people = terminal.sluice("accounts", "--limit", "2")
    assert all(each in people.out for each in accounts[:2])
    assert f"--starting-after {accounts[1]}" in people.err


def test_nothing_known_yet_is_said(terminal: Terminal) -> None:
    assert "No connected account is known yet" in terminal.sluice("accounts").err
    unknown = terminal.sluice("accounts", "acct_unknown", "--json")
    assert (unknown.code, unknown.data["error"]["code"]) == (1, "resource_missing")
    assert "sluice accounts" in unknown.err


def test_a_risk_tier_is_set_and_taken_away(
    stage: Stage, terminal: Terminal, tmp_path: Path
) -> None:
    account, request = held_on(stage, terminal)
    (tmp_path / "policy.toml").write_text('[risk.high]\nhold_for = "2d"\n')
    terminal.settings["SLUICE_POLICY_FILE"] = str(tmp_path / "policy.toml")
    done = terminal.sluice("accounts", "risk", account, "high", "--note", "chargebacks")
    assert (done.code, "risk tier high" in done.words) == (0, True)
    view = terminal.sluice("requests", request, "--json").data
    assert view["deadline"] == view["created"] + 2 * 86_400
    data = terminal.sluice("accounts", "risk", account, "none", "--json").data
    assert data["risk"] is None


def test_a_tier_the_policy_lacks_is_refused_with_those_it_has(terminal: Terminal) -> None:
    refused = terminal.sluice("accounts", "risk", "acct_1", "high")
    assert refused.code == 1
    assert "no risk tier high; it has none: add a section [risk.…]" in refused.words
    assert "sluice policy show" in refused.words
