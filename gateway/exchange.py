"""One call to Stripe and what came of it, logged once.

This module sends and classifies; it may not know what a call is for, repeat one, or log a key, a
body or parameters.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import stripe
import structlog

from gateway.errors import NoVerdict, Refusal, classify, header, read_error, unreadable
from gateway.fields import JsonObject
from gateway.pace import Pace
from gateway.port import RejectedReadError
from refunds.clock import monotonic_seconds
from refunds.ids import AccountId, IdempotencyKey
from refunds.steps import Trouble

_log = structlog.get_logger()

_ID: Final = re.compile(r"[A-Za-z0-9_]{1,255}")
_ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9_]{1,250}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP call; `name` and `subject` (an id) are what the log calls it by."""

    name: str
    method: Literal["get", "post"]
    path: str
    subject: str | None = None
    params: Mapping[str, object] = field(default_factory=dict, repr=False)
    account: AccountId | None = None
    idempotency_key: IdempotencyKey | None = None

    @property
    def endpoint(self) -> str:
        """What Stripe's limit per endpoint is about: the method and the path without its id."""
        path = self.path if self.subject is None else self.path.replace(self.subject, "{id}")
        return f"{self.method} {path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A JSON object with a 2xx; `replayed` when Stripe answered from its idempotency cache."""

    data: JsonObject = field(repr=False)
    stripe_request: str | None
    replayed: bool


def read_call(
    name: str,
    path: str,
    *,
    subject: str | None = None,
    account: AccountId | None = None,
    params: Mapping[str, object] | None = None,
) -> Call:
    """Return a GET of `path`, with `subject` in the place of `{id}`.

    Raises `RejectedReadError` for ids that can't be Stripe's: one with a slash or a line break
    would ask for something else, or fail in the HTTP library and look like trouble at Stripe.
    """
    for value, shape in ((subject, _ID), (account, _ACCOUNT)):
        if value is not None and not shape.fullmatch(value):
            raise RejectedReadError(f"{value[:80]!r} is not an id of Stripe's")
    return Call(
        name=name,
        method="get",
        path=path.format(id=subject),
        subject=subject,
        params=params or {},
        account=account,
    )


class Exchange:
    """Sends calls through the SDK's client; threads may share it."""

    __slots__ = ("_client", "_pace")

    def __init__(self, client: stripe.StripeClient, pace: Pace | None = None) -> None:
        self._client = client
        self._pace = pace

    def send(self, call: Call) -> Answer | NoVerdict | Refusal:
        """Make the call; whatever comes back, or doesn't, is a value."""
        if self._pace is not None:
            self._pace.wait(call.endpoint, moves_money=call.method == "post")
        started = monotonic_seconds()
        result = self._request(call)
        if self._pace is not None and _is_too_much(result):
            self._pace.slow_down()
        _report(call, result, elapsed_seconds=monotonic_seconds() - started)
        return result

    def read(self, call: Call) -> JsonObject:
        """Make a call that only reads, and return the object; raises `ReadError`."""
        result = self.send(call)
        if isinstance(result, Answer):
            return result.data
        raise read_error(result, call.account)

    def _request(self, call: Call) -> Answer | NoVerdict | Refusal:
        # The raw call, not the SDK's typed services: those build objects from the answer and trip
        # over some nulls. After a POST that would hide a refund that was made.
        ask: Callable[..., stripe.StripeResponse] = self._client.raw_request
        try:
            response = ask(
                call.method,
                call.path,
                **{
                    **call.params,
                    "stripe_account": call.account,
                    "idempotency_key": call.idempotency_key,
                },
            )
        except stripe.StripeError as error:
            return classify(error)
        except Exception as error:  # noqa: BLE001 - the SDK raises AttributeError, UnicodeDecodeError
            # and more for bodies that a proxy answers in Stripe's place; by then the call may have
            # taken effect, so whatever it is, it is no verdict.
            return unreadable(error)
        return _answer(response)


def _is_too_much(result: Answer | NoVerdict | Refusal) -> bool:
    return isinstance(result, NoVerdict) and result.trouble is Trouble.RATE_LIMITED


def _answer(response: stripe.StripeResponse) -> Answer | NoVerdict:
    stripe_request = header(response.headers, "request-id")
    if not isinstance(response.data, Mapping):
        return NoVerdict(
            trouble=Trouble.SERVER_ERROR,
            message="the answer is no JSON object",
            http_status=response.code,
            stripe_request=stripe_request,
        )
    return Answer(
        data=response.data,
        stripe_request=stripe_request,
        replayed=header(response.headers, "idempotent-replayed") == "true",
    )


def _report(call: Call, result: Answer | NoVerdict | Refusal, *, elapsed_seconds: float) -> None:
    said: dict[str, object] = {
        "call": call.name,
        "subject": call.subject,
        "account": call.account,
        "stripe_request": result.stripe_request,
        "ms": round(elapsed_seconds * 1000, 1),
    }
    match result:
        case Answer():
            _log.info("stripe.call", outcome="answered", replayed=result.replayed, **said)
        case Refusal():
            word = result.code or result.type
            _log.warning(
                "stripe.call", outcome=f"refused:{word}", http_status=result.http_status, **said
            )
        case NoVerdict():
            _log.warning(
                "stripe.call",
                outcome=f"unknown:{result.trouble}",
                http_status=result.http_status,
                **said,
            )
