"""A stage for stories told by events: the sandbox in process, its deliveries in the test's hand.

It may not shorten our side: requests come from intake, attempts from release runs, and events go
through the inbox.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from gateway.client import StripeGateway
from handlers.inbox import process_due_events
from handlers.intake import take_in
from handlers.release import run_due_lane
from handlers.services import Services
from refunds.decision import Rule
from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST
from refunds.ids import AccountId, AttemptId, ChargeId, EventId, RefundId, RequestId, lane_of
from refunds.lifecycle import Bucket, Status
from refunds.wish import Wish
from sandbox.delivery.mailbox import Letter
from sandbox.inprocess import BASE, InProcessSandbox
from store.attempts import attempts_of
from store.database import Database
from store.inbox import Delivery, get_event, record_delivery
from store.installation import pin_platform
from store.lanes import mark_due
from store.ledger import amounts_of, entries_of
from store.requests import get_request, latest_evaluation
from store.tables.inbox import InboxEvent
from store.tables.lanes import Lane
from store.tables.requests import Mode, RefundRequest
from tests.support.inbox import build_delivery

KEY = "sk_test_" + "stage0123456789"
RICH = 10_000_000

Move = tuple[Bucket, Bucket, int]


def _sandbox() -> InProcessSandbox:
    return InProcessSandbox(
        webhook_url="http://receiver.invalid/", webhook_secret="whsec_" + "stage"
    )


@dataclass(slots=True)
class EventStage:
    """A platform and its database. Time stands still until `later`."""

    database: Database
    sandbox: InProcessSandbox = field(default_factory=_sandbox)
    services: Services = field(init=False)
    _numbers: "count[int]" = field(init=False, default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        gateway = StripeGateway(
            KEY, api_base=BASE, http_client=self.sandbox.http_client(), clock=self.now
        )
        self.services = Services(
            database=self.database,
            gateway=gateway,
            worker="worker-1",
            clock=self.now,
            jitter=lambda: 0.5,
        )
        # Stripe queues card refunds that the platform can't pay; few stories are about that.
        self.has("platform", RICH)
        with self.database.unit_of_work() as unit:
            pin_platform(unit, gateway.read_platform(), self.now())

    # --- the world --------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time for handlers, gateway and sandbox alike."""
        return datetime.fromtimestamp(self.sandbox.world.now(), UTC)

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self.order("clock", advance=seconds)

    def order(self, verb: str, /, **body: object) -> dict[str, Any]:
        """Carry out one of the sandbox's control verbs."""
        return dict(self.sandbox.control("POST", verb, body))

    def has(self, account: str, available: int) -> None:
        """Set a balance without an event."""
        self.order(f"accounts/{account}/balance", available=available)

    def account(self) -> AccountId:
        """Connect an account that is paid out by hand only; what Stripe says of that is lost."""
        account = AccountId(self.order("accounts", payouts="manual")["id"])
        self.letters()
        return account

    def pay(self, account: AccountId | None, amount: int = 10_000, **more: object) -> ChargeId:
        """Let a buyer pay an account, which has spent all it had already, or the platform."""
        kind = {"charge_type": "platform"}
        if account is not None:
            kind = {"charge_type": "destination", "account": account}
        charge = self.order("payments", amount=amount, **kind, **more)["charge"]["id"]
        if account is not None:
            self.has(account, 0)
        return ChargeId(charge)

    def pay_direct(self, account: AccountId, amount: int = 10_000, **more: object) -> ChargeId:
        """Let a buyer pay the account itself, which has spent it already."""
        body = {"charge_type": "direct", "account": account, "amount": amount, **more}
        charge = self.order("payments", **body)["charge"]["id"]
        self.has(account, 0)
        return ChargeId(charge)

    def fault(self, kind: str, path: str, /, **more: object) -> None:
        """Let the next request to this path go wrong."""
        self.order("faults", kind=kind, path=path, **{"times": 1, **more})

    def reads(self) -> int:
        """How many reads Stripe has answered."""
        return sum(self.sandbox.control("GET", "calls")["reads"].values())

    # --- our side ---------------------------------------------------------------------------

    def hold(
        self, charge: ChargeId, amount_minor: int, *, account: AccountId | None = None
    ) -> RequestId:
        """Ask for a refund that the balance can't cover; `account` is a direct charge's."""
        wish = Wish(payment=charge, amount_minor=amount_minor, account=account, additional=True)
        key = f"key-{next(self._numbers)}"
        request = take_in(self.services, wish, idempotency_key=key, actor="shop").request
        assert self.status(request) in (Status.HELD, Status.REQUESTED)
        return request

    def short_of_platform(self, account: AccountId, amount_minor: int) -> RequestId:
        """Ask for a refund that the account covers and the platform does not."""
        charge = self.pay(account)
        self.has("platform", 0)
        self.has(account, amount_minor)
        request = self.hold(charge, amount_minor)
        self.run()
        assert self.rule(request) is Rule.PLATFORM_SHORT
        return request

    def run(self) -> None:
        """Run every lane that is due."""
        for _ in range(100):
            if not run_due_lane(self.services):
                return
        raise AssertionError("lanes never stop being due")

    def release(self, request: RequestId, fault: str) -> AttemptId:
        """Release a request while the call meets a fault, so that its outcome is unknown."""
        row = self.request(request)
        account = AccountId(row.account) if row.account else None
        if account is not None:
            self.has(account, row.amount_minor or 0)
        self.fault(fault, "/v1/refunds", method="POST")
        with self.database.unit_of_work() as unit:
            mark_due(unit, lane_of(account), self.now(), "test")
        self.run()
        assert self.amounts(request) == {Bucket.RELEASING: row.amount_minor}
        with self.database.reading() as unit:
            return AttemptId(attempts_of(unit, request)[-1].id)

    def send(self, request: RequestId) -> RefundId:
        """Release a request, and lose Stripe's answer; return the refund it made."""
        attempt = self.release(request, "lost_response")
        refunds = self.sandbox.control("GET", "state")["objects"]["refund"]
        named = {METADATA_REQUEST: request, METADATA_ATTEMPT: attempt}
        return RefundId(*[each["id"] for each in refunds if each["metadata"] == named])

    def letters(self) -> list[Letter]:
        """Fetch what Stripe has to deliver now."""
        fetched: list[Letter] = []

        def keep(letter: Letter) -> int:
            fetched.append(letter)
            return 200

        self.sandbox.mailbox.deliver(keep)
        return fetched

    def record(self, *letters: Letter) -> None:
        """Record deliveries in the inbox, in this order."""
        with self.database.unit_of_work() as unit:
            for letter in letters:
                record_delivery(unit, self._delivery(letter))

    def put(
        self, type_: str, subject: object, *, account: str | None = None, livemode: bool = False
    ) -> EventId:
        """Record an event with any object in it, as only a forger or an old API would send it."""
        event = f"evt_put{next(self._numbers)}"
        body = json.dumps({"id": event, "object": "event", "data": {"object": subject}}).encode()
        delivery = build_delivery(
            event,
            type=type_,
            account=account,
            received_at=self.now(),
            body=body,
            livemode=livemode,
        )
        with self.database.unit_of_work() as unit:
            record_delivery(unit, delivery)
        return EventId(event)

    def work(self, services: Services | None = None) -> int:
        """Process until nothing is due; return how many attempts that took."""
        attempts = 0
        for _ in range(1_000):
            handled = process_due_events(services or self.services)
            if not handled:
                return attempts
            attempts += handled
        raise AssertionError("the inbox never gets empty")

    def take_in(self) -> None:
        """Fetch, record and process whatever Stripe has to say now."""
        self.record(*self.letters())
        self.work()

    # --- what came of it --------------------------------------------------------------------

    def event(self, event: str) -> InboxEvent:
        """The inbox row of an event."""
        with self.database.reading() as unit:
            return get_event(unit, EventId(event))

    def request(self, request: RequestId) -> RefundRequest:
        """A request's row."""
        with self.database.reading() as unit:
            return get_request(unit, request)

    def status(self, request: RequestId) -> Status:
        """What a request is called as a whole."""
        return self.request(request).status

    def amounts(self, request: RequestId) -> dict[Bucket, int]:
        """Where a request's amount lies."""
        with self.database.reading() as unit:
            return amounts_of(unit, request)

    def path(self, request: RequestId) -> list[Move]:
        """Every move of a request's money, in order."""
        with self.database.reading() as unit:
            return [
                (entry.from_bucket, entry.to_bucket, entry.amount_minor)
                for entry in entries_of(unit, request)
            ]

    def rule(self, request: RequestId) -> Rule | None:
        """The rule of the latest decision."""
        with self.database.reading() as unit:
            latest = latest_evaluation(unit, get_request(unit, request))
            return None if latest is None else latest.rule

    def due(self, account: AccountId | None) -> str | None:
        """Why the account's lane is due; `None` if it isn't."""
        with self.database.reading() as unit:
            lane = unit.get(Lane, (lane_of(account), Mode.LIVE))
            return None if lane is None or lane.release_due_at is None else lane.due_cause

    def _delivery(self, letter: Letter) -> Delivery:
        event = json.loads(letter.body)
        return build_delivery(
            event["id"],
            type=event["type"],
            account=event.get("account"),
            received_at=self.now(),
            created=datetime.fromtimestamp(event["created"], UTC),
            body=letter.body,
            livemode=event["livemode"],
        )
