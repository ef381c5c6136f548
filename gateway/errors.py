"""Decides what an error of the SDK says about the call: a definitive refusal, or no verdict at all.

This module classifies and words errors; it may not retry, raise for the caller or let a key or a
body into a message.

When in doubt there is no verdict. Taking a lost answer for a refusal pays the buyer twice; taking a
refusal for a lost answer costs a look at Stripe.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

import stripe

from gateway.fields import Fields
from gateway.port import NotFoundError, ReadError, RejectedReadError, UnavailableError
from refunds.ids import AccountId
from refunds.steps import RefusalKind, Refused, Trouble, Unknown

MESSAGE_LIMIT: Final = 500
"""Characters of a message that are kept; Stripe's own are one or two sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoVerdict:
    """Nothing definitive was heard: the call may have been carried out."""

    trouble: Trouble
    message: str
    http_status: int | None
    stripe_request: str | None
    code: str | None = None
    retry_after_seconds: float | None = None
    replayed: bool = False
    """A 500 of some time ago, answered again from the idempotency cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Stripe itself said no with a 4xx, and says so again for as long as it keeps the key."""

    http_status: int
    type: str
    code: str | None
    message: str
    stripe_request: str | None


# Codes that mean "not now" whatever status carries them. Source: Stripe docs, "Error codes".
# `lock_timeout` comes as a 429 but is about one object, not about the rate of requests.
_TROUBLE_BY_CODE: Final[Mapping[str, Trouble]] = {
    "idempotency_key_in_use": Trouble.CONFLICT,
    "lock_timeout": Trouble.CONFLICT,
    "rate_limit": Trouble.RATE_LIMITED,
}

# Source: Stripe docs, "Errors", HTTP status code summary. 424 is a failure outside Stripe, 408 and
# 425 come from something in between: none of them says that nothing happened.
_TROUBLE_BY_STATUS: Final[Mapping[int, Trouble]] = {
    401: Trouble.DENIED,
    403: Trouble.DENIED,
    408: Trouble.SERVER_ERROR,
    409: Trouble.CONFLICT,
    424: Trouble.SERVER_ERROR,
    425: Trouble.SERVER_ERROR,
    429: Trouble.RATE_LIMITED,
}

# For errors that carry no HTTP status, such as those the SDK raises before it sends anything.
_TROUBLE_BY_CLASS: Final[tuple[tuple[type[stripe.StripeError], Trouble], ...]] = (
    (stripe.IdempotencyError, Trouble.KEY_MISMATCH),
    (stripe.RateLimitError, Trouble.RATE_LIMITED),
    (stripe.AuthenticationError, Trouble.DENIED),
    (stripe.PermissionError, Trouble.DENIED),
)

_REFUSAL_BY_CODE: Final[Mapping[str, RefusalKind]] = {
    "balance_insufficient": RefusalKind.INSUFFICIENT_FUNDS,
    "insufficient_funds": RefusalKind.INSUFFICIENT_FUNDS,
    "charge_disputed": RefusalKind.CHARGE_DISPUTED,
    "refund_disputed_payment": RefusalKind.CHARGE_DISPUTED,
    "charge_already_refunded": RefusalKind.ALREADY_REFUNDED,
}

# Which code an account too short for a reversal gets is documented nowhere; some answers have been
# seen with a message only. A card's own lack of funds is another matter.
_SHORT: Final = re.compile(
    r"\b(?<!card has )(?:insufficient|sufficient|enough) (?:available )?(?:funds|balance)\b",
    re.IGNORECASE,
)

_NO_SUCH_ACCOUNT: Final = "account_invalid"
"""With a 403: no such account, or none that this key has access to. Source: Stripe docs, "Error
codes". A 403 for want of a permission is about the key, and has another code.
"""

_KEY: Final = re.compile(r"((?:sk|rk|pk|whsec)_(?:(?:live|test)_)?)[A-Za-z0-9*_]+")


def classify(error: stripe.StripeError) -> NoVerdict | Refusal:
    """Return what an SDK error means, from its HTTP status and Stripe's error object.

    `error.code` of the SDK is `None` on several classes, so the object itself is read.
    """
    headers = _headers_of(error)
    stripe_request = header(headers, "request-id")
    if isinstance(error, stripe.APIConnectionError):
        return _no_answer(error)
    said = _error_object(error)
    kind, code = said.text_or_none("type"), said.text_or_none("code")
    trouble = _trouble(error, kind, code)
    status = error.http_status
    if trouble is None and kind is not None and status is not None and 400 <= status < 500:
        message = readable(said.text_or_none("message") or f"{kind}, without a message")
        return Refusal(
            http_status=status,
            type=kind,
            code=code,
            message=message,
            stripe_request=stripe_request,
        )
    # A body that isn't Stripe's comes from something in between, and may hold anything.
    fallback = "no error object of Stripe's in the answer" if status else type(error).__name__
    return NoVerdict(
        trouble=trouble or Trouble.SERVER_ERROR,
        message=readable(said.text_or_none("message") or fallback),
        http_status=status,
        stripe_request=stripe_request,
        code=code,
        retry_after_seconds=_seconds(header(headers, "retry-after")),
        replayed=header(headers, "idempotent-replayed") == "true",
    )


def unreadable(error: Exception) -> NoVerdict:
    """Return the verdict on an answer the SDK itself tripped over: none."""
    return NoVerdict(
        trouble=Trouble.SERVER_ERROR,
        message=f"the answer could not be read as Stripe's ({type(error).__name__})",
        http_status=None,
        stripe_request=None,
    )


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header whatever its case: only some transports hand over a case-blind mapping."""
    return next((value for key, value in headers.items() if key.lower() == name), None)


def readable(message: str) -> str:
    """Return a message fit to be stored and logged: bounded, and without anything like a key."""
    return _KEY.sub(r"\1…", message)[:MESSAGE_LIMIT]


def refused(refusal: Refusal) -> Refused:
    """Return a refusal as the outcome of a step, with what it means for the request."""
    return Refused(
        kind=_refusal_kind(refusal),
        code=refusal.code,
        message=refusal.message,
        http_status=refusal.http_status,
        stripe_request=refusal.stripe_request,
    )


def unknown(silence: NoVerdict) -> Unknown:
    """Return the lack of a verdict as the outcome of a step."""
    return Unknown(
        trouble=silence.trouble,
        message=silence.message,
        http_status=silence.http_status,
        stripe_request=silence.stripe_request,
        retry_after_seconds=silence.retry_after_seconds,
        replayed=silence.replayed,
    )


def read_error(found: NoVerdict | Refusal, account: AccountId | None = None) -> ReadError:
    """Return the exception a read raises; `account` is the connected account that was asked."""
    match found:
        case NoVerdict():
            return UnavailableError(
                found.trouble,
                found.message,
                stripe_request=found.stripe_request,
                retry_after_seconds=found.retry_after_seconds,
                account=account,
                no_such_account=found.http_status == 403 and found.code == _NO_SUCH_ACCOUNT,
            )
        case Refusal():
            missing = found.http_status == 404 or found.code == "resource_missing"
            build = NotFoundError if missing else RejectedReadError
            return build(found.message, stripe_request=found.stripe_request)


def _no_answer(error: stripe.APIConnectionError) -> NoVerdict:
    # The SDK's own text is not used: it quotes headers it couldn't send, the key among them.
    chain = _chain(error)
    timed_out = any(isinstance(link, TimeoutError) for link in chain)
    trouble = Trouble.TIMEOUT if timed_out else Trouble.CONNECTION
    what = "no answer within the time limit" if timed_out else "the connection failed"
    return NoVerdict(
        trouble=trouble,
        message=f"{what} ({type(chain[-1]).__name__})",
        http_status=None,
        stripe_request=None,
    )


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and what led to it, so that a socket's timeout is seen through its
    wrappings.
    """
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


def _trouble(error: stripe.StripeError, kind: str | None, code: str | None) -> Trouble | None:
    if code is not None and code in _TROUBLE_BY_CODE:
        return _TROUBLE_BY_CODE[code]
    if kind == "idempotency_error":
        return Trouble.KEY_MISMATCH
    if error.http_status is not None and error.http_status in _TROUBLE_BY_STATUS:
        return _TROUBLE_BY_STATUS[error.http_status]
    if kind == "api_error":
        return Trouble.SERVER_ERROR
    return next((t for known, t in _TROUBLE_BY_CLASS if isinstance(error, known)), None)


def _refusal_kind(refusal: Refusal) -> RefusalKind:
    for word in (refusal.code, refusal.type):
        if word is not None and word in _REFUSAL_BY_CODE:
            return _REFUSAL_BY_CODE[word]
    if _SHORT.search(refusal.message):
        return RefusalKind.INSUFFICIENT_FUNDS
    return RefusalKind.OTHER


def _error_object(error: stripe.StripeError) -> Fields:
    body = error.json_body
    return Fields(body if isinstance(body, Mapping) else {}, "error").child("error")


def _headers_of(error: stripe.StripeError) -> Mapping[str, str]:
    # For a body it can't parse the SDK passes the headers in the place of the parsed body.
    body = error.json_body
    if not error.headers and isinstance(body, Mapping) and "error" not in body:
        return {k: v for k, v in body.items() if isinstance(k, str) and isinstance(v, str)}
    return error.headers or {}


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and isfinite(seconds) and seconds >= 0 else None
