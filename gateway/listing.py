"""Reads Stripe's lists to their end, or says that it couldn't.

This module pages and counts; it may not return a part of a list as if it were the whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal

from gateway.exchange import Call, Exchange
from gateway.fields import Fields, JsonObject, MalformedAnswerError
from gateway.port import ListingTooLongError

PAGE_SIZE: Final = 100
"""The most Stripe returns at once. Source: Stripe docs, "Pagination"."""

Cursor = Literal["starting_after", "ending_before"]


def walk(exchange: Exchange, call: Call, *, cursor: Cursor, bound: int) -> Iterator[JsonObject]:
    """Yield a list's objects page by page: newest first with `starting_after`, oldest first with
    `ending_before` (which must be among the parameters then).

    Raises `ListingTooLongError` instead of yielding more than `bound` objects.
    """
    params: Mapping[str, object] = {**call.params, "limit": PAGE_SIZE}
    yielded = 0
    while True:
        page = Fields(exchange.read(replace(call, params=params)), "list")
        items = page.objects("data")
        # A page comes newest first either way; going up, the oldest of it is next.
        ordered = items if cursor == "starting_after" else tuple(reversed(items))
        for item in ordered:
            if yielded == bound:
                raise ListingTooLongError(
                    f"{call.name} of {call.subject or call.account or 'the platform'} has more "
                    f"than {bound} entries; nothing was concluded from them"
                )
            yielded += 1
            yield item
        if not page.flag("has_more", absent=False):
            return
        if not ordered:
            raise MalformedAnswerError("list", "has_more")
        params = {**params, cursor: Fields(ordered[-1], "list.data").text("id")}
