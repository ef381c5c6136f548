"""What commands accept: ids, amounts, notes and the options several of them share.

It may not look anything up; a malformed value is a usage error before anything is opened.
"""

import os
import pwd
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from refunds.wish import AMOUNT_MAX_MINOR

AS_JSON: Final = "sluice.as_json"
"""Where a context remembers that a program is reading."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Pattern(click.ParamType[str]):
    """Text of one shape, so that no odd character reaches the database."""

    def __init__(self, name: str, pattern: str, example: str) -> None:
        self.name = name
        self._pattern = re.compile(pattern)
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value, or fail with an example of a right one."""
        if not self._pattern.fullmatch(str(value)):
            self.fail(f"{_shown(value)} is not {self._example}", param, ctx)
        return str(value)


class _MinorUnits(click.ParamType[int]):
    """An amount in minor units: a whole number, at least 1, of at most twelve digits."""

    name = "minor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the amount, or say what minor units are."""
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,12}", text) or not 1 <= int(text) <= AMOUNT_MAX_MINOR:
            self.fail(
                f"{_shown(value)} is not an amount in minor units: a whole number from 1 to "
                f"{AMOUNT_MAX_MINOR} in the payment's own currency (12.50 USD is 1250, 1250 JPY "
                "is 1250)",
                param,
                ctx,
            )
        return int(text)


class _Note(click.ParamType[str]):
    """A sentence of a person's."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or refuse what no database could store or nobody could read."""
        text = str(value)
        if not text.strip():
            self.fail("say why, in a sentence: it is kept with the request", param, ctx)
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            self.fail("holds bytes that are not text (NUL, or not UTF-8)", param, ctx)
        return text


PAYMENT: Final = _Pattern(
    "payment", r"(pi|ch|py)_[A-Za-z0-9_]{1,250}", "a payment's id at Stripe (pi_…, ch_… or py_…)"
)
TRANSFER: Final = _Pattern(
    "tr[:minor]",
    r"tr_[A-Za-z0-9_]{1,250}(:[0-9]{1,12})?",
    "a transfer's id at Stripe, with an amount in minor units or without (tr_… or tr_…:1250)",
)
ACCOUNT: Final = _Pattern(
    "acct", r"acct_[A-Za-z0-9]{1,250}", "a connected account's id at Stripe (acct_…)"
)
REQUEST: Final = _Pattern("id", r"rr_[0-9a-z]{1,64}", "a refund request's id (rr_…)")
EVENT: Final = _Pattern("id", r"evt_[A-Za-z0-9_]{1,250}", "an event's id at Stripe (evt_…)")
EVENT_TYPE: Final = _Pattern("type", r"[a-z0-9_.]{1,100}", "an event type (balance.available, …)")
KEY: Final = _Pattern(
    "key", r"[\x21-\x7e]{1,255}", "an idempotency key: 1 to 255 letters, digits and signs"
)
MINOR_UNITS: Final = _MinorUnits()
TIER: Final = _Pattern("tier", r"[a-z][a-z0-9_-]{0,39}", "a risk tier (lower case, such as high)")
NOTE: Final = _Note()


def json_option(command: _Command) -> _Command:
    """Add `--json` to a command."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        callback=_remember,
        help="Print JSON for programs: the API's objects.",
    )(command)


def limit_option(command: _Command) -> _Command:
    """Add `--limit` to a command that lists."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 100),
        default=20,
        show_default=True,
        help="At most so many, the newest first.",
    )(command)


def actor() -> str:
    """Return who runs the command, as it is recorded: `cli:` and the name of the system's user.

    From the user database and not the environment, where anybody may write any name.
    """
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"cli:uid-{number}"


def _remember(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    # For the error handler, which sees the outermost context only, and for commands in a group
    # that took the option itself.
    if value:
        context.meta[AS_JSON] = True
    return bool(context.meta.get(AS_JSON, False))


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
