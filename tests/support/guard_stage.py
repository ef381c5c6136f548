"""A stage for the payout guard: daily payouts, days that pass, and a worker that may die.

It may not look inside the guard: settings are those that stand at the sandbox, money is paid out by
its own schedule.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import stripe

from gateway.client import StripeGateway
from handlers.guard import guard_due_account
from handlers.guard_sweep import sweep_guards
from handlers.guard_view import GuardView, view_guard
from handlers.release import run_due_lane
from handlers.services import Services
from handlers.unsettled import recover_due_attempt
from refunds.ids import AccountId, RequestId
from refunds.policy import PayoutGuard, PolicyBook
from sandbox.inprocess import BASE, InProcessClient, InProcessSandbox
from store.database import Database, Unit
from store.guards import guard_entries
from store.outbox import told_of
from tests.support.event_stage import KEY, EventStage

DAY: Final = 86_400


class Crash(BaseException):
    """The worker is dead; nothing may catch it."""


@dataclass(slots=True)
class Life:
    """How many boundaries a worker passes before it dies; `None`: it doesn't."""

    left: int | None = None
    passed: int = 0

    def pass_boundary(self) -> None:
        """Go on, or die here."""
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1
        self.passed += 1


class MortalDatabase(Database):
    """The database of a worker that may die before a unit, in the middle of it, or after it."""

    def __init__(self, url: str, life: Life) -> None:
        super().__init__(url)
        self._life = life

    @contextmanager
    def unit_of_work(self) -> Iterator[Unit]:
        """A unit with a boundary before its commit and one after it."""
        with super().unit_of_work() as unit:
            yield unit
            self._life.pass_boundary()
        self._life.pass_boundary()


class MortalClient(InProcessClient):
    """The SDK's transport of a worker that may die before a call, or before it hears the answer."""

    def __init__(self, sandbox: InProcessSandbox, life: Life) -> None:
        super().__init__(sandbox)
        self._life = life

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One exchange between two boundaries."""
        self._life.pass_boundary()
        answer = super().request(method, url, headers, post_data)
        self._life.pass_boundary()
        return answer


@dataclass(slots=True)
class GuardStage(EventStage):
    """A platform whose policy guards payouts, and accounts that are paid out every day."""

    life: Life = field(default_factory=Life)
    _client: stripe.StripeClient = field(init=False)

    def __post_init__(self) -> None:
        super(GuardStage, self).__post_init__()
        self._client = self.sandbox.client(KEY)
        gateway = StripeGateway(
            KEY,
            api_base=BASE,
            http_client=MortalClient(self.sandbox, self.life),
            clock=self.now,
        )
        self.services = replace(self.services, gateway=gateway)
        self.policy()

    def policy(self, guard: PayoutGuard = PayoutGuard.ON, **more: Any) -> None:
        """Let this policy hold from now on."""
        book = PolicyBook(default={"payout_guard": guard, **more})
        self.services = replace(self.services, policies=book)

    def shop(self, *, interval: str = "daily", own: Mapping[str, int] | None = None) -> AccountId:
        """Connect an account that is paid out by itself, with its operator's own minimum."""
        account = AccountId(self.order("accounts", payouts=interval)["id"])
        if own:
            self.set_by_hand(account, minimum_balance_by_currency=dict(own))
        self.letters()
        return account

    def set_by_hand(self, account: AccountId, **payouts: Any) -> None:
        """Somebody changes how an account is paid out."""
        self._client.raw_request(
            "post", "/v1/balance_settings", payments={"payouts": payouts}, stripe_account=account
        )

    def shown(self, account: AccountId) -> dict[str, Any]:
        """How an account is paid out, as it stands at Stripe."""
        answer = self._client.raw_request("get", "/v1/balance_settings", stripe_account=account)
        data: dict[str, Any] = dict(answer.data)
        payouts: dict[str, Any] = data["payments"]["payouts"]
        return payouts

    def minimum(self, account: AccountId) -> dict[str, int] | None:
        """The account's minimum balances at Stripe; `None`: unset."""
        found: dict[str, int] | None = self.shown(account)["minimum_balance_by_currency"]
        return found

    def owed(self, account: AccountId, amount_minor: int = 5_000) -> RequestId:
        """A buyer paid long ago, the account spent it, and now a refund is asked for."""
        request = self.hold(self.pay(account, 2 * amount_minor), amount_minor)
        self.settle()
        return request

    def earn(self, account: AccountId, amount_minor: int) -> None:
        """Money comes in, and Stripe tells."""
        self.order(f"accounts/{account}/earn", amount=amount_minor)
        self.settle()

    def day(self) -> None:
        """A night passes, in which whoever has automatic payouts is paid out."""
        self.later(DAY)
        self.settle()

    def settle(self) -> None:
        """Let the worker do whatever there is to do, until it rests."""
        for _ in range(10):
            # What moved money just now is looked after in a moment.
            self.later(3)
            self.take_in()
            busy = self._work_once()
            if not busy and not self.letters_waiting():
                return
        raise AssertionError("the worker never comes to rest")

    def letters_waiting(self) -> bool:
        """Whether Stripe has something to tell."""
        found = self.letters()
        self.record(*found)
        return bool(found)

    def guard_once(self, services: Services | None = None) -> bool:
        """Look after one guard, as a worker does."""
        return guard_due_account(services or self.services)

    def sweep(self) -> None:
        """The timer's round, and what it causes."""
        sweep_guards(self.services, lambda: None)
        self.settle()

    def dies_after(self, boundaries: int, work: Callable[[], object]) -> bool:
        """Do some work with a worker that dies after so many boundaries; return whether it did.

        Its leases run out before anybody goes on.
        """
        self.life.left = boundaries
        try:
            work()
        except Crash:
            self.later(60)
            return True
        finally:
            self.life.left = None
        return False

    def guard(self, account: AccountId) -> GuardView:
        """The guard as the outside sees it."""
        with self.database.reading() as unit:
            view = view_guard(unit, account)
        assert view is not None, "this account never had a guard"
        return view

    def history(self, account: AccountId) -> list[str]:
        """What happened to the account's settings, in order."""
        with self.database.reading() as unit:
            return [str(entry.act) for entry in guard_entries(unit, account)]

    def told(self, account: AccountId) -> list[dict[str, Any]]:
        """What was told of the account's guard."""
        with self.database.reading() as unit:
            return [row.payload for row in told_of(unit, account)]

    def writes(self, account: AccountId) -> list[dict[str, Any]]:
        """Every change of the account's settings that Stripe was asked for."""
        calls: list[dict[str, Any]] = self.sandbox.control("GET", "calls")["calls"]
        return [
            call
            for call in calls
            if call["path"] == "/v1/balance_settings" and call.get("account") == account
        ]

    def _work_once(self) -> bool:
        busy = False
        for step in (recover_due_attempt, run_due_lane, guard_due_account):
            for _ in range(50):
                if not step(self.services):
                    break
                busy = True
            else:
                raise AssertionError(f"{step.__name__} never rests")
        return busy


def at(moment: datetime) -> int:
    """Seconds since 1970."""
    return int(moment.timestamp())
