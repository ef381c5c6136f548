"""What callers see: one request as the terminal shows it, and lists that turn their pages."""

from pathlib import Path

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from refunds.ids import RequestId
from tests.support.caller import Caller, error_of
from tests.support.stage import Stage
from tests.support.terminal import KEY, Terminal


def held(stage: Stage, count: int = 1) -> list[str]:
    """Requests on hold, oldest first, each of an account of its own."""
    return [str(stage.wish(stage.paid(stage.account(1000), 5000))) for _ in range(count)]


def listed(caller: Caller, query: str = "") -> tuple[list[str], bool]:
    answer = caller.get(f"/refund_requests{query}")
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    assert (answer.json["object"], answer.json["url"]) == ("list", "/api/refund_requests")
    return [each["id"] for each in answer.json["data"]], answer.json["has_more"]


def test_a_request_is_shown_as_everywhere_else(caller: Caller) -> None:
    [request] = held(caller.stage)
    answer = caller.get(f"/refund_requests/{request}")
    assert answer.status_code == 200
    assert answer.json == caller.stage.view(RequestId(request))
    assert answer.json["shortfall"] == 4000
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_terminal_prints_the_same_objects(
    caller: Caller, database_url: str, tmp_path: Path
) -> None:
    requests = held(caller.stage, 3)
    terminal = Terminal(
        stage=caller.stage,
        folder=tmp_path,
        settings={
            "DATABASE_URL": database_url,
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": caller.stage.sandbox.base_url,
        },
    )
    account = caller.stage.view(RequestId(requests[0]))["account"]
    for path, words in (
        (f"/refund_requests?limit=2&starting_after={requests[2]}", ("--limit", "2")),
        (f"/refund_requests?account={account}&status=held", ("--account", str(account))),
    ):
        more = ("--starting-after", requests[2]) if "after" in path else ("--status", "held")
        assert caller.get(path).json == terminal.sluice("requests", *words, *more, "--json").data
    said = terminal.sluice("accounts", str(account), "--json").data
    assert caller.get(f"/accounts/{account}").json == said
    missing = caller.get("/refund_requests/rr_0").json
    assert missing == terminal.sluice("requests", "rr_0", "--json").data


def test_an_account_is_shown_as_the_books_have_it(caller: Caller) -> None:
    [request] = held(caller.stage)
    account = caller.stage.view(RequestId(request))["account"]
    answer = caller.get(f"/accounts/{account}")
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["id"], answer.json["object"]) == (account, "account")
    assert answer.json["need"] == [{"amount": 5000, "currency": "usd"}]
    for unknown in ("acct_0", "acct_%00", "platform", "x" * 5_000):
        refused = caller.get(f"/accounts/{unknown}")
        assert (refused.status_code, error_of(refused)["code"]) == (404, "resource_missing")


def test_a_list_turns_its_pages_in_both_directions(caller: Caller) -> None:
    oldest_first = held(caller.stage, 5)
    newest_first = oldest_first[::-1]
    assert listed(caller) == (newest_first, False)
    assert listed(caller, "?limit=2") == (newest_first[:2], True)
    assert listed(caller, f"?limit=2&starting_after={newest_first[1]}") == (newest_first[2:4], True)
    assert listed(caller, f"?limit=2&starting_after={newest_first[3]}") == (newest_first[4:], False)
    assert listed(caller, f"?limit=2&ending_before={newest_first[4]}") == (newest_first[2:4], True)
    assert listed(caller, f"?limit=2&ending_before={newest_first[2]}") == (newest_first[:2], False)
    assert listed(caller, f"?starting_after={newest_first[4]}") == ([], False)


def test_a_list_is_narrowed_by_status_and_account(caller: Caller) -> None:
    first, second = held(caller.stage, 2)
    view = caller.stage.view(RequestId(first))
    assert listed(caller, "?status=held") == ([second, first], False)
    assert listed(caller, "?status=review") == ([], False)
    assert listed(caller, f"?account={view['account']}&status=held") == ([first], False)


@pytest.mark.parametrize(
    "query, code, param",
    [
        ("?limit=0", "parameter_invalid", "limit"),
        ("?limit=101", "parameter_invalid", "limit"),
        ("?limit=ten", "parameter_invalid", "limit"),
        ("?limit=1.0", "parameter_invalid", "limit"),
        ("?limit=" + "9" * 40, "parameter_invalid", "limit"),
        ("?limit=", "parameter_invalid", "limit"),
        ("?limit=1&limit=2", "parameter_invalid", "limit"),
        ("?status=pending", "parameter_invalid", "status"),
        ("?status=", "parameter_invalid", "status"),
        ("?account=acct_%25", "parameter_invalid", "account"),
        ("?account=acct_%00", "parameter_invalid", "account"),
        ("?starting_after=rr_%00", "parameter_invalid", "starting_after"),
        ("?starting_after=rr_0", "resource_missing", "starting_after"),
        ("?ending_before=rr_0", "resource_missing", "ending_before"),
        ("?starting_after=rr_0&ending_before=rr_0", "parameter_invalid", "ending_before"),
        ("?sort=amount", "parameter_unknown", "sort"),
        ("?%F0%9F%98%80=%ED%A0%80", "parameter_unknown", "😀"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    sqlite_caller: Caller, query: str, code: str, param: str
) -> None:
    answer = sqlite_caller.get(f"/refund_requests{query}")
    assert answer.status_code == 400
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (code, param)


@pytest.mark.parametrize(
    "path", ["rr_0", "rr_%00", "RR_1", "preview", "pi_1", "%F0%9F%98%80", "x" * 5_000]
)
def test_what_is_not_there_is_not_found(caller: Caller, path: str) -> None:
    answer = caller.get(f"/refund_requests/{path}")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "resource_missing"


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "", 404),
        ("GET", "/", 404),
        ("GET", "/refunds", 404),
        ("GET", "/refund_requests/", 404),
        ("GET", "//refund_requests", 404),
        ("GET", "/refund_requests/rr_0/", 404),
        ("DELETE", "/refund_requests", 405),
        ("OPTIONS", "/refund_requests", 405),
        ("PUT", "/refund_requests/rr_0", 405),
    ],
)
def test_a_way_that_leads_nowhere_is_answered_as_json(
    sqlite_caller: Caller, method: str, path: str, status: int
) -> None:
    answer = sqlite_caller.ask(method, path)
    assert answer.status_code == status
    assert error_of(answer)["type"] == "invalid_request_error"
    assert sqlite_caller.ask(method, path, token=None).status_code == 401


def test_every_line_of_a_request_carries_its_id_and_who_asked(sqlite_caller: Caller) -> None:
    with capture_logs(processors=[merge_contextvars]) as entries:
        answer = sqlite_caller.get("/refund_requests", headers={"Request-Id": "req_mine"})
        sqlite_caller.client.get("/healthz")
        structlog.get_logger("elsewhere").info("after")
    request_id = answer.headers["Request-Id"]
    assert request_id != "req_mine", "none is taken from outside"
    [line, after] = entries
    assert (line["event"], line["status"], line["actor"]) == ("api.answered", 200, "api:all")
    assert line["request_id"] == request_id
    assert "request_id" not in after, "the thread serves somebody else next"
    assert sqlite_caller.get("/refund_requests").headers["Request-Id"] != request_id
