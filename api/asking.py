"""Routes that take a wish: ask for a refund, and try one out.

They may not decide anything: intake and preview do, as for the terminal.
"""

from typing import Final

from api.refusals import RefusedError
from api.route import Answer, Call, Key, Reply, Route
from api.shapes import WishBody
from api.tokens import Scope
from handlers.intake import Taken, take_in
from handlers.listing import show_request
from handlers.preview import preview
from handlers.view import RequestView
from refunds.errors import WishError
from refunds.ids import AccountId, TransferId
from refunds.wish import TransferWish, Wish

REPLAYED: Final = {"Idempotent-Replayed": "true"}
"""As Stripe says it."""


def wish_of(body: WishBody) -> Wish:
    """Return the wish in a body that was validated; raise `RefusedError` (400) unless it names one
    payment.
    """
    if "payment_intent" in body and "charge" in body:
        message = "Name the payment_intent or the charge, not both."
        raise RefusedError(400, "parameter_invalid", message, param="charge")
    payment = body.get("payment_intent") or body.get("charge")
    if payment is None:
        message = "Name the payment: payment_intent or charge is missing."
        raise RefusedError(400, "parameter_missing", message, param="payment_intent")
    account = body.get("account")
    return Wish(
        payment=payment,
        amount_minor=body.get("amount"),
        account=None if account is None else AccountId(account),
        transfers=tuple(
            TransferWish(transfer=TransferId(each["transfer"]), amount_minor=each.get("amount"))
            for each in body.get("transfers", [])
        ),
        reason=body.get("reason"),
        refund_application_fee=body.get("refund_application_fee", False),
        additional=body.get("additional", False),
        metadata=body.get("metadata", {}),
    )


def in_the_callers_words(error: WishError, body: WishBody) -> WishError:
    """Return the error about the field that the caller gave: a wish knows but one payment."""
    if error.param == "payment_intent" and "payment_intent" not in body:
        error.param = "charge"
    return error


def status_of(taken: Taken) -> int:
    """Return 201 for a request that is new and decided, 202 for one that will be, 200 for a known
    one.
    """
    if taken.replayed:
        return 200
    return 201 if taken.decided else 202


def _ask(call: Call) -> Reply:
    assert call.key is not None, "the route requires one"
    try:
        taken = take_in(
            call.services, wish_of(call.body), idempotency_key=call.key, actor=call.actor
        )
    except WishError as error:
        raise in_the_callers_words(error, call.body) from None
    return Reply(
        status=status_of(taken),
        body=show_request(call.services.database, taken.request),
        headers=REPLAYED if taken.replayed else {},
    )


def _preview(call: Call) -> Reply:
    try:
        return Reply(body=preview(call.services, wish_of(call.body)))
    except WishError as error:
        raise in_the_callers_words(error, call.body) from None


_REFUSALS: Final = {
    404: "Stripe knows no such payment.",
    422: "The payment was split over several transfers, and `transfers` names none.",
    409: "The payment has an open request, and this one does not say `additional`.",
}

ASKING: Final = (
    Route(
        name="createRefundRequest",
        method="POST",
        path="/refund_requests",
        scope=Scope.REQUEST,
        summary="Ask for a refund",
        description="Recorded with its decision and answered at once; the worker sends it when the "
        "connected account's balance covers it. A wish that can't be met (disputed, already "
        "refunded, more than is left) is recorded as `rejected`. Asked again under the same "
        "`Idempotency-Key` it is the same request, for ever.",
        body=WishBody,
        key=Key.REQUIRED,
        asks_stripe=True,
        answers={
            200: Answer(says="This key was used for this wish before.", shape=RequestView),
            201: Answer(says="Recorded, with its decision.", shape=RequestView),
            202: Answer(
                says="Recorded; Stripe could not be asked, so it is decided later.",
                shape=RequestView,
            ),
        },
        refusals=_REFUSALS,
        do=_ask,
    ),
    Route(
        name="previewRefundRequest",
        method="POST",
        path="/refund_requests/preview",
        scope=Scope.REQUEST,
        summary="Try a wish out",
        description="What would be decided now. Nothing is recorded; the `id` is null.",
        body=WishBody,
        asks_stripe=True,
        answers={200: Answer(says="What it would become.", shape=RequestView)},
        refusals=_REFUSALS,
        do=_preview,
    ),
)
