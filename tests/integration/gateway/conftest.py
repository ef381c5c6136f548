"""A sandbox that answers over HTTP, and a gateway that talks to it through the real SDK.

It starts one server for the folder; a test makes accounts of its own and leaves no fault behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import stripe

from gateway.client import StripeGateway
from refunds.ids import AccountId
from sandbox.server import SandboxServer

KEY = "sk_test_integration0123456789"


@dataclass(frozen=True, slots=True)
class Stand:
    """The sandbox as a story's stage."""

    server: SandboxServer

    def order(self, verb: str, /, **body: object) -> dict[str, Any]:
        """Carry out a control verb (POST)."""
        return dict(self.server.control("POST", verb, body))

    def account(self, **details: object) -> AccountId:
        """Open a connected account."""
        return AccountId(self.order("accounts", **details)["id"])

    def pay(self, amount: int, **details: object) -> dict[str, Any]:
        """Let a buyer pay; returns payment_intent, charge and transfer."""
        return self.order("payments", amount=amount, **details)

    def pay_to(self, account: str, amount: int, **details: object) -> dict[str, Any]:
        """Let a buyer pay by a destination charge."""
        return self.pay(amount, charge_type="destination", account=account, **details)

    def fault(self, kind: str, /, **rule: object) -> None:
        """Let the next matching request go wrong."""
        self.order("faults", kind=kind, **rule)

    def refunds_of(self, charge: str) -> list[dict[str, Any]]:
        """What the sandbox itself holds, not what the gateway says."""
        refunds = self.server.control("GET", "state")["objects"].get("refund", [])
        return [refund for refund in refunds if refund["charge"] == charge]


@pytest.fixture(scope="module")
def sandbox_server() -> Iterator[SandboxServer]:
    """One running sandbox."""
    with SandboxServer(port=0, seed=1) as server:
        yield server


@pytest.fixture
def stand(sandbox_server: SandboxServer) -> Iterator[Stand]:
    """The sandbox without faults."""
    yield Stand(sandbox_server)
    sandbox_server.control("DELETE", "faults")
    sandbox_server.control("POST", "switches", {"short_code": "balance_insufficient"})


@pytest.fixture
def gateway(sandbox_server: SandboxServer) -> Iterator[StripeGateway]:
    """The gateway over HTTP, with its own timeouts."""
    with StripeGateway(KEY, api_base=sandbox_server.base_url) as made:
        yield made


@pytest.fixture
def impatient(sandbox_server: SandboxServer) -> Iterator[StripeGateway]:
    """The gateway over HTTP, waiting a quarter of a second at most."""
    transport = stripe.RequestsClient(timeout=(0.25, 0.25))
    with StripeGateway(KEY, api_base=sandbox_server.base_url, http_client=transport) as made:
        yield made
