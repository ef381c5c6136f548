"""Lists refund requests, a page at a time, newest first: the one list that API and CLI share.

It may not judge who may see it, or read a page that is not bounded.
"""

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import with_config

# As in handlers/view.py: pydantic reads `typing.TypedDict` from Python 3.12 on only.
from typing_extensions import TypedDict

from handlers.view import RequestView, view_request, view_requests
from refunds.ids import AccountId, RequestId
from refunds.lifecycle import Status
from store.database import Database
from store.requests import LIST_LIMIT, get_request, list_requests

PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = LIST_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWanted:
    """Which requests a caller wants to see."""

    status: Status | None = None
    account: AccountId | None = None
    limit: int = PAGE_DEFAULT
    starting_after: RequestId | None = None
    """The last of the page before: the next older ones."""
    ending_before: RequestId | None = None
    """The first of the page after: the next newer ones."""

    def __post_init__(self) -> None:
        assert 1 <= self.limit <= PAGE_MAX
        assert self.starting_after is None or self.ending_before is None


@with_config(use_attribute_docstrings=True, extra="forbid")
class RequestPage(TypedDict):
    """A page of refund requests, the newest first."""

    object: Literal["list"]
    url: str
    has_more: bool
    """Whether there are more in the direction that was turned to."""
    data: list[RequestView]


def list_page(database: Database, wanted: PageWanted) -> RequestPage:
    """Return a page; raise `RequestNotFoundError` where a page is to begin at an unknown id."""
    with database.reading() as unit:
        for cursor in (wanted.starting_after, wanted.ending_before):
            if cursor is not None:
                # A mistyped id sorts somewhere, and would pass for an end of the list.
                get_request(unit, cursor)
        rows = list_requests(
            unit,
            status=wanted.status,
            account=wanted.account,
            before=wanted.starting_after,
            after=wanted.ending_before,
            limit=wanted.limit + 1,
        )
        has_more = len(rows) > wanted.limit
        # One was read too many, at the end that was turned to.
        kept = rows[-wanted.limit :] if wanted.ending_before else rows[: wanted.limit]
        data = view_requests(unit, kept)
    return RequestPage(object="list", url="/api/refund_requests", has_more=has_more, data=data)


def show_request(database: Database, request: RequestId) -> RequestView:
    """Return one request as it stands; raise `RequestNotFoundError`."""
    with database.reading() as unit:
        return view_request(unit, request)
