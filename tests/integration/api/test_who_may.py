"""Every route, everybody and nobody: who is let in, who is told what is missing, who is slowed."""

import os
import re
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from api.meter import Meter
from api.tokens import Scope
from runtime.settings import Settings
from runtime.web import create_app
from store.database import Database
from tests.support.caller import TOKENS, Caller, api_settings, caller_on, error_of
from tests.support.stage import KEY, Stage, staged
from tests.support.stripe_events import SECRET
from tests.support.web import running_web

WISH: Final = {"payment_intent": "pi_0"}
# What each route needs, and a call of it that only lacks a right to succeed.
MATRIX: Final[dict[tuple[str, str], tuple[Scope | None, str, Any]]] = {
    ("POST", "/api/refund_requests"): (Scope.REQUEST, "/refund_requests", WISH),
    ("POST", "/api/refund_requests/preview"): (Scope.REQUEST, "/refund_requests/preview", WISH),
    ("POST", "/api/refund_requests/batch"): (
        Scope.REQUEST,
        "/refund_requests/batch",
        {"refund_requests": [{**WISH, "idempotency_key": "matrix"}]},
    ),
    ("GET", "/api/refund_requests"): (Scope.READ, "/refund_requests", None),
    ("GET", "/api/refund_requests/<id>"): (Scope.READ, "/refund_requests/rr_0", None),
    ("GET", "/api/accounts/<account>"): (Scope.READ, "/accounts/acct_0", None),
    ("GET", "/api/export.csv"): (Scope.READ, "/export.csv?from=2026-11-01&to=2026-11-30", None),
    ("GET", "/api/openapi.json"): (None, "/openapi.json", None),
    ("GET", "/api/docs"): (None, "/docs", None),
    **{
        ("POST", f"/api/refund_requests/<id>/{action}"): (
            scope,
            f"/refund_requests/rr_0/{action}",
            {"note": "why"},
        )
        for action, scope in (
            ("cancel", Scope.REQUEST),
            ("approve", Scope.APPROVE),
            ("release", Scope.COVER),
            ("close", Scope.APPROVE),
        )
    },
}


@pytest.fixture
def caller(sqlite_url: str) -> Any:
    """A caller on SQLite: who may do what does not depend on the database."""
    with staged(sqlite_url) as stage:
        yield caller_on(stage)


def test_the_table_has_every_route(caller: Caller) -> None:
    rules = {
        (method, rule.rule)
        for rule in caller.client.application.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert rules == MATRIX.keys()


@pytest.mark.parametrize("holder", [None, *TOKENS])
@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_who_may_use_a_route(caller: Caller, route: tuple[str, str], holder: str | None) -> None:
    needed, path, body = MATRIX[route]
    answer = caller.ask(route[0], path, body, token=holder)
    if needed is None:
        assert answer.status_code == 200
    elif holder in (None, "wrong"):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="sluice"')
        assert error_of(answer)["code"] == "token_invalid"
    elif holder in ("all", needed):
        assert answer.status_code not in (401, 403)
    else:
        assert answer.status_code == 403
        error = error_of(answer)
        assert error["code"] == "scope_missing"
        assert f"the scope {needed}" in error["message"]
        assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_without_any_token_configured_nobody_is_let_in(
    sqlite_url: str, route: tuple[str, str]
) -> None:
    _, path, body = MATRIX[route]
    database = Database(sqlite_url)
    settings = api_settings().model_copy(update={"sluice_api_tokens": ()})
    client = create_app(settings, database=database).test_client()
    for headers in ({}, {"Authorization": f"Bearer {TOKENS['all']}"}, {"Authorization": "Bearer "}):
        answer = client.open(f"/api{path}", method=route[0], json=body, headers=headers)
        assert answer.status_code == 401
    assert client.get("/healthz").status_code == 200
    database.dispose()


@pytest.mark.parametrize(
    "header, status",
    [
        ("Bearer {token}", 200),
        ("bearer  {token} ", 200),
        ("BEARER {token}", 200),
        ("{token}", 401),
        ("Bearer", 401),
        ("Bearer {token}x", 401),
        ("Bearer x{token}", 401),
        ("Bearer {token} {token}", 401),
        ("Bearer {token},{token}", 401),
        ("Basic {token}", 401),
        ("Token {token}", 401),
        ("Bearer tökén-of-read-0123456789", 401),
        ("Bearer " + "x" * 5_000, 401),
    ],
)
def test_only_a_whole_token_of_ours_opens_the_door(
    caller: Caller, header: str, status: int
) -> None:
    value = header.replace("{token}", TOKENS["read"])
    answer = caller.get("/refund_requests", headers={"Authorization": value})
    assert answer.status_code == status


def test_a_token_that_asks_too_often_is_told_when_to_come_back(sqlite_url: str) -> None:
    with staged(sqlite_url) as stage:
        now = 1_000.0
        app = create_app(
            api_settings(),
            database=stage.services.database,
            services=stage.services,
            meter=Meter(per_second=2, burst=3, clock=lambda: now),
        )
        caller = Caller(stage=stage, client=app.test_client())

        def statuses(token: str, count: int) -> list[int]:
            return [caller.get("/refund_requests", token=token).status_code for _ in range(count)]

        assert statuses("read", 5) == [200, 200, 200, 429, 429]
        assert statuses("all", 1) == [200], "each token has a rate of its own"
        refused = caller.get("/refund_requests", token="read")
        assert refused.headers["Retry-After"] == "1"
        assert error_of(refused)["code"] == "rate_limit"
        now += 1.0
        assert statuses("read", 3) == [200, 200, 429]


def test_the_limit_is_one_for_all_processes(stage_url: tuple[Stage, str], tmp_path: Path) -> None:
    stage, database_url = stage_url
    settings = {
        "SLUICE_API_TOKENS": f"shop:{TOKENS['all']}:read",
        "STRIPE_API_KEY": KEY,
        "STRIPE_API_BASE": stage.sandbox.base_url,
    }
    headers = {"Authorization": f"Bearer {TOKENS['all']}"}
    with running_web(database_url, tmp_path, workers=4, settings=settings) as web:
        statuses: list[int] = []
        began = os.times().elapsed
        # Each on a connection of its own, so that every process gets some.
        while len(statuses) < 300 and statuses.count(429) < 20:
            answer = requests.get(f"{web.url}/api/refund_requests/rr_0", headers=headers, timeout=9)
            statuses.append(answer.status_code)
        seconds = os.times().elapsed - began
    let_in = statuses.count(404)
    assert set(statuses) <= {404, 429}
    # A burst of 100 and 100 a second, for all four together: apart they would let in 400 at once.
    assert let_in <= 100 + 100 * seconds + 2
    if seconds < 2:
        assert 429 in statuses
    assert TOKENS["all"] not in web.log.read_text()
    assert len(set(re.findall(r"req_\w+", web.log.read_text()))) == len(statuses)


@pytest.fixture
def stage_url(sqlite_url: str) -> Any:
    """A stage with its database's URL, for processes."""
    with staged(sqlite_url) as stage:
        yield stage, sqlite_url


def test_a_door_with_tokens_needs_a_key_of_stripes(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with pytest.raises(Exception, match="STRIPE_API_KEY is not set"):
        create_app(api_settings(stripe_api_key=None), database=database)
    assert SECRET not in repr(
        Settings(stripe_webhook_secrets=api_settings().stripe_webhook_secrets)
    )
    database.dispose()
