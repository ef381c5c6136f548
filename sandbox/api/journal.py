"""What was asked of the API: every changing call in full, reading calls by count.

It records and may not judge.
"""

from collections import Counter
from dataclasses import asdict, dataclass

from sandbox.shapes import JsonObject


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request and how it ended; `status` is None while it is being carried out."""

    number: int
    at: int
    method: str
    path: str
    account: str | None
    params: JsonObject
    idempotency_key: str | None
    request_id: str
    status: int | None = None
    error: JsonObject | None = None
    object_id: str | None = None
    replayed: bool = False
    fault: str | None = None
    fate: str = "answered"

    def close(self, status: int, body: JsonObject) -> None:
        """Note the answer."""
        self.status = status
        self.error = body.get("error")
        if self.error is None:
            found = body.get("id")
            self.object_id = found if isinstance(found, str) else None

    def shown(self) -> JsonObject:
        """The entry as JSON."""
        return asdict(self)


class Journal:
    """Changing calls in the order they came, and how often each path was read."""

    def __init__(self) -> None:
        self.calls: list[Entry] = []
        self.reads: Counter[str] = Counter()
        self._last: Entry | None = None
        self._count = 0

    def open(
        self,
        *,
        at: int,
        method: str,
        path: str,
        account: str | None,
        params: JsonObject,
        idempotency_key: str | None,
        request_id: str,
    ) -> Entry:
        """Note that a request came."""
        self._count += 1
        entry = Entry(
            number=self._count,
            at=at,
            method=method,
            path=path,
            account=account,
            params=params,
            idempotency_key=idempotency_key,
            request_id=request_id,
        )
        self._last = entry
        if method == "GET":
            self.reads[path] += 1
        else:
            self.calls.append(entry)
        return entry

    def last(self, request_id: str) -> Entry | None:
        """The latest entry if it belongs to that request."""
        entry = self._last
        return entry if entry is not None and entry.request_id == request_id else None

    def refused(self) -> list[Entry]:
        """Changing calls that were answered with an error, replays apart."""
        return [
            entry
            for entry in self.calls
            if entry.status is not None and entry.status >= 400 and not entry.replayed
        ]
