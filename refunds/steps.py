"""What Sluice asks Stripe to do, as values stored before the call and compared after it.

This module describes calls and their outcomes; it may not make one or choose what follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, assert_never

from refunds.facts import RefundFacts, ReversalFacts, SentFacts
from refunds.ids import AccountId, IdempotencyKey

ParamValue: TypeAlias = str | int | bool | Mapping[str, str]
Params: TypeAlias = Mapping[str, ParamValue]
"""Exactly as handed to the SDK; they must survive JSON, for a retry sends the same bytes."""


class StepKind(StrEnum):
    """The calls that move money."""

    REFUND = "refund"
    REVERSAL = "reversal"
    TRANSFER = "transfer"
    """Gives back to a connected account what was reversed for a refund that came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeCall:
    """One call: what, with which parameters, on whose behalf, under which idempotency key.

    REFUND is `POST /v1/refunds`; REVERSAL is `POST /v1/transfers/{target}/reversals`;
    TRANSFER is `POST /v1/transfers`, its target the transfer whose reversal it makes up for.
    """

    kind: StepKind
    params: Params
    target: str | None
    account: AccountId | None
    idempotency_key: IdempotencyKey


class RefusalKind(StrEnum):
    """What a definitive 4xx means for the request."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    CHARGE_DISPUTED = "charge_disputed"
    ALREADY_REFUNDED = "already_refunded"
    OTHER = "other"


class Trouble(StrEnum):
    """Why Stripe gave no verdict."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    NOT_READY = "not_ready"
    """Stripe answered, and is not done yet with what the answer depends on."""
    UNREADABLE = "unreadable"
    """Stripe answered with an object this version can't read."""
    KEY_MISMATCH = "key_mismatch"
    """`idempotency_error`: the key is bound to other parameters; what it did is not known."""
    DENIED = "denied"
    """401 or 403: the key or the account's connection was revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Stripe carried the call out; `replayed` when it answered from the idempotency cache."""

    object: RefundFacts | ReversalFacts | SentFacts
    stripe_request: str | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Stripe said no, definitively: nothing happened, and the same key will say no for ever."""

    kind: RefusalKind
    code: str | None
    message: str
    http_status: int
    stripe_request: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No verdict: it may have happened. Only the same key and parameters may be sent again."""

    trouble: Trouble
    message: str
    http_status: int | None
    stripe_request: str | None
    retry_after_seconds: float | None = None
    replayed: bool = False
    """Stripe repeated what it had answered before: news of then, not of how Stripe is now."""


StepOutcome: TypeAlias = Done | Refused | Unknown


def outcome_word(outcome: StepOutcome) -> str:
    """Return one word for logs and attempt timelines."""
    match outcome:
        case Done():
            return "done"
        case Refused():
            return f"refused:{outcome.kind}"
        case Unknown():
            return f"unknown:{outcome.trouble}"
        case _:
            assert_never(outcome)
