"""The API's surface: who may ask, what is refused and how, and that nothing brings it down."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.api.door import Exchange, Request
from sandbox.api.routes import ROUTES
from sandbox.inprocess import InProcessSandbox

Json = dict[str, Any]
KEY = "sk_test_sandbox_key"


@pytest.fixture
def sandbox() -> InProcessSandbox:
    """A sandbox with one connected account and one payment to it."""
    made = InProcessSandbox(seed=2)
    account = made.control("POST", "accounts", {})["id"]
    made.control(
        "POST",
        "payments",
        {"charge_type": "destination", "account": account, "amount": 5000},
    )
    return made


def ask(
    sandbox: InProcessSandbox, method: str, path: str, text: str = "", **headers: str
) -> tuple[int, Json, Exchange]:
    """A raw request: status, JSON and all."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"authorization": f"Bearer {KEY}", **names}
    request = Request(
        method=method,
        path=path,
        query=text if method == "GET" else "",
        body="" if method == "GET" else text,
        headers=sent,
    )
    exchange = sandbox.door.exchange(request)
    return exchange.status, json.loads(exchange.body), exchange


def first(sandbox: InProcessSandbox, kind: str) -> str:
    """The id of the first object of a kind."""
    return next(r.id for r in sandbox.world.shelves.everything() if r.kind == kind)


@pytest.mark.parametrize(
    "header, status",
    [
        (f"Bearer {KEY}", 200),
        ("Bearer rk_test_anything", 200),
        ("Basic " + base64.b64encode(f"{KEY}:".encode()).decode(), 200),
        ("Basic %%%", 401),
        ("Bearer sk_live_0123456789", 401),
        ("Bearer pk_test_0123456789", 401),
        ("Bearer", 401),
        ("", 401),
    ],
)
def test_keys(sandbox: InProcessSandbox, header: str, status: int) -> None:
    answered, body, _ = ask(sandbox, "GET", "/v1/balance", authorization=header)
    assert answered == status
    if status == 401:
        assert body["error"]["type"] == "invalid_request_error"
        assert "0123456789" not in body["error"]["message"], "a key is never shown whole"


def test_only_the_given_key_works() -> None:
    sandbox = InProcessSandbox(api_key="sk_test_the_only_one")
    assert ask(sandbox, "GET", "/v1/balance")[0] == 401
    assert ask(sandbox, "GET", "/v1/balance", authorization="Bearer sk_test_the_only_one")[0] == 200


# request -> status, code, param
REFUSALS = [
    ("GET", "/v1/nothing", "", 404, None, None),
    ("GET", "/v1/refunds/re_nobody", "", 404, "resource_missing", "id"),
    ("GET", "/v1/accounts/acct_nobody", "", 403, "account_invalid", None),
    ("POST", "/v1/refunds", "", 400, "parameter_missing", None),
    ("POST", "/v1/refunds", "charge=ch_nobody", 400, "resource_missing", "charge"),
    ("POST", "/v1/refunds", "charge=CHARGE&amount=abc", 400, "parameter_invalid_integer", "amount"),
    ("POST", "/v1/refunds", "charge=CHARGE&amount=-5", 400, None, "amount"),
    ("POST", "/v1/refunds", "charge=CHARGE&amount=5001", 400, None, "amount"),
    ("POST", "/v1/refunds", "charge=CHARGE&sum=5", 400, "parameter_unknown", "sum"),
    ("POST", "/v1/refunds", "charge=CHARGE&reverse_transfer=yes", 400, None, "reverse_transfer"),
    ("POST", "/v1/refunds", "charge=CHARGE&reason=whim", 400, None, "reason"),
    ("POST", "/v1/refunds", "charge=CHARGE&metadata=x", 400, None, "metadata"),
    ("POST", "/v1/refunds", f"charge=CHARGE&metadata[{'k' * 41}]=v", 400, None, None),
    ("POST", "/v1/refunds", "charge=CHARGE&charge[a]=b", 400, None, None),
    ("GET", "/v1/charges/CHARGE", "expand[]=nothing", 400, None, "expand[nothing]"),
    ("GET", "/v1/charges/CHARGE", "expand[]=transfer.a.b.c.d", 400, None, None),
    ("GET", "/v1/events", "&".join(f"types[]=t{n}" for n in range(21)), 400, None, "types"),
    ("GET", "/v1/events", "type=a&types[]=b", 400, None, "types"),
    ("POST", "/v1/transfers", "amount=100&currency=usd", 400, "parameter_missing", "destination"),
    ("POST", "/v1/webhook_endpoints", "url=nowhere&enabled_events[]=*", 400, None, "url"),
]


@pytest.mark.parametrize("method, path, text, status, code, param", REFUSALS)
def test_refusals(
    sandbox: InProcessSandbox,
    method: str,
    path: str,
    text: str,
    status: int,
    code: str | None,
    param: str | None,
) -> None:
    charge = first(sandbox, "charge")
    before = sandbox.snapshot()
    answered, body, _ = ask(
        sandbox, method, path.replace("CHARGE", charge), text.replace("CHARGE", charge)
    )
    error = body["error"]
    assert (answered, error.get("code")) == (status, code), error
    if param is not None:
        assert error["param"] == param
    after = sandbox.snapshot()
    for part in ("objects", "balances", "agenda"):
        assert after[part] == before[part], "a refusal changes nothing"


def test_headers(sandbox: InProcessSandbox) -> None:
    account = sandbox.control("POST", "accounts", {})["id"]
    status, _, exchange = ask(
        sandbox, "GET", "/v1/balance", stripe_account=account, stripe_version="2024-06-20"
    )
    assert status == 200
    assert exchange.headers["Request-Id"].startswith("req_")
    assert exchange.headers["Stripe-Version"] == "2024-06-20"
    assert exchange.headers["Stripe-Account"] == account
    assert ask(sandbox, "GET", "/v1/balance", stripe_version="yesterday")[0] == 400
    status, body, _ = ask(sandbox, "GET", "/v1/balance", stripe_account="acct_nobody")
    assert (status, body["error"]["code"]) == (403, "account_invalid")
    assert KEY not in body["error"]["message"]
    assert ask(sandbox, "POST", "/v1/customers", idempotency_key="k" * 256)[0] == 400


def test_events_name_the_request_that_made_them(sandbox: InProcessSandbox) -> None:
    _, body, exchange = ask(
        sandbox, "POST", "/v1/customers", "email=a@example.com", idempotency_key="k"
    )
    event = sandbox.world.shelves.of("event", sandbox.world.platform)[-1].body
    assert event["data"]["object"]["id"] == body["id"]
    assert event["request"] == {"id": exchange.headers["Request-Id"], "idempotency_key": "k"}
    sandbox.control("POST", "accounts/platform/earn", {"amount": 1})
    event = sandbox.world.shelves.of("event", sandbox.world.platform)[-1].body
    assert event["request"] == {"id": None, "idempotency_key": None}


@pytest.mark.parametrize(
    "verb, body, said",
    [
        ("accounts", {"avaliable": 5}, "avaliable"),
        ("accounts", {"available": "5"}, "must be of type int"),
        ("accounts", {"available": True}, "must be of type int"),
        ("accounts", {"payouts": "hourly"}, "hourly"),
        ("accounts/acct_nobody/earn", {"amount": 5}, "No such account"),
        ("accounts/platform/earn", {}, "amount must be given"),
        ("payments", {"amount": 5, "charge_type": "gift"}, "must be one of"),
        ("payments", {"amount": 5, "charge_type": "direct"}, "account must be given"),
        ("payments", {"amount": 5, "payment_method": "cash"}, "pm_card_visa"),
        ("clock", {}, "Give either"),
        ("clock", {"advance": -5}, "only moves forward"),
        ("clock", {"to": "tomorrow"}, "no ISO 8601 moment"),
        ("switches", {"shorts": "error"}, "unknown switch"),
        ("switches", {"short": "maybe"}, "maybe"),
        ("fualts", {}, "no control verb"),
    ],
)
def test_control_verbs_say_what_is_wrong(
    sandbox: InProcessSandbox, verb: str, body: Json, said: str
) -> None:
    before = sandbox.snapshot()
    with pytest.raises(ValueError, match=said):
        sandbox.control("POST", verb, body)
    assert sandbox.snapshot() == before


WORDS = st.sampled_from(
    ["", "0", "-1", "100", "true", "usd", "eur", "x", "CHARGE", "ACCOUNT", "é\x00", "9" * 40, "[]"]
)
NAMES = sorted({name for route in ROUTES for name in route.accepts})
PAIRS = st.lists(
    st.tuples(
        st.sampled_from(NAMES).flatmap(
            lambda name: st.sampled_from([name, f"{name}[]", f"{name}[a]", f"{name}[0][b]"])
        ),
        WORDS,
    ),
    max_size=6,
)


@settings(max_examples=400, deadline=None)
@given(route=st.sampled_from(ROUTES), pairs=PAIRS, target=st.sampled_from(["own", "nobody"]))
def test_no_request_brings_the_sandbox_down(route: Any, pairs: Any, target: str) -> None:
    sandbox = _SHARED
    account = first(sandbox, "account")
    kinds = {"accounts": "account", "charges": "charge", "events": "event", "transfers": "transfer"}
    kind = kinds.get(route.path.split("/")[2], "payment_intent")
    subject = first(sandbox, kind) if target == "own" else "nobody"
    path = route.path.replace("{id}", subject).replace("{inner}", "nobody")
    values = {"CHARGE": first(sandbox, "charge"), "ACCOUNT": account}
    allowed = [(n, values.get(v, v)) for n, v in pairs if n.partition("[")[0] in route.accepts]
    text = "&".join(f"{name}={value}" for name, value in allowed)
    status, body, _ = ask(sandbox, route.method, path, text)
    assert status < 500, (route.path, text, body)
    assert sandbox.world.books.check() == []


_SHARED = InProcessSandbox(seed=2)
_SHARED.control(
    "POST",
    "payments",
    {
        "charge_type": "destination",
        "account": _SHARED.control("POST", "accounts", {})["id"],
        "amount": 5000,
    },
)


def test_events_tell_what_was_before(sandbox: InProcessSandbox) -> None:
    sandbox.control("POST", "accounts/platform/balance", {"available": 10_000})
    charge = first(sandbox, "charge")
    for amount in (1000, 4000):
        ask(
            sandbox, "POST", "/v1/refunds", f"charge={charge}&amount={amount}&reverse_transfer=true"
        )
    events = [
        record.body["data"] for record in sandbox.world.shelves.of("event", sandbox.world.platform)
    ]
    refunded = [data for data in events if data["object"].get("amount_refunded")]
    assert [data["previous_attributes"] for data in refunded] == [
        {"amount_refunded": 0},
        {"amount_refunded": 1000, "refunded": False},
    ]
    reversed_ = [data for data in events if data["object"].get("amount_reversed")]
    assert [data["previous_attributes"]["amount_reversed"] for data in reversed_] == [0, 1000]
    account = sandbox.control("POST", "accounts", {})["id"]
    sandbox.control("POST", f"accounts/{account}/reject", {"reason": "fraud"})
    owner = sandbox.world.shelves.get(account).body["id"]
    told = sandbox.world.shelves.of("event", owner)[-1].body
    assert told["type"] == "account.updated"
    assert told["data"]["previous_attributes"] == {
        "charges_enabled": True,
        "payouts_enabled": True,
        "requirements": {"disabled_reason": None},
    }
