"""Routes that show what is there: one request, lists of them, a connected account.

They may not ask Stripe or change anything.
"""

from typing import Final

from api.refusals import RefusedError
from api.route import Answer, Call, Reply, Route
from api.shapes import ListQuery
from api.tokens import Scope
from handlers.accounts import AccountView, view_account
from handlers.listing import PAGE_DEFAULT, PageWanted, RequestPage, list_page, show_request
from handlers.view import RequestView
from refunds.errors import RequestNotFoundError
from refunds.ids import AccountId


def _list(call: Call) -> Reply:
    query = call.query
    if "starting_after" in query and "ending_before" in query:
        raise RefusedError(
            400,
            "parameter_invalid",
            "Give starting_after or ending_before, not both.",
            param="ending_before",
        )
    wanted = PageWanted(
        status=query.get("status"),
        account=query.get("account"),
        limit=query.get("limit", PAGE_DEFAULT),
        starting_after=query.get("starting_after"),
        ending_before=query.get("ending_before"),
    )
    try:
        return Reply(body=list_page(call.services.database, wanted))
    except RequestNotFoundError as error:
        # About a parameter, not about the list: 404 would say that there is none.
        param = "starting_after" if "starting_after" in query else "ending_before"
        raise RefusedError(400, "resource_missing", str(error), param=param) from error


def _show(call: Call) -> Reply:
    return Reply(body=show_request(call.services.database, call.request))


def _account(call: Call) -> Reply:
    account = AccountId(call.path["account"])
    with call.services.database.reading() as unit:
        return Reply(body=view_account(unit, account))


READING: Final = (
    Route(
        name="listRefundRequests",
        method="GET",
        path="/refund_requests",
        scope=Scope.READ,
        summary="List refund requests",
        description="The newest first, a page at a time. To turn the page, repeat the question "
        "with `starting_after`: the id of the last request you have.",
        query=ListQuery,
        answers={200: Answer(says="A page.", shape=RequestPage)},
        refusals={},
        do=_list,
    ),
    Route(
        name="getRefundRequest",
        method="GET",
        path="/refund_requests/{id}",
        scope=Scope.READ,
        summary="Show a refund request",
        description="As it stands: where its amount lies, what was decided and why.",
        answers={200: Answer(says="The request.", shape=RequestView)},
        refusals={404: "There is no such request."},
        do=_show,
    ),
    Route(
        name="getAccount",
        method="GET",
        path="/accounts/{account}",
        scope=Scope.READ,
        summary="Show a connected account",
        description="How it stands in Sluice's books: what waits for it, what is promised to "
        "refunds under way, what the platform stands in for. Stripe is not asked.",
        answers={200: Answer(says="The account.", shape=AccountView)},
        refusals={404: "Nothing is known of such an account."},
        do=_account,
    ),
)
