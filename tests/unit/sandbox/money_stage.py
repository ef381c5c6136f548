"""A platform that pays no fee to Stripe, so that sums stay round, and the SDK in front of it.

It may not know what a test is about.
"""

from dataclasses import dataclass
from typing import Any

import stripe

from sandbox.inprocess import InProcessSandbox

Json = dict[str, Any]


@dataclass
class Stage:
    """A platform that pays no fee to Stripe, and the SDK in front of it."""

    sandbox: InProcessSandbox
    client: stripe.StripeClient

    def account(self, **wish: Any) -> str:
        """A connected account."""
        return str(self.sandbox.control("POST", "accounts", wish)["id"])

    def pay(self, **wish: Any) -> Json:
        """A payment, landing available."""
        return self.sandbox.control("POST", "payments", wish)

    def order(self, path: str, **body: Any) -> Json:
        """A control verb."""
        return self.sandbox.control("POST", path, body)

    def money(self, account: str | None = None, currency: str = "usd") -> tuple[int, int]:
        """Available and pending of an account, of the platform for None."""
        books, world = self.sandbox.world.books, self.sandbox.world
        owner = world.platform if account is None else world.shelves.get(account).body["id"]
        return books.available(owner, currency), books.pending(owner, currency)

    def events(self, account: str | None = None) -> list[str]:
        """The types of an account's events, oldest first."""
        world = self.sandbox.world
        owner = world.platform if account is None else world.shelves.get(account).body["id"]
        return [record.body["type"] for record in world.shelves.of("event", owner)]


def build_stage() -> Stage:
    """A platform with 1000.00."""
    sandbox = InProcessSandbox()
    free = {"stripe_fee_basis_points": 0, "stripe_fee_fixed_minor": 0, "dispute_fee_minor": 0}
    sandbox.control("POST", "switches", free)
    sandbox.control("POST", "accounts/platform/balance", {"available": 100_000})
    return Stage(sandbox, sandbox.client())
