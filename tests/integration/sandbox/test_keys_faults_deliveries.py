"""Idempotency keys, faults and deliveries that go wrong, over HTTP."""

import threading
from typing import Any

import pytest
import stripe

from sandbox.server import SandboxServer
from tests.integration.sandbox.conftest import Receiver


@pytest.fixture
def charge(sandbox: SandboxServer) -> str:
    """A platform charge of 50.00 that can be refunded."""
    sandbox.control("POST", "accounts/platform/balance", {"available": 100_000})
    made = sandbox.control("POST", "payments", {"charge_type": "platform", "amount": 5000})
    return str(made["charge"]["id"])


def refunds_of(client: stripe.StripeClient, charge: str) -> list[stripe.Refund]:
    """Every refund of a charge, over all pages."""
    return list(client.v1.refunds.list({"charge": charge, "limit": 1}).auto_paging_iter())


def test_one_key_has_one_effect(client: stripe.StripeClient, charge: str) -> None:
    first = client.v1.refunds.create({"charge": charge, "amount": 100}, {"idempotency_key": "k"})
    again = client.v1.refunds.create({"charge": charge, "amount": 100}, {"idempotency_key": "k"})
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(refunds_of(client, charge)) == 1
    with pytest.raises(stripe.IdempotencyError):
        client.v1.refunds.create({"charge": charge, "amount": 101}, {"idempotency_key": "k"})
    client.v1.refunds.create({"charge": charge, "amount": 100}, {"idempotency_key": "l"})
    assert len(refunds_of(client, charge)) == 2


def test_a_key_in_use_is_a_conflict(
    sandbox: SandboxServer, client: stripe.StripeClient, charge: str
) -> None:
    sandbox.control(
        "POST", "faults", {"kind": "delay", "method": "POST", "path": "/v1/refunds", "seconds": 3}
    )
    slow: list[Any] = []
    wish: Any = {"charge": charge, "amount": 100}
    thread = threading.Thread(
        target=lambda: slow.append(client.v1.refunds.create(wish, {"idempotency_key": "k"}))
    )
    thread.start()
    deadline = 200
    while not sandbox.control("GET", "calls")["calls"] and deadline:
        threading.Event().wait(0.01)
        deadline -= 1
    with pytest.raises(stripe.APIError) as conflict:
        client.v1.refunds.create(wish, {"idempotency_key": "k"})
    thread.join()
    assert conflict.value.http_status == 409
    assert conflict.value.error is not None
    assert conflict.value.error.code == "idempotency_key_in_use"
    assert [item.id for item in refunds_of(client, charge)] == [slow[0].id]


@pytest.mark.parametrize(
    "fault, happened",
    [
        ({"kind": "lost_response"}, True),
        ({"kind": "hang", "seconds": 0.2}, False),
        ({"kind": "hang", "seconds": 0.2, "after_effect": True}, True),
        ({"kind": "reset"}, False),
        ({"kind": "reset", "after_effect": True}, True),
    ],
)
def test_a_broken_connection_leaves_the_outcome_to_the_key(
    sandbox: SandboxServer,
    client: stripe.StripeClient,
    charge: str,
    fault: dict[str, Any],
    happened: bool,
) -> None:
    sandbox.control("POST", "faults", {"method": "POST", "path": "/v1/refunds", **fault})
    wish: Any = {"charge": charge, "amount": 100}
    with pytest.raises(stripe.APIConnectionError) as broken:
        client.v1.refunds.create(wish, {"idempotency_key": "k"})
    assert ("Connection reset by peer" in str(broken.value)) is (fault["kind"] == "reset")
    assert bool(refunds_of(client, charge)) is happened
    again = client.v1.refunds.create(wish, {"idempotency_key": "k"})
    assert again.last_response is not None
    assert ("Idempotent-Replayed" in again.last_response.headers) is happened
    assert len(refunds_of(client, charge)) == 1


def test_a_retry_finds_the_kept_answer(
    sandbox: SandboxServer, client: stripe.StripeClient, charge: str
) -> None:
    """The same story with the SDK's own retry: it sends its key again and gets the first answer."""
    sandbox.control("POST", "faults", {"kind": "lost_response", "path": "/v1/refunds"})
    made = client.v1.refunds.create({"charge": charge, "amount": 100}, {"max_network_retries": 2})
    assert [item.id for item in refunds_of(client, charge)] == [made.id]
    calls = sandbox.control("GET", "calls")["calls"]
    assert [(call["fate"], call["replayed"]) for call in calls] == [
        ("dropped", False),
        ("answered", True),
    ]


@pytest.mark.parametrize(
    "kind, error, status",
    [
        ("http_429", stripe.RateLimitError, 429),
        ("lock_timeout", stripe.RateLimitError, 429),
        ("http_500", stripe.APIError, 500),
        ("http_503", stripe.APIError, 503),
        ("revoked_key", stripe.AuthenticationError, 401),
    ],
)
def test_refusing_faults(
    sandbox: SandboxServer,
    client: stripe.StripeClient,
    charge: str,
    kind: str,
    error: type[stripe.StripeError],
    status: int,
) -> None:
    sandbox.control("POST", "faults", {"kind": kind, "path": "/v1/refunds", "method": "POST"})
    with pytest.raises(error) as refused:
        client.v1.refunds.create({"charge": charge}, {"idempotency_key": "k"})
    assert refused.value.http_status == status
    assert refunds_of(client, charge) == []


def test_an_interlude_happens_between_two_calls(
    sandbox: SandboxServer, client: stripe.StripeClient
) -> None:
    """The seller is paid out right after somebody read the balance."""
    account = sandbox.control("POST", "accounts", {"available": 900})["id"]
    step = {"path": f"/_sandbox/accounts/{account}/payout", "body": {}}
    rule = {"kind": "interlude", "path": "/v1/balance", "account": account, "steps": [step]}
    sandbox.control("POST", "faults", rule)
    read = [
        client.v1.balance.retrieve(options={"stripe_account": account}).available[0].amount
        for _ in range(2)
    ]
    assert read == [900, 0]


def test_an_endpoint_that_fails_is_told_again(sandbox: SandboxServer, receiver: Receiver) -> None:
    assert sandbox.courier.wait_idle(10)
    receiver.answers[:] = [500, 503]
    receiver.events.clear()
    sandbox.control("POST", "accounts/platform/earn", {"amount": 100})
    assert sandbox.courier.wait_idle(10)
    assert receiver.types() == ["balance.available"]
    last = sandbox.control("GET", "deliveries")["deliveries"][-1]
    assert [attempt["status"] for attempt in last["attempts"]] == [500, 503, 200]
    assert receiver.forged == 0


@pytest.mark.parametrize(
    "rule, amounts",
    [
        ({"kind": "drop"}, [200]),
        ({"kind": "duplicate", "copies": 2}, [100, 100, 100, 200]),
        ({"kind": "reorder", "size": 2}, [200, 100]),
        ({"kind": "delay", "seconds": 1.0}, [200, 100]),
    ],
)
def test_deliveries_go_wrong_by_rule(
    sandbox: SandboxServer, receiver: Receiver, rule: dict[str, Any], amounts: list[int]
) -> None:
    account = sandbox.control("POST", "accounts")["id"]
    sandbox.control("POST", "deliveries/rules", {"type": "balance.*", **rule})
    for _ in range(2):
        sandbox.control("POST", f"accounts/{account}/earn", {"amount": 100})
    assert sandbox.courier.wait_idle(10)
    told = [event for event in receiver.events if event["type"] == "balance.available"]
    seen = [event["data"]["object"]["available"][0]["amount"] for event in told]
    assert (sorted(seen) if rule["kind"] == "duplicate" else seen) == amounts


def test_held_deliveries_wait_for_release(sandbox: SandboxServer, receiver: Receiver) -> None:
    sandbox.control("POST", "deliveries/rules", {"kind": "hold", "type": "balance.*"})
    sandbox.control("POST", "accounts/platform/earn", {"amount": 100})
    assert sandbox.courier.wait_idle(10)
    assert receiver.types() == []
    assert sandbox.control("POST", "deliveries/release") == {"released": 1}
    assert sandbox.courier.wait_idle(10)
    assert receiver.types() == ["balance.available"]


def test_events_are_listed_after_the_last_one_seen(
    sandbox: SandboxServer, client: stripe.StripeClient
) -> None:
    account = sandbox.control("POST", "accounts")["id"]
    options: Any = {"stripe_account": account}
    seen = client.v1.events.list({"limit": 1}, options).data[0].id
    for _ in range(5):
        sandbox.control("POST", f"accounts/{account}/earn", {"amount": 100})
    sandbox.control("POST", f"accounts/{account}/payout")
    missed = client.v1.events.list(
        {"ending_before": seen, "types": ["balance.available"], "limit": 2}, options
    )
    found = list(missed.auto_paging_iter())
    assert [event.type for event in found] == ["balance.available"] * 5
    assert {event["account"] for event in found} == {account}
    one = client.v1.events.retrieve(found[0].id, options=options)
    assert one.data.object.object == "balance"
    assert client.v1.events.list({"types": ["balance.available"]}).data == []
