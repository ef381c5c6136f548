"""What a route is: where it is, who may use it, what it takes, what it answers, what it does.

It may not know HTTP beyond methods, paths and statuses; `api.door` speaks it, and `api.openapi`
describes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from api.tokens import Scope
from handlers.services import Services
from refunds.ids import RequestId

JSON: Final = "application/json"


class Key(StrEnum):
    """Whether a route takes an `Idempotency-Key`."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, checked for form: what a route's function is given."""

    services: Services
    actor: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    """A document of the route's `body` type."""
    key: str | None

    @property
    def request(self) -> RequestId:
        """The refund request in the path."""
        return RequestId(self.path["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a route's function answers."""

    body: object
    """A document; where `media` isn't JSON, text, or a temporary file that is closed once sent."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success that a route may answer with."""

    says: str
    shape: Any = None
    """The type of the JSON document; `None` where it isn't one of ours."""
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path."""

    name: str
    """In camel case, as generated clients call it."""
    method: str
    path: str
    """Below `/api`; a part in braces is a parameter."""
    scope: Scope | None
    """`None`: open to everybody, once there is a token at all."""
    summary: str
    description: str
    answers: Mapping[int, Answer]
    refusals: Mapping[int, str]
    """Statuses of errors besides those that every route of its kind has."""
    do: Callable[[Call], Reply]
    body: Any = None
    envelope: Any = None
    """What the body is checked against, where its parts are checked one by one later."""
    query: Any = None
    key: Key = Key.NONE
    asks_stripe: bool = False
    """It can't do its work before Stripe has once said whose key it is."""
