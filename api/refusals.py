"""What the API says when it can't do what was asked: a status, and an error in Stripe's shape.

It may not tell a caller what is none of their business: where the database is, or what a key was.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal

import structlog
from pydantic import with_config
from typing_extensions import TypedDict

from handlers.error_view import ErrorView, view_error
from refunds.errors import (
    AccountNotFoundError,
    KeyReusedError,
    PaymentNotFoundError,
    RequestNotFoundError,
    RequestOpenError,
    SluiceError,
    TransfersUnclearError,
    WishError,
    WrongPlatformError,
    WrongStateError,
)

RETRY_AFTER_SECONDS: Final = 5
"""When to come back after an outage whose end nobody knows."""

_log = structlog.get_logger(__name__)


@with_config(extra="forbid")
class ErrorAnswer(TypedDict):
    """The body of every answer that isn't a success."""

    error: ErrorView


class RefusedError(SluiceError):
    """The answer to a request that is refused."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        kind: Literal["api_error", "invalid_request_error"] = (
            "api_error" if status >= 500 else "invalid_request_error"
        )
        self.view = ErrorView(type=kind, code=code, message=message, param=param)


def refusal_of(error: SluiceError) -> tuple[int, ErrorView, dict[str, str]]:
    """Return status, error and headers for an error that was foreseen."""
    if isinstance(error, RefusedError):
        return error.status, error.view, error.headers
    status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 503)
    view = view_error(error)
    if status < 500:
        return status, view, {}
    _log.warning("api.not_possible", code=view["code"], reason=str(error))
    view["type"] = "api_error"
    view["message"] = _OUTAGES.get(view["code"], view["message"])
    return status, view, {"Retry-After": str(_seconds(error))}


_STATUSES: Final[tuple[tuple[type[SluiceError], int], ...]] = (
    (RequestNotFoundError, 404),
    (AccountNotFoundError, 404),
    (PaymentNotFoundError, 404),
    (RequestOpenError, 409),
    (TransfersUnclearError, 422),
    (WrongStateError, 409),
    (KeyReusedError, 400),
    (WishError, 400),
    (WrongPlatformError, 503),
)
"""The first that fits; what isn't here is about Stripe or the database, and may work later."""

_OUTAGES: Final[Mapping[str, str]] = {
    "database_unavailable": "The database is not available. Ask again with the same key.",
    "wrong_platform": "Sluice's Stripe key and database belong to different platforms; "
    "its operator has to change that.",
}


def _seconds(error: SluiceError) -> int:
    given = getattr(error, "retry_after_seconds", None)
    return RETRY_AFTER_SECONDS if given is None else min(3_600, max(1, math.ceil(given)))
