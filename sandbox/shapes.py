"""Names for the plain JSON values that the sandbox stores and answers.

It holds type names only and may not hold behaviour.
"""

from typing import Any, NewType, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A Stripe object as it would be serialised: references are ids, amounts are minor units."""

AccountId = NewType("AccountId", str)
"""Whose books an object is in: the platform's or a connected account's `acct_…`."""
