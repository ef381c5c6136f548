"""The errors Sluice raises on purpose, each carrying the subject it is about.

This module names what can go wrong; it may not log, translate for HTTP or decide what happens next.

    SluiceError
    ├── CurrencyMismatchError     two currencies met in one sum: a bug
    ├── IllegalMoveError          the lifecycle has no such transition: a bug, or two hands at once
    ├── WishError                 the caller's wish can't be recorded as it stands
    │   ├── InvalidWishError      … a field is missing, malformed or out of range
    │   ├── PaymentNotFoundError  … Stripe knows no such payment
    │   ├── KeyReusedError        … the idempotency key came with another body before
    │   ├── RequestOpenError      … the charge has an open request already
    │   └── TransfersUnclearError … the payment was split, and the caller doesn't say over which
    ├── AccountNotFoundError      nothing was ever recorded of this account
    ├── UnknownTierError          the policy has no such risk tier
    ├── RequestNotFoundError      no refund request has this id
    ├── WrongStateError           the request's state does not allow this action
    ├── EventNotFoundError        the inbox holds no such event
    ├── DispatchNotFoundError     no notification is on its way under this number
    ├── PeriodError               a period ends before it begins
    ├── LeaseLostError            another worker took over: stop, change nothing
    ├── PolicyError               a policy can't be used as it is written
    └── WrongPlatformError        the database belongs to another platform account or livemode
"""

from collections.abc import Iterable
from datetime import date
from typing import ClassVar, Self


class SluiceError(Exception):
    """Base of everything Sluice raises on purpose; `str()` is a sentence for a person."""


class CurrencyMismatchError(SluiceError):
    """Two currencies met in one sum."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(
            f"can't add {left.upper()} and {right.upper()}: amounts of different currencies"
        )
        self.left = left
        self.right = right


class IllegalMoveError(SluiceError):
    """Money was asked to move between buckets that no transition joins."""

    def __init__(self, from_bucket: str, to_bucket: str) -> None:
        super().__init__(f"no transition leads from {from_bucket} to {to_bucket}")
        self.from_bucket = from_bucket
        self.to_bucket = to_bucket


class WishError(SluiceError):
    """The caller's wish can't be recorded; `code` and `param` follow Stripe's error objects."""

    code: ClassVar[str] = "parameter_invalid"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidWishError(WishError):
    """A field of the wish is missing, malformed or out of range."""


class PaymentNotFoundError(WishError):
    """Stripe knows no payment by this id, seen from this account."""

    code = "resource_missing"

    @classmethod
    def out_of_sight(cls, account: str) -> Self:
        """Return the error for an account of which Stripe shows the platform nothing."""
        return cls(
            f"Stripe shows the platform nothing of {account}: check its id, and whether it is "
            "still connected",
            param="account",
        )


class KeyReusedError(WishError):
    """An idempotency key was used before with another body."""

    code = "idempotency_error"


class RequestOpenError(WishError):
    """The charge has an open refund request and the wish doesn't say `additional`."""

    code = "refund_request_open"

    def __init__(self, charge: str, open_request: str) -> None:
        super().__init__(
            f"{charge} already has the open refund request {open_request}; "
            "wait for it, cancel it, or say that this one is additional if the buyer is owed both",
            param="additional",
        )
        self.open_request = open_request


class TransfersUnclearError(WishError):
    """Several transfers may have carried the payment's money, or one that may have carried another
    payment's, and the wish names none.
    """

    code = "transfers_ambiguous"


class AccountNotFoundError(SluiceError):
    """Nothing was ever recorded of this connected account."""

    def __init__(self, account: str) -> None:
        super().__init__(f"nothing is known of the account {account}: it had no refund request")
        self.account = account


class UnknownTierError(SluiceError):
    """The policy has no such risk tier."""

    def __init__(self, tier: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(known))
        there = f"there are {names}, and none" if names else "it has none: add a section [risk.…]"
        super().__init__(f"the policy has no risk tier {tier}; {there}")
        self.tier = tier


class RequestNotFoundError(SluiceError):
    """No refund request has this id."""

    def __init__(self, request: str) -> None:
        super().__init__(f"no refund request has the id {request}")
        self.request = request


class EventNotFoundError(SluiceError):
    """The inbox holds no event with this id."""

    def __init__(self, event: str) -> None:
        super().__init__(f"the inbox holds no event with the id {event}")
        self.event = event


class DispatchNotFoundError(SluiceError):
    """No notification is, or was, on its way under this number."""

    def __init__(self, dispatch: int) -> None:
        super().__init__(f"no notification is on its way under the number {dispatch}")
        self.dispatch = dispatch


class WrongStateError(SluiceError):
    """The subject's state does not allow this action."""

    def __init__(self, subject: str, action: str, state: str, allowed: str) -> None:
        super().__init__(f"can't {action} {subject}: it is {state}; {action} needs {allowed}")
        self.subject = subject
        self.state = state


class PeriodError(SluiceError):
    """A period ends before it begins."""

    def __init__(self, first: date, last: date) -> None:
        super().__init__(f"the period ends on {last}, before it begins on {first}")


class LeaseLostError(SluiceError):
    """The caller's lease ran out and another worker took over; nothing was changed."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"the lease on {subject} was lost to another worker")
        self.subject = subject


class PolicyError(SluiceError):
    """A policy can't be used; `path` is the key's place, `reason` what is wrong and what is
    right.
    """

    def __init__(self, path: tuple[str, ...], reason: str) -> None:
        super().__init__(f"{'.'.join(path)} {reason}")
        self.path = path
        self.reason = reason


class WrongPlatformError(SluiceError):
    """The database is pinned to one platform account and livemode, and the key belongs to
    another.
    """

    def __init__(self, pinned: str, offered: str) -> None:
        super().__init__(
            f"this database belongs to {pinned}, but STRIPE_API_KEY is a key of {offered}; "
            "use the right key, or another DATABASE_URL for the other account"
        )
