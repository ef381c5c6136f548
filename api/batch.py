"""The route that takes many wishes at once, each recorded or refused by itself.

It may not keep a caller waiting without a bound: what Stripe can't be asked about in time is
recorded, and decided by a worker.
"""

from typing import Final, Literal

from pydantic import with_config

# As in handlers/view.py: pydantic reads `typing.TypedDict` from Python 3.12 on only.
from typing_extensions import TypedDict

from api.asking import in_the_callers_words, status_of, wish_of
from api.refusals import refusal_of
from api.route import Answer, Call, Reply, Route
from api.shapes import BATCH_MAX, BatchBody, BatchEnvelope, KeyedWishBody, validated
from api.tokens import Scope
from handlers.error_view import ErrorView
from handlers.intake import take_in, take_in_unasked
from handlers.listing import show_request
from handlers.view import RequestView
from refunds.clock import monotonic_seconds
from refunds.errors import SluiceError, WishError

ASKING_SECONDS: Final = 15.0
"""How long a batch asks Stripe; what is left then is recorded undecided. Callers and proxies give
up after 30 seconds, more often than not."""


@with_config(use_attribute_docstrings=True, extra="forbid")
class BatchResult(TypedDict):
    """What became of one wish."""

    object: Literal["batch_result"]
    idempotency_key: str | None
    status: int
    """The status that the wish would have been answered with by itself."""
    refund_request: RequestView | None
    error: ErrorView | None


@with_config(extra="forbid")
class BatchResults(TypedDict):
    """What became of the wishes, in their order."""

    object: Literal["list"]
    url: str
    has_more: Literal[False]
    data: list[BatchResult]


def _ask_all(call: Call) -> Reply:
    until = monotonic_seconds() + ASKING_SECONDS
    results = [
        _ask_one(call, wish, in_time=monotonic_seconds() < until)
        for wish in call.body["refund_requests"]
    ]
    return Reply(
        body=BatchResults(
            object="list", url="/api/refund_requests/batch", has_more=False, data=results
        )
    )


def _ask_one(call: Call, document: object, *, in_time: bool) -> BatchResult:
    given = document.get("idempotency_key") if isinstance(document, dict) else None
    key = given if isinstance(given, str) else None
    view, problem = None, None
    try:
        status, view = _record(call, validated(KeyedWishBody, document), in_time=in_time)
    except SluiceError as error:
        status, problem, _ = refusal_of(error)
    return BatchResult(
        object="batch_result",
        idempotency_key=key,
        status=status,
        refund_request=view,
        error=problem,
    )


def _record(call: Call, body: KeyedWishBody, *, in_time: bool) -> tuple[int, RequestView]:
    take = take_in if in_time else take_in_unasked
    try:
        taken = take(
            call.services,
            wish_of(body),
            idempotency_key=body["idempotency_key"],
            actor=call.actor,
        )
    except WishError as error:
        if error.param == "Idempotency-Key":
            error.param = "idempotency_key"
        raise in_the_callers_words(error, body) from None
    return status_of(taken), show_request(call.services.database, taken.request)


BATCH: Final = (
    Route(
        name="createRefundRequests",
        method="POST",
        path="/refund_requests/batch",
        scope=Scope.REQUEST,
        summary=f"Ask for up to {BATCH_MAX} refunds",
        description="Each wish has an idempotency key and a result of its own, in their order; one "
        "that is refused stops none of the others. Send the whole batch again if no answer came: "
        "its keys make that safe.",
        body=BatchBody,
        envelope=BatchEnvelope,
        asks_stripe=True,
        answers={200: Answer(says="A result for each.", shape=BatchResults)},
        refusals={},
        do=_ask_all,
    ),
)
