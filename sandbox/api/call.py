"""One API call as an endpoint sees it: whose it is, what it names and what it asks.

It finds and answers objects and may not know transports.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.api.lists import Keep, page
from sandbox.api.params import Params
from sandbox.api.rendering import PRESENT, expand_path, render
from sandbox.errors import missing
from sandbox.shapes import AccountId, JsonObject
from sandbox.world.core import World
from sandbox.world.shelves import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A decoded, authenticated call; `owner` is the account it acts as."""

    world: World
    owner: AccountId
    path: str
    named: dict[str, str]
    """Ids in the path, by their place's name."""
    params: Params
    key: str
    """The API key, for messages only."""

    @property
    def expand(self) -> list[str]:
        """What to expand."""
        return self.params.texts("expand")

    def record(self, kind: str, *, place: str = "id", owner: AccountId | None = None) -> Record:
        """The object that the path names."""
        object_id = self.named[place]
        record = self.world.shelves.owned(kind, owner or self.owner, object_id)
        if record is None:
            raise missing(kind, object_id)
        return record

    def referred(self, kind: str, object_id: str, param: str) -> Record:
        """The object that a parameter names."""
        record = self.world.shelves.owned(kind, self.owner, object_id)
        if record is None:
            raise missing(kind, object_id, in_path=False, param=param)
        return record

    def answer(self, record: Record) -> JsonObject:
        """An object, expanded as asked."""
        return render(self.world, record, self.expand)

    def answer_list(self, records: Iterable[Record], keep: Keep | None = None) -> JsonObject:
        """A page of objects that are given oldest first; `keep` leaves some out."""
        chosen, has_more = page(list(records), self.params, keep)
        body: JsonObject = {
            "object": "list",
            "data": [render(self.world, record) for record in chosen],
            "has_more": has_more,
            "url": self.path,
        }
        for path in self.expand:
            expand_path(self.world, body, path)
        return body


Endpoint = Callable[[Call], JsonObject]


def change_metadata(call: Call, record: Record, *event_types: str) -> JsonObject:
    """Merge the call's metadata into an object's; empty values unset keys."""
    given = call.params.nested("metadata").values
    fresh = call.params.metadata()
    with call.world.changing(record, *event_types, present=PRESENT.get(record.kind)) as body:
        if call.params.values.get("metadata") == "":
            body["metadata"] = {}
        kept = {key: value for key, value in body["metadata"].items() if key not in given}
        body["metadata"] = {**kept, **fresh}
    return call.answer(record)
