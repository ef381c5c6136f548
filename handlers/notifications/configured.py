"""Who is told, as the settings say: values only.

It may not read a setting, nor reach anybody; it imports nothing that takes time to load.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from refunds.notifications import Audience

_PLAIN_ADDRESS: Final = re.compile(r"[\x21-\x7e]{1,64}@[A-Za-z0-9.-]{1,255}")
_NOT_IN_ADDRESS: Final = frozenset("<>()[],;:\\\"'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one of the platform's systems listens."""

    name: str
    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """`whsec_…`, never none. Each signs: while one replaces another, a receiver may know either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The SMTP server that takes our letters."""

    host: str
    port: int
    tls_from_start: bool
    """`smtps`; otherwise STARTTLS, unless `in_the_clear`."""
    in_the_clear: bool
    """Only for a server on this machine."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """Who writes to whom."""

    server: MailServer
    sender: str
    to: Mapping[Audience, tuple[str, ...]]
    to_accounts: bool = False
    locale: str = "en_US"


def is_plain_address(address: str) -> bool:
    """Return whether this is one address and nothing else: no list, no name, no second line."""
    local, _, domain = address.rpartition("@")
    return (
        bool(_PLAIN_ADDRESS.fullmatch(address))
        and not _NOT_IN_ADDRESS & set(address)
        and "@" not in local
        and ".." not in address
        and not local.startswith(".")
        and not local.endswith(".")
        and not domain.startswith((".", "-"))
    )
