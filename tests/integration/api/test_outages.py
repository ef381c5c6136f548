"""When something of ours is away or broken: an answer in our shape that gives nothing away."""

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text
from structlog.testing import capture_logs

from api.incoming import MAX_BODY_BYTES
from tests.support.caller import TOKENS, Caller, caller_on, error_of
from tests.support.stage import KEY, Stage, staged
from tests.support.web import WebServer, running_web


def test_without_its_tables_the_api_asks_to_come_back(caller: Caller) -> None:
    charge = caller.stage.paid(caller.stage.account(1000), 5000)
    caller.post("/refund_requests", {"charge": charge, "amount": 100}, key="before")
    database = caller.stage.services.database
    with database.unit_of_work() as unit:
        unit.connection().execute(text("ALTER TABLE refund_request RENAME TO elsewhere"))
    for answer in (
        caller.get("/refund_requests"),
        caller.get("/refund_requests/rr_0"),
        caller.post("/refund_requests", {"charge": charge}, key="k"),
        caller.post("/refund_requests/rr_0/cancel", {"note": "why"}),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        error = error_of(answer)
        assert (error["type"], error["code"]) == ("api_error", "database_unavailable")
        said = answer.get_data(as_text=True)
        assert not any(
            word in said for word in ("elsewhere", "refund_request ", ".db", "localhost")
        )
    with database.unit_of_work() as unit:
        unit.connection().execute(text("ALTER TABLE elsewhere RENAME TO refund_request"))
    body = {"charge": charge, "additional": True}
    assert caller.post("/refund_requests", body, key="k").status_code == 201


def test_a_key_of_another_platform_is_refused_before_anything_is_recorded(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with staged(sqlite_url) as stage:
        with stage.services.database.unit_of_work() as unit:
            unit.connection().execute(
                text("UPDATE installation SET platform_account = 'acct_other'")
            )
        caller = caller_on(stage)
        answer = caller.post("/refund_requests", {"charge": "ch_1"})
        assert (answer.status_code, error_of(answer)["code"]) == (503, "wrong_platform")
        assert "acct_other" not in answer.get_data(as_text=True)
        assert caller.get("/refund_requests").json == {
            "object": "list",
            "url": "/api/refund_requests",
            "has_more": False,
            "data": [],
        }


def test_a_stripe_that_is_known_to_be_away_is_not_asked_again(caller: Caller) -> None:
    charge = caller.stage.paid(caller.stage.account(1000), 5000)
    caller.stage.fault("http_500", path="*", method="*", times=None)
    statuses = [caller.post("/refund_requests", {"charge": charge}).status_code for _ in range(6)]
    assert statuses == [202] * 6
    with capture_logs() as entries:
        assert caller.post("/refund_requests", {"charge": charge}).status_code == 202
    assert [entry for entry in entries if entry["event"] == "stripe.call"] == []


def test_a_key_that_stripe_denies_is_no_outage(caller: Caller) -> None:
    caller.stage.fault("revoked_key", path="*", method="*", times=None)
    for _ in range(5):
        answer = caller.post("/refund_requests", {"charge": "ch_1"})
        assert (answer.status_code, error_of(answer)["type"]) == (503, "api_error")
    assert caller.get("/refund_requests").json == {
        "object": "list",
        "url": "/api/refund_requests",
        "has_more": False,
        "data": [],
    }


def test_a_defect_is_answered_in_our_shape_and_logged_with_its_id(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("hunter2")

    with staged(sqlite_url) as stage:
        caller = caller_on(stage)
        monkeypatch.setattr("store.requests.select", defect)
        with caplog.at_level(logging.ERROR):
            answer = caller.client.get(
                "/api/refund_requests", headers={"Authorization": f"Bearer {TOKENS['all']}"}
            )
    assert answer.status_code == 500
    assert error_of(answer)["type"] == "api_error"
    assert "hunter2" not in answer.get_data(as_text=True)
    assert answer.headers["Request-Id"].startswith("req_")
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture(scope="module")
def web(sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A real gunicorn with a token."""
    folder = tmp_path_factory.mktemp("web")
    url = sqlite_template.copy_to(folder)
    stage: Stage
    with staged(url) as stage:
        settings = {
            "SLUICE_API_TOKENS": f"shop:{TOKENS['all']}",
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": stage.sandbox.base_url,
        }
        with running_web(url, folder, workers=1, settings=settings) as web:
            yield web


HEADERS = {
    "Authorization": f"Bearer {TOKENS['all']}",
    "Content-Type": "application/json",
    "Idempotency-Key": "k",
}


def test_a_body_without_a_length_is_cut_off(web: WebServer) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(2 * MAX_BODY_BYTES // 65_536):
            yield b" " * 65_536

    try:
        answer = requests.post(
            f"{web.url}/api/refund_requests", data=endless(), headers=HEADERS, timeout=20
        )
    except requests.ConnectionError:
        # The door may close before the rest was sent; what counts is that it goes on working.
        pass
    else:
        assert answer.status_code == 413
    whole = b'{"charge": "ch_1"}' + b" " * 1_000
    fine = requests.post(
        f"{web.url}/api/refund_requests", data=iter([whole]), headers=HEADERS, timeout=20
    )
    assert fine.status_code == 404


def test_a_body_that_ends_early_is_refused(web: WebServer) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request = (
        f"POST /api/refund_requests HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 100\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        deadline, said = time.monotonic() + 20, b""
        while time.monotonic() < deadline and (part := connection.recv(65_536)):
            said += part
    assert said.startswith(b"HTTP/1.1 400")
    assert b"body_incomplete" in said


def test_the_web_shows_no_secret_in_its_log(web: WebServer) -> None:
    for token in (TOKENS["all"], TOKENS["wrong"]):
        headers = {"Authorization": f"Bearer {token}"}
        requests.get(f"{web.url}/api/refund_requests", headers=headers, timeout=20)
    log = Path(web.log).read_text()
    assert "api.answered" in log
    assert not any(secret in log for secret in (TOKENS["all"], TOKENS["wrong"], KEY))
