"""A platform on a stage: a sandbox over HTTP, a database, and the project's own services on both.

It may not shorten the way: payments, refunds and reads go through the real SDK and real sockets.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.client import StripeGateway
from handlers.guard import guard_due_account
from handlers.intake import Taken, take_in
from handlers.release import run_due_lane
from handlers.services import Services
from handlers.undecided import decide_due_request
from handlers.unsettled import recover_due_attempt
from handlers.view import RequestView, view_request
from refunds.clock import utc_now
from refunds.ids import RequestId
from refunds.wish import Wish
from sandbox.server import SandboxServer
from store.database import Database
from store.installation import pin_platform

KEY = "sk_test_" + "stage0123456789"


@dataclass(kw_only=True)
class Stage:
    """What a story needs; every verb says what happens in the world or at our side."""

    sandbox: SandboxServer
    services: Services
    offset: timedelta = timedelta(0)
    _wishes: int = field(default=0)

    def now(self) -> datetime:
        """The time our side believes it is."""
        return utc_now() + self.offset

    def later(self, **span: float) -> None:
        """Let time pass at our side and in the sandbox."""
        step = timedelta(**span)
        self.offset += step
        self.sandbox.control("POST", "clock", {"advance": int(step.total_seconds())})

    def account(self, available: int = 0, **more: Any) -> str:
        """Connect an account with this available balance; it is paid out by hand only."""
        body = {"payouts": "manual", "available": available, **more}
        return str(self.sandbox.control("POST", "accounts", body)["id"])

    def paid(self, account: str | None, amount: int, **more: Any) -> str:
        """A buyer pays, and the account has spent its share already; return the charge."""
        body: dict[str, Any] = {"charge_type": "platform", "amount": amount, **more}
        if account is not None:
            body |= {"charge_type": "destination", "account": account}
        charge = str(self.sandbox.control("POST", "payments", body)["charge"]["id"])
        if account is not None and body.get("funds") != "pending":
            self.sandbox.control("POST", f"accounts/{account}/payout", {"amount": amount})
        return charge

    def paid_direct(self, account: str, amount: int, **more: Any) -> str:
        """A buyer pays the account itself, which has spent it already; return the charge."""
        body = {"charge_type": "direct", "account": account, "amount": amount, **more}
        charge = str(self.sandbox.control("POST", "payments", body)["charge"]["id"])
        if body.get("funds") != "pending":
            self.has(account, 0)
        return charge

    def paid_split(
        self, amount: int, parts: Sequence[tuple[str, int]], **more: Any
    ) -> tuple[str, list[str]]:
        """A buyer pays, and the platform passes parts on to accounts, which have spent all they
        had; return the charge and the transfers.
        """
        shares = [{"destination": account, "amount": minor} for account, minor in parts]
        body = {"charge_type": "separate", "amount": amount, "transfers": shares, **more}
        paid = self.sandbox.control("POST", "payments", body)
        if body.get("funds") != "pending":
            for account, _ in parts:
                self.has(account, 0)
        transfers = [str(each["id"]) for each in paid["transfers"]]
        return str(paid["charge"]["id"]), transfers

    def has(self, account: str, available: int) -> None:
        """Set an account's (or `platform`'s) available balance, without an event."""
        self.sandbox.control("POST", f"accounts/{account}/balance", {"available": available})

    def fault(self, kind: str, **more: Any) -> None:
        """Let the next refund call meet a fault."""
        body = {"kind": kind, "path": "/v1/refunds", "method": "POST", "times": 1, **more}
        self.sandbox.control("POST", "faults", body)

    def wish(self, payment: str, amount: int | None = None, **more: Any) -> RequestId:
        """Ask for a refund under a key of its own."""
        self._wishes += 1
        return self.taken(payment, amount, key=f"key-{self._wishes}", **more).request

    def taken(self, payment: str, amount: int | None, *, key: str, **more: Any) -> Taken:
        """Ask for a refund under this key."""
        wish = Wish(payment=payment, amount_minor=amount, **more)
        return take_in(self.services, wish, idempotency_key=key, actor="shop")

    def work(self, rounds: int = 50) -> None:
        """Do everything that is due now, as a worker would, in bounded rounds."""
        for _ in range(rounds):
            busy = recover_due_attempt(self.services)
            busy = run_due_lane(self.services) or busy
            busy = decide_due_request(self.services) or busy
            busy = guard_due_account(self.services) or busy
            if not busy:
                return
        raise AssertionError("the worker never came to rest")

    def view(self, request: RequestId) -> RequestView:
        """The request as the outside sees it."""
        with self.services.database.reading() as unit:
            return view_request(unit, request)

    def refunds(self) -> list[dict[str, Any]]:
        """Every customer refund that exists at the sandbox."""
        state = self.sandbox.control("GET", "state")
        found: list[dict[str, Any]] = state["objects"].get("refund", [])
        return [refund for refund in found if refund["id"].startswith("re_")]

    def calls(self) -> list[dict[str, Any]]:
        """Every changing API call the sandbox received."""
        calls: list[dict[str, Any]] = self.sandbox.control("GET", "calls")["calls"]
        return calls

    def another_worker(self, name: str) -> Services:
        """The same services under another worker's name."""
        return replace(self.services, worker=name)


@contextmanager
def staged(database_url: str) -> Iterator[Stage]:
    """A stage over this database, and a sandbox whose platform has 1,000.00 USD."""
    database = Database(database_url)
    with SandboxServer(port=0) as sandbox:
        gateway = StripeGateway(KEY, api_base=sandbox.base_url)
        stage = Stage(
            sandbox=sandbox,
            services=Services(
                database=database, gateway=gateway, worker="worker-1", jitter=lambda: 0.5
            ),
        )
        stage.services = replace(stage.services, clock=stage.now)
        stage.has("platform", 100_000)
        with database.unit_of_work() as unit:
            pin_platform(unit, gateway.read_platform(), stage.now())
        try:
            yield stage
        finally:
            gateway.close()
            database.dispose()
