"""The sorting of deliveries: one for each event and endpoint, and what a rule does to it.

It says when a delivery is to be sent and may not send it. It holds no lock: its owner does.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import assert_never

from sandbox.delivery.rules import DeliveryRule, DeliveryRules, Mishap
from sandbox.shapes import JsonObject
from sandbox.world.core import World
from sandbox.world.shelves import Record

KEPT = 10_000
"""Deliveries that are remembered."""


class Standing(StrEnum):
    """How a delivery stands."""

    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint."""

    number: int
    event: str
    type: str
    endpoint: str
    url: str
    standing: Standing = Standing.WAITING
    attempts: list[JsonObject] = field(default_factory=list)

    def shown(self) -> JsonObject:
        """The delivery as JSON."""
        return {**asdict(self), "standing": self.standing.value}


Put = Callable[[Delivery, float], None]
"""Asked to send a delivery so many seconds from now."""


class Sorting:
    """Every delivery ever made and the rules that meet new ones.

    `apart_seconds` keeps reordered deliveries in order where several senders are at work.
    """

    def __init__(self, world: World, put: Put, *, apart_seconds: float = 0.0) -> None:
        self._rules = DeliveryRules(seed=world.seed)
        self._put = put
        self._apart_seconds = apart_seconds
        self._held: list[tuple[DeliveryRule, Delivery]] = []
        self._history: deque[Delivery] = deque(maxlen=KEPT)
        self._count = 0

    def post(self, event: Record, endpoint: Record, *, ruled: bool) -> None:
        """A new delivery; `ruled` says whether rules meet it."""
        rule = self._rules.take(event.body["type"], event.body.get("account")) if ruled else None
        delivery = self._new(event, endpoint)
        if rule is None:
            self._put(delivery, 0.0)
            return
        match rule.kind:
            case Mishap.DROP:
                delivery.standing = Standing.DROPPED
            case Mishap.DUPLICATE:
                self._put(delivery, 0.0)
                for _ in range(rule.copies):
                    self._put(self._new(event, endpoint), 0.0)
            case Mishap.DELAY:
                self._put(delivery, rule.seconds)
            case Mishap.HOLD | Mishap.REORDER:
                delivery.standing = Standing.HELD
                self._held.append((rule, delivery))
                self._release_full(rule)
            case _:
                assert_never(rule.kind)

    def shown(self) -> JsonObject:
        """Every delivery and every rule as JSON."""
        return {
            "deliveries": [delivery.shown() for delivery in self._history],
            "rules": [rule.shown() for rule in self._rules.rules],
        }

    def add_rule(self, wish: JsonObject) -> JsonObject:
        """Make a delivery rule; raises ValueError or TypeError for one that makes no sense."""
        return self._rules.add(wish).shown()

    def clear_rules(self) -> int:
        """Forget all delivery rules; what they hold back stays held until released."""
        count = len(self._rules.rules)
        self._rules.rules.clear()
        return count

    def release_held(self) -> int:
        """Send the deliveries that rules hold back, oldest first."""
        held = [delivery for _, delivery in self._held]
        self._held.clear()
        for delivery in held:
            self._put(delivery, 0.0)
        return len(held)

    def _release_full(self, rule: DeliveryRule) -> None:
        mine = [delivery for holder, delivery in self._held if holder is rule]
        if rule.kind is not Mishap.REORDER or len(mine) < rule.size:
            return
        self._held = [pair for pair in self._held if pair[0] is not rule]
        for place, delivery in enumerate(reversed(mine)):
            self._put(delivery, self._apart_seconds * place)

    def _new(self, event: Record, endpoint: Record) -> Delivery:
        self._count += 1
        delivery = Delivery(
            number=self._count,
            event=event.id,
            type=event.body["type"],
            endpoint=endpoint.id,
            url=endpoint.body["url"],
        )
        self._history.append(delivery)
        return delivery
