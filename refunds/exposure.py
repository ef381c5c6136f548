"""What the platform stands in for on a connected account's behalf.

This module names the buckets of exposure; it may not move anything between them.
"""

from enum import StrEnum


class ExposureBucket(StrEnum):
    """Where money that an account owes for a refund is, in need's currency."""

    PLATFORM = "platform"
    """The platform's own money; the other side of the first entry."""
    EXPOSED = "exposed"
    """Sent to a buyer without taking it from the account."""
    RECOVERED = "recovered"
    """Taken back from the account afterwards."""
