"""Checks a policy as it was written and turns it into values, or says which key is wrong and why.

This module knows the form of every key; it may not read a file or know a line number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from refunds.errors import PolicyError
from refunds.ids import AccountId
from refunds.policy import (
    Direct,
    OnDeadline,
    Order,
    Policy,
    PolicyBook,
    RecoveryStep,
)
from refunds.policy_values import (
    ACCOUNT,
    TIER,
    KeyPath,
    amounts,
    duration,
    flag,
    guard,
    integer,
    named,
    partial,
    steps,
    table,
    windows,
    word,
)

SETTLEMENT_DAYS_MAX: Final = 31
"""Stripe's own limit for `delay_days_override`. Source: Stripe docs, "Balance Settings"."""
STARVE_AFTER_MAX: Final = 10_000
_SECTIONS: Final = ("default", "risk", "accounts")
_ONLY_IN_DEFAULT: Final = frozenset({"covered_per_day"})

READERS: Final[Mapping[str, Callable[[KeyPath, object], Any]]] = {
    "order": word(Order),
    "starve_after": integer(1, STARVE_AFTER_MAX),
    "count_own_pending": flag,
    "direct": word(Direct),
    "minimum_balance": amounts,
    "fx_buffer_percent": integer(0, 100),
    "hold_for": duration,
    "on_deadline": word(OnDeadline),
    "payout_guard": guard,
    "payout_guard_limit": amounts,
    "payout_guard_for": duration,
    "partial": partial,
    "small_shortfall": amounts,
    "exposure_limit": amounts,
    "covered_per_day": amounts,
    "review_above": amounts,
    "recovery": steps,
    "slower_settlement_days": integer(0, SETTLEMENT_DAYS_MAX),
    "refund_window": windows,
    "refund_window_notice": duration,
}
"""One row a key; a test holds them equal to the fields of `Policy`."""


def read_policy(document: Mapping[str, object]) -> PolicyBook:
    """Return the policy a parsed document describes; raise `PolicyError` for the first mistake."""
    for section in document:
        if section in READERS:
            raise PolicyError((section,), "stands in no section: put it below [default]")
        if section not in _SECTIONS:
            raise PolicyError((section,), f"no such section; {_known(section, _SECTIONS)}")
    book = PolicyBook(
        default=_fields(("default",), document.get("default", {})),
        tiers={
            name: _fields(("risk", name), written)
            for name, written in table(("risk",), document.get("risk", {})).items()
            if named(
                ("risk", name), name, TIER, "a risk tier is lower case, such as high, and not none"
            )
        },
        accounts={
            AccountId(name): _fields(("accounts", name), written)
            for name, written in table(("accounts",), document.get("accounts", {})).items()
            if named(("accounts", name), name, ACCOUNT, "an account is an acct_… id of Stripe's")
        },
    )
    for each in _sections(book):
        _check_caps(book, each)
        _check_notice(each)
    return book


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """One section of a book, and the policy it leads to by itself."""

    path: KeyPath
    written: Mapping[str, Any]
    policy: Policy


def _sections(book: PolicyBook) -> list[_Section]:
    made = [_Section(path=("default",), written=book.default, policy=book.policy_for(None, None))]
    made += [
        _Section(path=("risk", tier), written=written, policy=book.policy_for(None, tier))
        for tier, written in book.tiers.items()
    ]
    made += [
        _Section(path=("accounts", account), written=written, policy=book.policy_for(account, None))
        for account, written in book.accounts.items()
    ]
    return made


def _check_caps(book: PolicyBook, section: _Section) -> None:
    """What spends the platform's money by rule needs the platform's daily cap in that currency."""
    cap = book.policy_for(None, None).covered_per_day
    for currency in section.written.get("small_shortfall", {}):
        if currency not in cap:
            raise PolicyError(
                (*section.path, "small_shortfall", currency),
                f"needs a cap: give default.covered_per_day an amount for {currency}, or there "
                "would be no limit to what the platform pays",
            )
    if section.written.get("on_deadline") is OnDeadline.COVER and not cap:
        raise PolicyError(
            (*section.path, "on_deadline"),
            '"cover" needs a cap: give default.covered_per_day an amount for each currency, or '
            "there would be no limit to what the platform pays",
        )


def _check_notice(section: _Section) -> None:
    """A notice as long as the window itself would put every refund before a person."""
    policy = section.policy
    for method, window in policy.refund_window.items():
        if policy.refund_window_notice < window:
            continue
        notice = ("refund_window_notice",)
        path = notice if notice[0] in section.written else ("refund_window", method)
        raise PolicyError(
            (*section.path, *path),
            f"a notice (refund_window_notice) must be shorter than the window of {method}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something about a valid policy that its author should know."""

    path: KeyPath
    text: str


_NONE: Final = "has no effect yet"
NO_EFFECT_YET: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "slower_settlement_days": (bool, "has no effect yet: settlement times stay as they are"),
    "recovery": (
        lambda steps: bool(set(steps) - {RecoveryStep.WAIT, RecoveryStep.REVERSE_LATER}),
        "only wait and reverse_later have an effect yet",
    ),
}
"""Keys that are checked and stored, and when what is written there does nothing."""


def remarks_on(book: PolicyBook) -> list[Remark]:
    """Return what is written in a valid policy without having an effect."""
    return [
        Remark(path=(*section.path, key), text=text)
        for section in _sections(book)
        for key, (asks, text) in NO_EFFECT_YET.items()
        if key in section.written and asks(section.written[key])
    ]


def _fields(path: KeyPath, written: object) -> dict[str, Any]:
    fields = {}
    for key, value in table(path, written).items():
        here = (*path, key)
        reader = READERS.get(key)
        if reader is None:
            raise PolicyError(here, f"no such key; {_known(key, READERS)}")
        if key in _ONLY_IN_DEFAULT and path != ("default",):
            raise PolicyError(here, "is the platform's as a whole: it belongs below [default]")
        fields[key] = reader(here, value)
    return fields


def _known(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
