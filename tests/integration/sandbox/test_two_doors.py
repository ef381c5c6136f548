"""The same story through both front doors ends in the same world, compared whole."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from sandbox.clock import Clock
from sandbox.inprocess import InProcessSandbox
from sandbox.server import SandboxServer
from sandbox.world.core import START

DAY = 86_400
Control = Callable[..., dict[str, Any]]


def tell(client: stripe.StripeClient, control: Control) -> None:
    """A story that touches most of the world: payments, refusals, faults, time, disputes."""
    seller = control("POST", "accounts", {"payouts": "daily"})["id"]
    euro = control("POST", "accounts", {"country": "DE", "default_currency": "eur"})["id"]
    control("POST", "accounts/platform/balance", {"available": 100_000})
    keys = iter(range(1_000))

    def key(**more: Any) -> Any:
        return {"idempotency_key": f"key_{next(keys)}", **more}

    paid = []
    for account in (seller, euro):
        intent = client.v1.payment_intents.create(
            {
                "amount": 5000,
                "currency": "usd",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "application_fee_amount": 500,
                "transfer_data": {"destination": account},
            },
            key(),
        )
        paid.append(intent.id)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": paid[0], "reverse_transfer": True}, key())
    control("POST", "clock", {"advance": 5 * DAY})
    control("POST", f"accounts/{seller}/earn", {"amount": 700})
    wish: Any = {"payment_intent": paid[1], "amount": 1234, "reverse_transfer": True}
    control("POST", "faults", {"kind": "lost_response", "path": "/v1/refunds"})
    options = key()
    with pytest.raises(stripe.APIConnectionError):
        client.v1.refunds.create(wish, options)
    client.v1.refunds.create(wish, options)
    control("POST", "faults", {"kind": "http_500", "path": "/v1/refunds"})
    with pytest.raises(stripe.APIError):
        client.v1.refunds.create(wish, key())
    client.v1.transfers.create({"amount": 300, "currency": "usd", "destination": seller}, key())
    client.v1.payouts.create({"amount": 100, "currency": "usd"}, key(stripe_account=seller))
    charge = client.v1.payment_intents.retrieve(paid[0]).latest_charge
    control("POST", "disputes", {"charge": charge})
    control("POST", "clock", {"advance": 9 * DAY})


def test_both_doors_lead_to_the_same_world() -> None:
    quiet = InProcessSandbox(seed=7)
    tell(quiet.client(), quiet.control)
    with SandboxServer(seed=7, clock=Clock(start=START)) as served:
        http = stripe.RequestsClient(timeout=(3, 8))
        client = stripe.StripeClient(
            "sk_test_sandbox_key", base_addresses={"api": served.base_url}, http_client=http
        )
        tell(client, served.control)
        http.close()  # type: ignore[no-untyped-call]  # the SDK left it without types
        over_http = served.snapshot()
    in_process = quiet.snapshot()
    assert in_process == over_http
    assert in_process["books"]["problems"] == []
    assert len(in_process["objects"]["event"]) > 30


def test_another_seed_is_another_world() -> None:
    snapshots = []
    for seed in (7, 7, 8):
        sandbox = InProcessSandbox(seed=seed)
        tell(sandbox.client(), sandbox.control)
        snapshots.append(sandbox.snapshot())
    assert snapshots[0] == snapshots[1]
    assert snapshots[0] != snapshots[2]
