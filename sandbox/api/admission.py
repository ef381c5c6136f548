"""Who may ask: the API key of a request and the account it acts as.

It reads headers and may not look at parameters.
"""

import base64
import binascii
import re
from collections.abc import Mapping

from sandbox import errors
from sandbox.shapes import AccountId
from sandbox.world import accounts
from sandbox.world.core import World


def authenticate(headers: Mapping[str, str], wanted: str | None) -> str:
    """The API key of a request; raises Stripe's 401. `wanted` None takes any test key."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    key = _basic(key) if scheme.lower() == "basic" else key.strip()
    if not key:
        raise errors.unauthorized(
            "You did not provide an API key. Send it as a bearer token in the Authorization header."
        )
    if not key.startswith(("sk_test_", "rk_test_")) or (wanted and key != wanted):
        raise errors.unauthorized(f"Invalid API Key provided: {errors.redact(key)}")
    return key


_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?(; .*)?")


def check_version(headers: Mapping[str, str]) -> None:
    """Refuse a `Stripe-Version` that can't be one. Any version gets the present shapes."""
    version = headers.get("stripe-version", "")
    if version and not _VERSION.fullmatch(version):
        raise errors.invalid(f"Invalid Stripe API version: {version}")


def acting_as(world: World, headers: Mapping[str, str], key: str) -> AccountId:
    """The account a request acts as; raises Stripe's 403 for one without access."""
    named = headers.get("stripe-account")
    if not named:
        return world.platform
    record = accounts.connected(world, named)
    if record is None:
        raise errors.account_invalid(key, named)
    return AccountId(record.body["id"])


def _basic(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
