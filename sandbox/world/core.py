"""The world itself: clock, ids, shelves, books, agenda and the events they make.

It offers what every verb needs and may not know any verb.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.clock import Clock
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.agenda import Agenda
from sandbox.world.books import Books
from sandbox.world.copies import clone
from sandbox.world.ids import Ids
from sandbox.world.shelves import Record, Shelves
from sandbox.world.switches import Switches

API_VERSION = "2026-10-28.endive"
"""The version whose shapes are built here: the one `stripe` 16.1.0 pins."""

START = 1_795_406_400
"""Where a frozen clock begins unless told: a Monday, 2026-11-23 04:00 UTC."""

Listener = Callable[[Record], None]
"""Told of every event record as it is made; must not block, the world is locked."""

Present = Callable[["World", Record], JsonObject]


class World:
    """Everything one sandbox knows. Hold `lock` while reading or changing more than one thing."""

    def __init__(self, *, seed: int = 0, clock: Clock | None = None) -> None:
        self.lock = threading.RLock()
        self.seed = seed
        self.clock = clock or Clock(start=START)
        self.ids = Ids(seed)
        self.shelves = Shelves()
        self.books = Books()
        self.agenda = Agenda()
        self.switches = Switches()
        self.listeners: list[Listener] = []
        self.request: JsonObject | None = None
        """Id and idempotency key of the API request being answered, as events show it."""
        self.retellers: list[Callable[[Record, Record | None], None]] = []
        """Told of an event that is to be delivered once more, to one endpoint or to all."""
        self.waiting_refunds: list[str] = []
        """Ids of refunds that wait for their account's balance."""
        self.gained: list[AccountId] = []
        """Accounts that were paid money which is available at once, not told of it yet."""
        self.reserved: dict[str, int] = {}
        """What Stripe holds of the platform's for connected accounts in the red, per currency."""
        self.platform = AccountId("")
        self.application = ""

    def now(self) -> int:
        """Whole seconds since the epoch, sandbox time."""
        return self.clock.now()

    def new_id(self, prefix: str, *, length: int = 24) -> str:
        """A new id such as `re_…`."""
        return self.ids.make(prefix, length=length)

    def put(
        self,
        kind: str,
        owner: AccountId,
        body: JsonObject,
        *,
        links: tuple[str | None, ...] = (),
        **hidden: object,
    ) -> Record:
        """Keep a new object under its owner."""
        record = Record(kind=kind, owner=owner, body=body, hidden=dict(hidden))
        return self.shelves.put(record, links=tuple(link for link in links if link))

    def is_platform(self, owner: AccountId) -> bool:
        """Whether that is the platform itself."""
        return owner == self.platform

    def emit(
        self,
        event_type: str,
        record: Record,
        *,
        previous: JsonObject | None = None,
        shown: JsonObject | None = None,
        owner: AccountId | None = None,
    ) -> Record:
        """Make an event about an object as it is now; `shown` replaces the object's own body."""
        account = record.owner if owner is None else owner
        data: JsonObject = {"object": clone(record.body if shown is None else shown)}
        if previous is not None:
            data["previous_attributes"] = previous
        body: JsonObject = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": clone(self.request) or {"id": None, "idempotency_key": None},
            "type": event_type,
        }
        if not self.is_platform(account):
            body["account"] = account
        event = self.put("event", account, body)
        for listener in self.listeners:
            listener(event)
        return event

    @contextmanager
    def changing(
        self, record: Record, *event_types: str, present: Present | None = None
    ) -> Iterator[JsonObject]:
        """Change an object's body, then emit events with what it said before."""

        def show() -> JsonObject:
            return clone(present(self, record) if present else record.body)

        before = show()
        yield record.body
        after = show()
        previous = differences(before, after)
        for event_type in event_types:
            self.emit(event_type, record, previous=previous, shown=after)


def differences(before: JsonObject, after: JsonObject) -> JsonObject:
    """What `before` said where `after` says something else (Stripe's `previous_attributes`)."""
    changed: JsonObject = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[name] = differences(old, new)
        else:
            changed[name] = clone(old)
    return changed
