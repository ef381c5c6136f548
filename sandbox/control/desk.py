"""The control desk: which path does which verb, and the errors of all of them.

It dispatches and may not do a verb's work.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from sandbox.api.door import Door
from sandbox.api.rendering import render
from sandbox.control.asking import Asking
from sandbox.errors import ApiError, missing
from sandbox.shapes import JsonObject
from sandbox.world import accounts, balances, course
from sandbox.world.core import World
from sandbox.world.shelves import Record


class Courier(Protocol):
    """What the desk asks of whoever delivers webhooks."""

    def shown(self) -> JsonObject:
        """Every delivery and every rule as JSON."""

    def add_rule(self, wish: JsonObject) -> JsonObject:
        """Make a delivery rule; raises ValueError or TypeError for one that makes no sense."""

    def clear_rules(self) -> int:
        """Forget all delivery rules."""

    def release_held(self) -> int:
        """Send the deliveries that rules hold back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One control request as a verb sees it."""

    door: Door
    courier: Courier | None
    named: dict[str, str]
    asking: Asking

    @property
    def world(self) -> World:
        """The world to act on."""
        return self.door.world

    def account(self, account_id: str | None = None) -> Record:
        """The account that the path or a field names; "platform" is the platform."""
        name = account_id or self.named["id"]
        if name == "platform":
            name = self.world.platform
        record = self.world.shelves.find(name)
        if record is None or record.kind != "account":
            raise missing("account", name)
        return record

    def connected(self, account_id: str) -> Record:
        """A connected account that the platform has access to."""
        record = accounts.connected(self.world, account_id)
        if record is None or self.world.is_platform(record.body["id"]):
            raise missing("account", account_id)
        return record

    def object(self, kind: str, object_id: str | None = None) -> Record:
        """Any account's object of that kind."""
        name = object_id or self.named["id"]
        record = self.world.shelves.find(name)
        if record is None or record.kind != kind:
            raise missing(kind, name)
        return record

    def shown(self, record: Record) -> JsonObject:
        """An object as the API answers it."""
        return render(self.world, record)

    def balance(self, account: Record) -> JsonObject:
        """An account's balance as the API answers it."""
        return balances.build(self.world, account.body["id"])

    def settlement(self) -> int:
        """When money that is paid now becomes available."""
        return self.world.now() + self.world.switches.settlement_days * accounts.DAY

    def landing(self) -> int:
        """When money lands: `available_on` says exactly, `funds` says now or later."""
        funds = self.asking.choice("funds", ("available", "pending"), "available")
        moment = self.asking.moment("available_on")
        if moment is not None:
            return moment
        return self.world.now() if funds == "available" else self.settlement()


Verb = Callable[[Order], JsonObject]


class Desk:
    """Carries out control requests; safe to call from several threads."""

    def __init__(
        self, door: Door, table: dict[tuple[str, str], Verb], courier: Courier | None = None
    ) -> None:
        self.door = door
        self.courier = courier
        self._table = table

    def handle(self, method: str, path: str, body: JsonObject) -> tuple[int, JsonObject]:
        """Status and JSON answer of a control request; errors have Stripe's shape."""
        world = self.door.world
        with world.lock:
            try:
                verb, named = self._find(method, path)
                course.catch_up(world)
                order = Order(
                    door=self.door, courier=self.courier, named=named, asking=Asking(body)
                )
                answer = verb(order)
                course.catch_up(world)
            except ApiError as error:
                return error.status, error.body()
            except (ValueError, TypeError, KeyError) as error:
                return 400, ApiError(400, f"{type(error).__name__}: {error}").body()
        return 200, answer

    def play(self, step: JsonObject) -> object:
        """Carry out one step of an interlude; raises ValueError if it is refused."""
        path = str(step.get("path", ""))
        status, answer = self.handle(str(step.get("method", "POST")), path, step.get("body", {}))
        if status >= 400:
            raise ValueError(f"interlude step {path} was refused: {answer}")
        return answer

    def _find(self, method: str, path: str) -> tuple[Verb, dict[str, str]]:
        for (wanted, pattern), verb in self._table.items():
            if wanted == method and (hit := _regex(pattern).fullmatch(path)):
                return verb, hit.groupdict()
        raise ApiError(404, f"There is no control verb {method} {path}; see sandbox/README.md.")


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))
