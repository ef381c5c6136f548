"""Where every object is kept, by kind and by the account that owns it.

It stores and finds objects and may not change what they say.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.shapes import AccountId, JsonObject


@dataclass(slots=True)
class Record:
    """One stored object: its JSON body, who owns it, and what only the sandbox knows about it."""

    kind: str
    owner: AccountId
    body: JsonObject
    hidden: dict[str, Any] = field(default_factory=dict)
    """What Stripe would know but not show: a payment method's behaviour, a bank's answer."""

    @property
    def id(self) -> str:
        """The object's id."""
        return str(self.body["id"])


class Shelves:
    """All objects of a world, in the order they were made."""

    def __init__(self) -> None:
        self._by_id: dict[str, Record] = {}
        self._by_owner: defaultdict[tuple[str, AccountId], dict[str, Record]] = defaultdict(dict)
        self._by_link: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)

    def put(self, record: Record, *, links: tuple[str, ...] = ()) -> Record:
        """Keep a new object; `links` are ids under which `linked` finds it again."""
        if record.id in self._by_id:
            raise KeyError(f"{record.id} exists already")
        self._by_id[record.id] = record
        self._by_owner[record.kind, record.owner][record.id] = record
        for link in links:
            self._by_link[record.kind, link].append(record)
        return record

    def drop(self, record: Record) -> None:
        """Forget an object that Stripe really deletes, such as a webhook endpoint."""
        del self._by_id[record.id]
        del self._by_owner[record.kind, record.owner][record.id]

    def find(self, object_id: str) -> Record | None:
        """Any object by id, whoever owns it."""
        return self._by_id.get(object_id)

    def get(self, object_id: str) -> Record:
        """An object that must be there."""
        return self._by_id[object_id]

    def owned(self, kind: str, owner: AccountId, object_id: str) -> Record | None:
        """An object of that kind if it is that account's."""
        return self._by_owner[kind, owner].get(object_id)

    def of(self, kind: str, owner: AccountId) -> list[Record]:
        """All objects of that kind of one account, oldest first."""
        return list(self._by_owner[kind, owner].values())

    def linked(self, kind: str, link: str) -> list[Record]:
        """Objects of that kind that were put with that link, oldest first."""
        return list(self._by_link[kind, link])

    def everything(self) -> Iterator[Record]:
        """Every object, oldest first."""
        return iter(list(self._by_id.values()))
