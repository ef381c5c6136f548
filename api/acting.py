"""Routes that do what a person may do with a request: cancel, approve, release, close.

They may not judge whether it is possible: `handlers.operate` does, as for the terminal.
"""

from typing import Final

from api.asking import REPLAYED
from api.route import Answer, Call, Key, Reply, Route
from api.shapes import NoteBody
from api.tokens import Scope
from handlers.operate import Action
from handlers.operate_once import act_once
from handlers.view import RequestView


def _route(action: Action, scope: Scope, summary: str, description: str) -> Route:
    def do(call: Call) -> Reply:
        done = act_once(
            call.services,
            action,
            call.request,
            note=call.body["note"],
            actor=call.actor,
            key=call.key,
        )
        return Reply(body=done.view, headers=REPLAYED if done.replayed else {})

    return Route(
        name=f"{action}RefundRequest",
        method="POST",
        path=f"/refund_requests/{{id}}/{action}",
        scope=scope,
        summary=summary,
        description=f"{description} The note is kept with the request for ever, with the token's "
        "name. Under an `Idempotency-Key` it is done once, and a repetition gets the first answer.",
        body=NoteBody,
        key=Key.OPTIONAL,
        answers={200: Answer(says="Done: the request as it is now.", shape=RequestView)},
        refusals={
            404: "There is no such request.",
            409: "The request's state does not allow it; nothing was changed.",
        },
        do=do,
    )


ACTING: Final = (
    _route(
        Action.CANCEL,
        Scope.REQUEST,
        "Withdraw a request",
        "Before anything was sent to Stripe.",
    ),
    _route(
        Action.APPROVE,
        Scope.APPROVE,
        "Approve a request in review",
        "It is on hold again, the rule that stopped it waived, and goes out when the balance "
        "covers it.",
    ),
    _route(
        Action.RELEASE,
        Scope.COVER,
        "Release a request uncovered",
        "The next release run sends it, covered or not: what the connected account can't pay, the "
        "platform pays.",
    ),
    _route(
        Action.CLOSE,
        Scope.APPROVE,
        "Close a request",
        "The buyer was paid another way, or it is given up.",
    ),
)
