"""Stripe's cursor pages: newest first, `limit`, `starting_after`, `ending_before`, `created`.

It cuts lists and may not filter by anything but time.
"""

import operator
from collections.abc import Callable

from sandbox.api.params import ParamError, Params
from sandbox.errors import invalid
from sandbox.world.shelves import Record

PAGE = frozenset({"limit", "starting_after", "ending_before", "created", "expand"})
"""Parameters that every list takes."""


Keep = Callable[[Record], bool]


def page(
    records: list[Record], params: Params, keep: Keep | None = None
) -> tuple[list[Record], bool]:
    """One page of records given oldest first, and whether there are more that way.

    A cursor may name a record that `keep` leaves out: it still marks its place.
    """
    limit = params.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= 100:
        raise ParamError("Invalid limit: must be between 1 and 100.", code=None, param="limit")
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        raise ParamError(
            "You may only specify one of starting_after and ending_before.",
            code=None,
            param="ending_before",
        )
    timely = _created_within(params)
    newest_first = [
        item for item in reversed(records) if (keep is None or keep(item)) and timely(item)
    ]
    if before:
        newer = newest_first[: _place(records, newest_first, before, "ending_before")]
        return newer[-limit:], len(newer) > limit
    if after:
        start = _place(records, newest_first, after, "starting_after")
        if start < len(newest_first) and newest_first[start].id == after:
            start += 1
        newest_first = newest_first[start:]
    return newest_first[:limit], len(newest_first) > limit


def _place(records: list[Record], shown: list[Record], cursor: str, param: str) -> int:
    """Where the cursor stands among those shown; it may itself be filtered out."""
    order = {record.id: number for number, record in enumerate(records)}
    if cursor not in order:
        raise invalid(f"No such object: '{cursor}'", code="resource_missing", param=param)
    at = order[cursor]
    return sum(1 for record in shown if order[record.id] > at)


def _created_within(params: Params) -> Keep:
    """The filter that `created` asks for: a moment, or bounds of one."""
    value = params.values.get("created")
    if value is None:
        return lambda _: True
    if isinstance(value, str):
        exact = params.integer("created")
        return lambda record: bool(record.body["created"] == exact)
    given = params.nested("created", _BOUNDS)
    bounds = [
        (_BOUNDS[name], limit) for name in _BOUNDS if (limit := given.integer(name)) is not None
    ]
    return lambda record: all(holds(record.body["created"], limit) for holds, limit in bounds)


_BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
