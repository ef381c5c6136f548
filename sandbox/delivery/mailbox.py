"""The mailbox: signed deliveries that wait to be fetched, for sandboxes without sockets.

It keeps and signs deliveries in the world's own time and may not send any.
"""

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.delivery.signing import signature_header
from sandbox.delivery.sorting import Delivery, Sorting, Standing
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
        self._sorting = Sorting(world, self._put)
        self._slots: list[_Slot] = []
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
        return self._sorting.shown()

    def add_rule(self, wish: JsonObject) -> JsonObject:
        """Make a delivery rule; raises ValueError or TypeError for one that makes no sense."""
        return self._sorting.add_rule(wish)

    def clear_rules(self) -> int:
        """Forget all delivery rules; what they hold back stays held until released."""
        return self._sorting.clear_rules()

    def release_held(self) -> int:
        """Make the deliveries that rules hold back due, oldest first."""
        return self._sorting.release_held()

    def _on_event(self, event: Record) -> None:
        endpoints = webhooks.audience(self.world, event)
        event.body["pending_webhooks"] = len(endpoints)
        for endpoint in endpoints:
            self._sorting.post(event, endpoint, ruled=True)

    def _on_resend(self, event: Record, endpoint: Record | None) -> None:
        for each in [endpoint] if endpoint else webhooks.audience(self.world, event):
            self._sorting.post(event, each, ruled=False)

    def _put(self, delivery: Delivery, seconds: float) -> None:
        self._place += 1
        delivery.standing = Standing.WAITING
        heapq.heappush(self._slots, _Slot(self.world.now() + int(seconds), self._place, delivery))

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
