"""What a person reads when something can't be done: what happened, and what to do next.

It may not hide a defect: an error that nobody foresaw keeps its traceback.
"""

import re
from typing import IO, Any, Final

import click
from rich.text import Text

from gateway.port import NotFoundError, ReadError, UnavailableError
from handlers.error_view import ErrorView, view_error, what_happened
from refunds.errors import (
    AccountNotFoundError,
    DispatchNotFoundError,
    EventNotFoundError,
    PaymentNotFoundError,
    RequestNotFoundError,
    SluiceError,
    UnknownTierError,
    WrongStateError,
)
from refunds.steps import Trouble
from runtime.commands.arguments import AS_JSON
from runtime.display import plain, print_json, stderr
from store.database import DatabaseUnavailableError

_NEXT: Final[tuple[tuple[type[SluiceError], str], ...]] = (
    (
        DatabaseUnavailableError,
        "Check DATABASE_URL and that the database is up, then try again.",
    ),
    (
        PaymentNotFoundError,
        "Check the id, and that STRIPE_API_KEY is of the platform and mode that took the payment.",
    ),
    (AccountNotFoundError, "See which there are: sluice accounts"),
    (UnknownTierError, "See the policy that holds: sluice policy show"),
    (RequestNotFoundError, "See which there are: sluice requests"),
    (DispatchNotFoundError, "See which there are: sluice notify list"),
    (EventNotFoundError, "See which there are: sluice events list"),
    (NotFoundError, "Check the id, and that STRIPE_API_KEY is of the platform it belongs to."),
    (ReadError, "Try again; if it stays, see the log and https://status.stripe.com"),
)
"""The next step by kind of error, for errors whose own sentence doesn't say it."""

_DENIED: Final = (
    "Check STRIPE_API_KEY: Stripe does not accept it (revoked, mistyped or restricted)."
)
_AWAY: Final = (
    "Try again in a moment, or see https://status.stripe.com (with STRIPE_API_BASE set: is what it "
    "names running?)"
)


class Failure(click.ClickException):
    """One line about what went wrong, one about what to do; exit code 1."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        error: ErrorView | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.error = error
        """The error in Stripe's shape, for programs."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write to stderr, and for programs the error object to stdout."""
        del file
        console = stderr()
        console.print(Text("Error: ", style="bold red") + Text(_sentence(self.message)))
        if self.hint is not None:
            console.print(Text(f"Next:  {plain(self.hint)}"))
        if self.error is not None:
            print_json({"error": self.error})


def failure_of(error: SluiceError, context: click.Context) -> Failure:
    """Return what a foreseen error looks like in a terminal, or to a program that asked for
    JSON.
    """
    as_json = bool(context.meta.get(AS_JSON))
    return Failure(
        what_happened(error),
        hint=_next_step(error),
        error=view_error(error) if as_json else None,
    )


def _next_step(error: SluiceError) -> str | None:
    if isinstance(error, UnavailableError):
        return _DENIED if error.trouble is Trouble.DENIED else _AWAY
    if isinstance(error, WrongStateError):
        kind = "events show" if error.subject.startswith("evt_") else "requests"
        return f"See how it stands: sluice {kind} {error.subject}"
    return next((step for kind, step in _NEXT if isinstance(error, kind)), None)


def _sentence(message: str) -> str:
    text = plain(message).strip()
    # An id or a URL at the beginning stays as it is.
    if re.match(r"[a-z]+[ ']", text):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
