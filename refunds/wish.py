"""What a caller wants refunded, checked for form before Stripe is asked anything.

This module validates and digests; it may not look anything up.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from refunds.errors import InvalidWishError
from refunds.ids import AccountId, TransferId

REASONS: Final = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
"""What Stripe accepts as a refund's reason. Source: Stripe docs, "Create a refund"."""
AMOUNT_MAX_MINOR: Final = 999_999_999_999
"""Stripe takes at most twelve digits."""
METADATA_KEYS_MAX: Final = 50
METADATA_KEY_CHARACTERS_MAX: Final = 40
METADATA_VALUE_CHARACTERS_MAX: Final = 500
KEY_CHARACTERS_MAX: Final = 255
TRANSFERS_MAX: Final = 50
"""Transfers one refund takes back: each is a call of its own."""

_PAYMENT: Final = re.compile(r"(pi|ch|py)_[A-Za-z0-9_]{1,250}")
_ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9]{1,250}")
_TRANSFER: Final = re.compile(r"tr_[A-Za-z0-9_]{1,250}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferWish:
    """A transfer to take money back from, where a payment was split over several accounts."""

    transfer: TransferId
    amount_minor: int | None = None
    """In the transfer's currency; `None`: its share of the refund."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One wish to refund, in the caller's words."""

    payment: str
    """`pi_…`, `ch_…` or `py_…`."""
    amount_minor: int | None = None
    """`None`: whatever is left of the charge."""
    account: AccountId | None = None
    """The connected account a direct charge was made on."""
    transfers: tuple[TransferWish, ...] = ()
    """Which transfers to take back, where a payment was split; one alone need not be named."""
    reason: str | None = None
    refund_application_fee: bool = False
    additional: bool = False
    """The buyer is owed this besides what another open request asks for."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Return a digest that two wishes share only if they ask for the same."""
        text = json.dumps(
            [
                self.payment,
                self.amount_minor,
                self.account,
                [[each.transfer, each.amount_minor] for each in self.transfers],
                self.reason,
                self.refund_application_fee,
                self.additional,
                sorted(self.metadata.items()),
            ],
            ensure_ascii=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()


def check_wish(wish: Wish, idempotency_key: str) -> None:
    """Raise `InvalidWishError`, naming the field, unless the wish is well formed."""
    if not _PAYMENT.fullmatch(wish.payment):
        raise InvalidWishError(
            "a payment is a pi_…, ch_… or py_… id of Stripe's", param="payment_intent"
        )
    if wish.amount_minor is not None and not 1 <= wish.amount_minor <= AMOUNT_MAX_MINOR:
        raise InvalidWishError(
            f"amount is in minor units, from 1 to {AMOUNT_MAX_MINOR}", param="amount"
        )
    if wish.account is not None and not _ACCOUNT.fullmatch(wish.account):
        raise InvalidWishError("account is an acct_… id of Stripe's", param="account")
    if wish.reason is not None and wish.reason not in REASONS:
        raise InvalidWishError(f"reason is one of {', '.join(sorted(REASONS))}", param="reason")
    if not 1 <= len(idempotency_key) <= KEY_CHARACTERS_MAX or not idempotency_key.isprintable():
        raise InvalidWishError(
            f"an idempotency key has 1 to {KEY_CHARACTERS_MAX} printable characters",
            param="Idempotency-Key",
        )
    _check_transfers(wish.transfers)
    _check_metadata(wish.metadata)


def _check_transfers(transfers: Sequence[TransferWish]) -> None:
    if len(transfers) > TRANSFERS_MAX:
        raise InvalidWishError(
            f"a refund takes back at most {TRANSFERS_MAX} transfers", param="transfers"
        )
    for each in transfers:
        if not _TRANSFER.fullmatch(each.transfer):
            raise InvalidWishError("a transfer is a tr_… id of Stripe's", param="transfers")
        if each.amount_minor is not None and not 1 <= each.amount_minor <= AMOUNT_MAX_MINOR:
            raise InvalidWishError(
                f"a transfer's amount is in minor units, from 1 to {AMOUNT_MAX_MINOR}",
                param="transfers",
            )
    if len({each.transfer for each in transfers}) < len(transfers):
        raise InvalidWishError("each transfer is named once", param="transfers")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > METADATA_KEYS_MAX:
        raise InvalidWishError(f"metadata has at most {METADATA_KEYS_MAX} keys", param="metadata")
    for key, value in metadata.items():
        if not 1 <= len(key) <= METADATA_KEY_CHARACTERS_MAX:
            raise InvalidWishError(
                f"a metadata key has 1 to {METADATA_KEY_CHARACTERS_MAX} characters",
                param="metadata",
            )
        if len(value) > METADATA_VALUE_CHARACTERS_MAX:
            raise InvalidWishError(
                f"a metadata value has at most {METADATA_VALUE_CHARACTERS_MAX} characters",
                param="metadata",
            )
        if "\x00" in key or "\x00" in value:
            raise InvalidWishError("metadata can't hold NUL characters", param="metadata")
