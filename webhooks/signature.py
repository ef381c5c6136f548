"""Tells whether Stripe signed a delivery, and with which of our secrets.

It may not look into the body: until this module has spoken, nobody knows who wrote it.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from stripe import SignatureVerificationError, WebhookSignature

from refunds.errors import SluiceError

TOLERANCE_SECONDS: Final = 300
"""How far a signature's time may be from ours, either way. Source: Stripe docs, "Receive Stripe
events in your webhook endpoint" (five minutes); the SDK itself lets future ones pass.
"""

_ITEM: Final = re.compile(r"([A-Za-z0-9_]{1,20})=([!-~]{1,200})", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class SignatureFault(StrEnum):
    """Why a signature was not accepted; the values are the `code` of the answer."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    NOT_UTF8 = "body_not_utf8"
    NO_MATCH = "signature_mismatch"
    TOO_OLD = "signature_too_old"
    IN_FUTURE = "signature_in_future"


_SENTENCES: Final = {
    SignatureFault.MISSING: "The Stripe-Signature header is missing.",
    SignatureFault.MALFORMED: "The Stripe-Signature header is not of the form t=…,v1=….",
    SignatureFault.NOT_UTF8: "The body is not UTF-8, so Stripe did not sign it.",
    SignatureFault.NO_MATCH: (
        "No configured secret matches the signature; compare STRIPE_WEBHOOK_SECRETS with the "
        "signing secret of this endpoint, and make sure no proxy changes the body."
    ),
    SignatureFault.TOO_OLD: (
        f"The signature is more than {TOLERANCE_SECONDS} seconds old; if that surprises you, "
        "check this machine's clock."
    ),
    SignatureFault.IN_FUTURE: (
        f"The signature is more than {TOLERANCE_SECONDS} seconds ahead of this machine's clock; "
        "if that surprises you, check the clock."
    ),
}


class SignatureRejectedError(SluiceError):
    """A delivery that Stripe did not verifiably send now; it holds neither body nor secret."""

    def __init__(self, fault: SignatureFault) -> None:
        super().__init__(_SENTENCES[fault])
        self.fault = fault


def verify(body: bytes, header: str | None, secrets: Sequence[str], now: datetime) -> int:
    """Return the index of the secret that signed `body`. Raise `SignatureRejectedError`.

    Several secrets: the platform's endpoint, the Connect endpoint, and each one's successor while
    it is rolled. Source: Stripe docs, "Resolve webhook signature verification errors".
    """
    signed_at = _signed_at(header)
    assert header is not None
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise SignatureRejectedError(SignatureFault.NOT_UTF8) from None
    index = _matching(text, header, secrets)
    age_seconds = int(now.timestamp()) - signed_at
    if age_seconds > TOLERANCE_SECONDS:
        raise SignatureRejectedError(SignatureFault.TOO_OLD)
    if age_seconds < -TOLERANCE_SECONDS:
        raise SignatureRejectedError(SignatureFault.IN_FUTURE)
    return index


def _signed_at(header: str | None) -> int:
    """Return the header's time in Unix seconds.

    Stricter than the SDK, which raises TypeError for a non-ASCII signature and takes the first of
    several times.
    """
    if not header:
        raise SignatureRejectedError(SignatureFault.MISSING)
    items = [_ITEM.fullmatch(item) for item in header.split(",")]
    pairs = [item.groups() for item in items if item is not None]
    times = [value for name, value in pairs if name == "t"]
    if (
        len(pairs) != len(items)
        or len(times) != 1
        or not _SECONDS.fullmatch(times[0])
        or not any(name == WebhookSignature.EXPECTED_SCHEME for name, _ in pairs)
    ):
        raise SignatureRejectedError(SignatureFault.MALFORMED)
    return int(times[0])


def _matching(text: str, header: str, secrets: Sequence[str]) -> int:
    for index, secret in enumerate(secrets):
        try:
            # Without a tolerance: the SDK knows only one direction, and a clock of its own.
            WebhookSignature.verify_header(text, header, secret)
        except SignatureVerificationError:
            continue
        return index
    # `from None`: the SDK's error carries the body.
    raise SignatureRejectedError(SignatureFault.NO_MATCH) from None
