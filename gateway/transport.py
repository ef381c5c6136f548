"""Builds the SDK's client the way Sluice needs it: pinned version, own timeouts, no retries of its
own, nothing said about us to Stripe or to the log.

This module sets up and checks keys; it may not make a call, and no error of it repeats a key.
"""

import logging
import re
from typing import Final
from urllib.parse import urlsplit

import stripe

from refunds.errors import SluiceError

API_VERSION: Final = "2026-10-28.endive"
"""The version every object is read in; equal to the one the pinned SDK was made for."""

CONNECT_TIMEOUT_SECONDS: Final = 3.0
READ_TIMEOUT_SECONDS: Final = 8.0
"""Together they let a worker drain on SIGTERM in about ten seconds."""

_KEY: Final = re.compile(r"(?:sk|rk)_(test|live)_[A-Za-z0-9_]+")


class UnusableKeyError(SluiceError):
    """The API key can't be one that makes refunds; the message never repeats it."""


class UnusableApiBaseError(SluiceError):
    """The API base is no http or https address."""


def livemode_of(api_key: str) -> bool:
    """Return whether a secret (`sk_`) or restricted (`rk_`) key acts on real money.

    Source: Stripe docs, "API keys". Raises `UnusableKeyError` for anything else: a line break in a
    key would otherwise surface as an HTTP library's error that quotes the whole key.
    """
    match = _KEY.fullmatch(api_key)
    if match is None:
        raise UnusableKeyError(
            "STRIPE_API_KEY must be a secret or restricted key (sk_live_…, sk_test_…, rk_live_…, "
            "rk_test_…) without spaces or line breaks; copy it anew from the Dashboard, "
            "Developers, API keys"
        )
    return match.group(1) == "live"


def check_api_base(api_base: str) -> str:
    """Return the base without a trailing slash, ready for a path to be appended."""
    parts = urlsplit(api_base)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UnusableApiBaseError(
            "STRIPE_API_BASE must be an address such as http://127.0.0.1:12111; "
            "leave it unset to talk to Stripe itself"
        )
    return api_base.rstrip("/")


def default_http_client() -> stripe.HTTPClient:
    """Return the SDK's transport over `requests`, which keeps a session per thread."""
    return stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS))


def build_client(
    api_key: str, *, api_base: str | None, http_client: stripe.HTTPClient
) -> stripe.StripeClient:
    """Return a client that threads may share.

    `max_network_retries=0` because a retry belongs to the attempt that is stored, with its key and
    its deadline; one made inside the SDK would be invisible there.
    """
    livemode_of(api_key)
    stripe.enable_telemetry = False
    # At INFO the SDK logs error messages, at DEBUG whole bodies: personal data in both.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": check_api_base(api_base)} if api_base else None,
        max_network_retries=0,
        http_client=http_client,
    )
