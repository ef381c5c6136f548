"""What callers may send, as types: they are validated against these, and told of them.

It may not say what a valid wish leads to, or convert a value: "5" is no amount, nor is true.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import (
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from api.refusals import RefusedError
from handlers.listing import PAGE_DEFAULT, PAGE_MAX
from handlers.operate import NOTE_CHARACTERS_MAX
from refunds.lifecycle import Status
from refunds.wish import (
    AMOUNT_MAX_MINOR,
    KEY_CHARACTERS_MAX,
    METADATA_KEY_CHARACTERS_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_CHARACTERS_MAX,
    TRANSFERS_MAX,
)

KEY_PATTERN: Final = "^[!-~]([ -~]*[!-~])?$"
BATCH_MAX: Final = 100
PARAM_CHARACTERS_MAX: Final = 80
_STORABLE: Final = r"^[^\x00]*$"

PATH_PATTERNS: Final[Mapping[str, str]] = {
    "id": r"^rr_[0-9a-z]{1,64}$",
    "account": r"^acct_[A-Za-z0-9]{1,250}$",
}
"""The parameters of paths."""

PaymentIntent = Annotated[str, Field(pattern=r"^pi_[A-Za-z0-9_]{1,250}$")]
Charge = Annotated[str, Field(pattern=r"^(ch|py)_[A-Za-z0-9_]{1,250}$")]
Account = Annotated[str, Field(pattern=PATH_PATTERNS["account"])]
Request = Annotated[str, Field(pattern=PATH_PATTERNS["id"])]
IdempotencyKey = Annotated[
    str, Field(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=KEY_PATTERN)
]
Day = Annotated[
    str,
    Field(
        pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
        json_schema_extra={"format": "date"},
    ),
]
Metadata = Annotated[
    dict[
        Annotated[
            str, Field(min_length=1, max_length=METADATA_KEY_CHARACTERS_MAX, pattern=_STORABLE)
        ],
        Annotated[str, Field(max_length=METADATA_VALUE_CHARACTERS_MAX, pattern=_STORABLE)],
    ],
    Field(max_length=METADATA_KEYS_MAX),
]

_STRICT: Final = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)
_ONE_PAYMENT: Final[JsonDict] = {
    "oneOf": [{"required": ["payment_intent"]}, {"required": ["charge"]}]
}


@with_config(_STRICT)
class TransferBody(TypedDict):
    """A transfer to take money back from."""

    transfer: Annotated[str, Field(pattern=r"^tr_[A-Za-z0-9_]{1,250}$")]
    amount: NotRequired[Annotated[int, Field(ge=1, le=AMOUNT_MAX_MINOR)]]
    """Minor units of the transfer's currency. Without it: its share of the refund."""


@with_config(ConfigDict(**_STRICT, json_schema_extra=_ONE_PAYMENT))
class WishBody(TypedDict):
    """A wish to refund a payment, or a part of it. Name the payment intent or the charge."""

    payment_intent: NotRequired[PaymentIntent]
    charge: NotRequired[Charge]
    amount: NotRequired[Annotated[int, Field(ge=1, le=AMOUNT_MAX_MINOR)]]
    """Minor units of the payment's currency: 1250 is 12.50 USD. Without it: whatever is left."""
    account: NotRequired[Account]
    """The connected account a direct charge was made on."""
    transfers: NotRequired[Annotated[list[TransferBody], Field(max_length=TRANSFERS_MAX)]]
    """Which transfers to take back, where a payment was split over several."""
    reason: NotRequired[Literal["duplicate", "fraudulent", "requested_by_customer"]]
    """Handed on to Stripe."""
    refund_application_fee: NotRequired[bool]
    """Give the account its share of the platform's fee back."""
    additional: NotRequired[bool]
    """The buyer is owed this besides what another open request of the payment asks for."""
    metadata: NotRequired[Metadata]
    """Yours: kept and shown, never looked at."""


@with_config(ConfigDict(**_STRICT, json_schema_extra=_ONE_PAYMENT))
class KeyedWishBody(WishBody):
    """A wish of a batch, under an idempotency key of its own."""

    idempotency_key: IdempotencyKey


@with_config(_STRICT)
class BatchBody(TypedDict):
    """Several wishes, each recorded or refused by itself."""

    refund_requests: Annotated[list[KeyedWishBody], Field(min_length=1, max_length=BATCH_MAX)]


@with_config(_STRICT)
class BatchEnvelope(TypedDict):
    """A batch as far as it has to be right as a whole; its wishes are checked one by one."""

    refund_requests: Annotated[list[Any], Field(min_length=1, max_length=BATCH_MAX)]


@with_config(_STRICT)
class NoteBody(TypedDict):
    """A person's reason, kept with the request for ever."""

    note: Annotated[
        str, Field(min_length=1, max_length=NOTE_CHARACTERS_MAX, pattern=r"^[^\x00]*\S[^\x00]*$")
    ]


@with_config(_STRICT)
class ListQuery(TypedDict):
    """Which requests to list."""

    status: NotRequired[Annotated[Status, Field(strict=False)]]
    account: NotRequired[Account]
    limit: NotRequired[Annotated[int, Field(ge=1, le=PAGE_MAX, json_schema_extra={"default": 20})]]
    starting_after: NotRequired[Request]
    """The last request of the page before: the next older ones are listed."""
    ending_before: NotRequired[Request]
    """The first request of the page after: the next newer ones are listed."""


@with_config(_STRICT)
class ExportQuery(TypedDict):
    """Which days to export."""

    from_: Annotated[Day, Field(alias="from")]
    """The first day, in UTC, like 2026-11-01."""
    to: Day
    """The last day, included, in UTC, like 2026-11-30."""


assert PAGE_DEFAULT == 20, "as ListQuery says"


@cache
def adapter(shape: Any) -> TypeAdapter[Any]:
    """Return the validator of a shape; made once, since making one is slow."""
    return TypeAdapter(shape)


def validated(shape: Any, document: object) -> Any:
    """Return the document if it has the shape; raise `RefusedError` (400) naming the field."""
    try:
        return adapter(shape).validate_python(document)
    except ValidationError as error:
        # Without the input: it may be long, and belongs into no log.
        [first, *_] = error.errors(include_url=False, include_context=False, include_input=False)
        # `from None`: the original repeats what was sent.
        raise _refusal(first) from None


def _refusal(error: ErrorDetails) -> RefusedError:
    # About a key of a mapping, the mapping is named: the key may be anything.
    location = error["loc"][:-2] if error["loc"][-1:] == ("[key]",) else error["loc"]
    param = ".".join(str(part) for part in location)[:PARAM_CHARACTERS_MAX] or None
    match error["type"]:
        case "missing":
            return RefusedError(400, "parameter_missing", f"{param} is missing.", param=param)
        case "extra_forbidden":
            message = f"There is no parameter {param}."
            return RefusedError(400, "parameter_unknown", message, param=param)
        case _:
            message = f"{param or 'The body'}: {error['msg']}."
            return RefusedError(400, "parameter_invalid", message, param=param)
