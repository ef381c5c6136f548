"""What every handler is given: the database, the way to Stripe, the rules, the clock.

This module only bundles them; it may not build them (`runtime` does) or decide anything.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.port import Gateway
from handlers.signals import announce_told
from handlers.view import view_request
from refunds.clock import utc_now
from refunds.policy import DEFAULT_BOOK, PolicyBook
from store.database import Database, Telling
from store.tables.requests import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One process's tools. Safe to share between threads."""

    database: Database
    gateway: Gateway
    worker: str
    """A name no other process has; it stands beside every claim."""
    policies: PolicyBook = DEFAULT_BOOK
    mode: Mode = Mode.LIVE
    clock: Callable[[], datetime] = utc_now
    jitter: Callable[[], float] = field(default=random.random)
    """A fraction in [0, 1) that spreads retries."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the process was asked to end: long work then stops between two steps."""

    def __post_init__(self) -> None:
        # Here and not where a database is opened: whoever moves money has services, and a
        # notification that nobody could word would be found missing too late.
        self.database.tell_with(Telling(describe=view_request, announce=announce_told))
