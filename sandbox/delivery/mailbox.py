"""The mailbox: signed deliveries that wait to be fetched, for sandboxes without sockets.

It keeps and signs deliveries in the world's own time and may not send any.
"""

import heapq
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import assert_never

from sandbox.delivery.courier import KEPT, Delivery, Standing
from sandbox.delivery.rules import DeliveryRule, DeliveryRules, Mishap
from sandbox.delivery.signing import signature_header
from sandbox.shapes import JsonObject
from sandbox.world import webhooks
from sandbox.world.core import World
from sandbox.world.shelves import Record

RETRY_SECONDS = (60, 300, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400)
"""Waits between attempts, adding up to more than two days of the world's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One attempt to deliver one event: exactly what the endpoint's HTTP request would hold."""

    url: str
    body: bytes
    signature: str
    event: str
    type: str
    account: str | None
    attempt: int


@dataclass(slots=True, order=True)
class _Slot:
    due: int
    place: int
    delivery: Delivery = field(compare=False)


class Mailbox:
    """Deliveries in the order they are due; a `send` of the caller's own brings them over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rules = DeliveryRules(seed=world.seed)
        self._slots: list[_Slot] = []
        self._held: list[tuple[DeliveryRule, Delivery]] = []
        self._history: deque[Delivery] = deque(maxlen=KEPT)
        self._count = 0
        self._place = 0
        world.listeners.append(self._on_event)
        world.retellers.append(self._on_resend)

    def deliver(self, send: Callable[[Letter], int], *, limit: int = 1_000) -> int:
        """Send what is due, oldest first; `send` answers the endpoint's status, 0 for none.

        What isn't answered with 2xx is due again later. Answers how many attempts were made, at
        most `limit`: an endpoint that makes new events with each delivery must not go on for ever.
        """
        attempts = 0
        while attempts < limit and (slot := self._next()) is not None:
            attempts += 1
            self._finish(slot.delivery, send(self._letter(slot.delivery)))
        return attempts

    def due(self) -> int:
        """How many deliveries are due now."""
        return sum(slot.due <= self.world.now() for slot in self._slots)

    def next_due(self) -> int | None:
        """When the next delivery is due, in the world's time."""
        return self._slots[0].due if self._slots else None

    def shuffle(self, order: Callable[[list[str]], list[int]]) -> None:
        """Put waiting deliveries in another order: `order` gets their events and answers places."""
        waiting = sorted(self._slots)
        places = order([slot.delivery.event for slot in waiting])
        for place, index in enumerate(places):
            waiting[index].place = place
        heapq.heapify(self._slots)

    def shown(self) -> JsonObject:
        """Every delivery and every rule as JSON."""
        return {
            "deliveries": [
                {**asdict(delivery), "standing": delivery.standing.value}
                for delivery in self._history
            ],
            "rules": [rule.shown() for rule in self.rules.rules],
        }

    def add_rule(self, wish: JsonObject) -> JsonObject:
        """Make a delivery rule; raises ValueError or TypeError for one that makes no sense."""
        return self.rules.add(wish).shown()

    def clear_rules(self) -> int:
        """Forget all delivery rules; what they hold back stays held until released."""
        count = len(self.rules.rules)
        self.rules.rules.clear()
        return count

    def release_held(self) -> int:
        """Make the deliveries that rules hold back due, oldest first."""
        held = [delivery for _, delivery in self._held]
        self._held.clear()
        for delivery in held:
            self._put(delivery, 0)
        return len(held)

    def _on_event(self, event: Record) -> None:
        endpoints = webhooks.audience(self.world, event)
        event.body["pending_webhooks"] = len(endpoints)
        for endpoint in endpoints:
            rule = self.rules.take(event.body["type"], event.body.get("account"))
            delivery = self._new(event, endpoint)
            if rule is None:
                self._put(delivery, 0)
            else:
                self._mishap(rule, delivery, event, endpoint)

    def _on_resend(self, event: Record, endpoint: Record | None) -> None:
        for each in [endpoint] if endpoint else webhooks.audience(self.world, event):
            self._put(self._new(event, each), 0)

    def _mishap(
        self, rule: DeliveryRule, delivery: Delivery, event: Record, endpoint: Record
    ) -> None:
        match rule.kind:
            case Mishap.DROP:
                delivery.standing = Standing.DROPPED
            case Mishap.DUPLICATE:
                self._put(delivery, 0)
                for _ in range(rule.copies):
                    self._put(self._new(event, endpoint), 0)
            case Mishap.DELAY:
                self._put(delivery, int(rule.seconds))
            case Mishap.HOLD | Mishap.REORDER:
                delivery.standing = Standing.HELD
                self._held.append((rule, delivery))
                self._release_full(rule)
            case _:
                assert_never(rule.kind)

    def _release_full(self, rule: DeliveryRule) -> None:
        mine = [delivery for holder, delivery in self._held if holder is rule]
        if rule.kind is Mishap.REORDER and len(mine) >= rule.size:
            self._held = [pair for pair in self._held if pair[0] is not rule]
            for delivery in reversed(mine):
                self._put(delivery, 0)

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

    def _put(self, delivery: Delivery, seconds: int) -> None:
        self._place += 1
        delivery.standing = Standing.WAITING
        heapq.heappush(self._slots, _Slot(self.world.now() + seconds, self._place, delivery))

    def _next(self) -> _Slot | None:
        ready = self._slots and self._slots[0].due <= self.world.now()
        return heapq.heappop(self._slots) if ready else None

    def _letter(self, delivery: Delivery) -> Letter:
        event = self.world.shelves.get(delivery.event)
        endpoint = self.world.shelves.get(delivery.endpoint)
        body = json.dumps(event.body).encode()
        return Letter(
            url=delivery.url,
            body=body,
            signature=signature_header(body, endpoint.hidden["secret"], self.world.now()),
            event=event.id,
            type=delivery.type,
            account=event.body.get("account"),
            attempt=len(delivery.attempts) + 1,
        )

    def _finish(self, delivery: Delivery, status: int) -> None:
        retries = len(delivery.attempts)
        delivery.attempts.append({"status": status or None, "error": None})
        if 200 <= status < 300:
            delivery.standing = Standing.DELIVERED
            body = self.world.shelves.get(delivery.event).body
            body["pending_webhooks"] = max(0, body["pending_webhooks"] - 1)
        elif retries < len(RETRY_SECONDS):
            self._put(delivery, RETRY_SECONDS[retries])
        else:
            delivery.standing = Standing.GIVEN_UP
