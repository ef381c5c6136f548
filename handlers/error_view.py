"""An error as the outside sees it: the one object that API and CLI share, in Stripe's shape.

It may not decide what follows: an HTTP status, an exit code and advice are the edge's.
"""

import re
from typing import Final, Literal

from pydantic import with_config

# As in handlers/view.py: pydantic reads `typing.TypedDict` from Python 3.12 on only.
from typing_extensions import TypedDict

from gateway.port import NotFoundError, ReadError, UnavailableError
from refunds.errors import (
    AccountNotFoundError,
    EventNotFoundError,
    KeyReusedError,
    RequestNotFoundError,
    SluiceError,
    WishError,
)
from store.database import DatabaseUnavailableError

_MISSING: Final = (AccountNotFoundError, RequestNotFoundError, EventNotFoundError, NotFoundError)
_OURS_OR_STRIPES: Final = (DatabaseUnavailableError, ReadError)


@with_config(use_attribute_docstrings=True, extra="forbid")
class ErrorView(TypedDict):
    """What went wrong."""

    type: Literal["api_error", "idempotency_error", "invalid_request_error"]
    """`api_error`: nothing is wrong with what was asked; try again later."""
    code: str
    """A word for programs."""
    message: str
    """A sentence for people."""
    param: str | None
    """Which field or header it is about."""


def view_error(error: SluiceError) -> ErrorView:
    """Return the error for programs."""
    return ErrorView(
        type=_type_of(error),
        code=_code_of(error),
        message=what_happened(error),
        param=error.param if isinstance(error, WishError) else None,
    )


def what_happened(error: SluiceError) -> str:
    """Return what went wrong in a sentence for a person."""
    if isinstance(error, UnavailableError):
        return f"Stripe could not be asked: {error}"
    return str(error)


def _type_of(
    error: SluiceError,
) -> Literal["api_error", "idempotency_error", "invalid_request_error"]:
    if isinstance(error, KeyReusedError):
        return "idempotency_error"
    return "api_error" if isinstance(error, _OURS_OR_STRIPES) else "invalid_request_error"


def _code_of(error: SluiceError) -> str:
    if isinstance(error, WishError):
        return error.code
    if isinstance(error, _MISSING):
        return "resource_missing"
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
