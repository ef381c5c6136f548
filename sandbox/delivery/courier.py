"""The courier: sends each event to its endpoints in the background until they answer 2xx.

It may not hold the world's lock while it sends.
"""

import heapq
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import urllib3

from sandbox.clock import Wall, monotonic_seconds, wall_seconds
from sandbox.delivery.signing import signature_header
from sandbox.delivery.sorting import Delivery, Sorting, Standing
from sandbox.shapes import JsonObject
from sandbox.world import webhooks
from sandbox.world.core import World
from sandbox.world.shelves import Record

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
"""Waits between attempts: much shorter than Stripe's, a developer is watching."""

SENDERS = 8


class Courier:
    """Delivers from threads of its own between `start` and `stop`."""

    def __init__(
        self,
        world: World,
        *,
        retry_seconds: tuple[float, ...] = RETRY_SECONDS,
        timeout_seconds: float = 10.0,
        wall: Wall = wall_seconds,
    ) -> None:
        self.world = world
        # Apart, or the senders' threads would shuffle what a rule has put in order.
        self._sorting = Sorting(world, self._queue, apart_seconds=0.4)
        self._retry_seconds = retry_seconds
        self._timeout = urllib3.Timeout(total=timeout_seconds)
        self._wall = wall
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Delivery]] = []
        self._open = 0
        self._stopping = False
        self._pool = urllib3.PoolManager(maxsize=SENDERS, retries=False)
        self._senders = ThreadPoolExecutor(max_workers=SENDERS, thread_name_prefix="courier")
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        world.listeners.append(self._on_event)
        world.retellers.append(self._on_resend)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Stop delivering; what is on its way is finished, what waits is forgotten."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join()
        self._senders.shutdown(wait=True, cancel_futures=True)
        self._pool.clear()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing is on its way or due for a retry; held deliveries don't count."""
        with self._condition:
            return self._condition.wait_for(lambda: self._open == 0, timeout_seconds)

    def shown(self) -> JsonObject:
        """Every delivery and every rule as JSON."""
        with self._condition:
            return self._sorting.shown()

    def add_rule(self, wish: JsonObject) -> JsonObject:
        """Make a delivery rule; raises ValueError or TypeError for one that makes no sense."""
        with self._condition:
            return self._sorting.add_rule(wish)

    def clear_rules(self) -> int:
        """Forget all delivery rules; what they hold back stays held until released."""
        with self._condition:
            return self._sorting.clear_rules()

    def release_held(self) -> int:
        """Send the deliveries that rules hold back, oldest first."""
        with self._condition:
            return self._sorting.release_held()

    def _on_event(self, event: Record) -> None:
        endpoints = webhooks.audience(self.world, event)
        event.body["pending_webhooks"] = len(endpoints)
        with self._condition:
            for endpoint in endpoints:
                self._sorting.post(event, endpoint, ruled=True)

    def _on_resend(self, event: Record, endpoint: Record | None) -> None:
        endpoints = [endpoint] if endpoint else webhooks.audience(self.world, event)
        with self._condition:
            for each in endpoints:
                self._sorting.post(event, each, ruled=False)

    def _queue(self, delivery: Delivery, seconds: float) -> None:
        if not delivery.attempts:
            self._open += 1
        delivery.standing = Standing.WAITING
        heapq.heappush(self._due, (monotonic_seconds() + seconds, delivery.number, delivery))
        self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._stopping and (wait := self._until_due()) != 0:
                    self._condition.wait(wait)
                if self._stopping:
                    return
                _, _, delivery = heapq.heappop(self._due)
            self._senders.submit(self._attempt, delivery)

    def _until_due(self) -> float | None:
        if not self._due:
            return None
        return max(0.0, self._due[0][0] - monotonic_seconds())

    def _attempt(self, delivery: Delivery) -> None:
        try:
            outcome = self._post(delivery)
        except Exception:  # a defect here must show and must not stop the other deliveries
            log.exception("the courier failed on %s", delivery.event)
            outcome = {"status": None, "error": "the courier failed"}
        done = outcome["status"] is not None and 200 <= outcome["status"] < 300
        if done:
            with self.world.lock:
                body = self.world.shelves.get(delivery.event).body
                body["pending_webhooks"] = max(0, body["pending_webhooks"] - 1)
        with self._condition:
            delivery.attempts.append(outcome)
            retries = len(delivery.attempts) - 1
            if not done and retries < len(self._retry_seconds):
                self._queue(delivery, self._retry_seconds[retries])
                return
            delivery.standing = Standing.DELIVERED if done else Standing.GIVEN_UP
            self._open -= 1
            self._condition.notify_all()

    def _post(self, delivery: Delivery) -> JsonObject:
        with self.world.lock:
            event = self.world.shelves.get(delivery.event)
            endpoint = self.world.shelves.find(delivery.endpoint)
            payload = json.dumps(event.body).encode()
        if endpoint is None:
            return {"status": 200, "error": "the endpoint was deleted meanwhile"}
        timestamp = int(self._wall())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature_header(payload, endpoint.hidden["secret"], timestamp),
        }
        try:
            answer = self._pool.request(
                "POST",
                endpoint.body["url"],
                body=payload,
                headers=headers,
                timeout=self._timeout,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return {"status": None, "error": type(error).__name__}
        return {"status": answer.status, "error": None}
