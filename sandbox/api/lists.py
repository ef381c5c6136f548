"""Stripe's cursor pages: newest first, `limit`, `starting_after`, `ending_before`, `created`.

It cuts lists and may not filter by anything but time.
"""

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
    newest_first = [
        item
        for item in reversed(records)
        if (keep is None or keep(item)) and _created_within(item, params)
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


def _created_within(record: Record, params: Params) -> bool:
    created = record.body.get("created", 0)
    value = params.values.get("created")
    if value is None:
        return True
    if isinstance(value, str):
        return bool(created == params.integer("created"))
    bounds = params.nested("created", ("gt", "gte", "lt", "lte"))
    gt, gte = bounds.integer("gt"), bounds.integer("gte")
    lt, lte = bounds.integer("lt"), bounds.integer("lte")
    return bool(
        (gt is None or created > gt)
        and (gte is None or created >= gte)
        and (lt is None or created < lt)
        and (lte is None or created <= lte)
    )
