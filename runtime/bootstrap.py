"""Builds what handlers are given from settings: database, way to Stripe, clock, a worker's name.

It may not do any of their work; every entry point begins here and nowhere else.
"""

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.client import StripeGateway
from gateway.pace import Pace
from handlers.platform import confirm_platform
from handlers.services import Services
from refunds.errors import SluiceError
from runtime.policy_file import load_policy
from runtime.settings import Settings
from store.database import Database
from store.schema import current_heads_match
from store.tables.requests import Mode


class NotMigratedError(SluiceError):
    """The database lacks tables or columns this version needs."""

    def __init__(self) -> None:
        super().__init__("the database is not at the newest schema: run `sluice migrate`")


@contextmanager
def open_database(settings: Settings, *, migrated: bool = True) -> Iterator[Database]:
    """Yield the database; raise `NotMigratedError` unless its schema is the newest."""
    database = Database(settings.database_url.get_secret_value())
    try:
        if migrated and not current_heads_match(database):
            raise NotMigratedError
        yield database
    finally:
        database.dispose()


@contextmanager
def open_services(
    settings: Settings,
    *,
    worker: str | None = None,
    stopping: Callable[[], bool] = lambda: False,
    stripe_may_be_away: bool = False,
) -> Iterator[Services]:
    """Yield everything a handler needs, the database pinned to the key's platform.

    With `stripe_may_be_away` a database that was pinned before is enough while Stripe doesn't
    answer: for intake, which records a wish all the same.

    Raise `SettingsError`, `PolicyFileError`, `NotMigratedError`, `WrongPlatformError`, or the
    gateway's `ReadError` where Stripe can't say whose key it is.
    """
    policies = load_policy(settings.sluice_policy_file).book
    with (
        open_database(settings) as database,
        _gateway(settings) as gateway,
    ):
        confirm_platform(database, gateway, stripe_may_be_away=stripe_may_be_away)
        yield Services(
            database=database,
            gateway=gateway,
            worker=worker or worker_name(),
            policies=policies,
            mode=settings.sluice_mode,
            stopping=stopping,
        )


@contextmanager
def open_desk(settings: Settings) -> Iterator[Services]:
    """Yield what a person's action needs. Stripe is asked nothing: people must be able to cancel
    and close while it is away.

    Raise `SettingsError`, `PolicyFileError` or `NotMigratedError`.
    """
    policies = load_policy(settings.sluice_policy_file).book
    with (
        open_database(settings) as database,
        _gateway(settings) as gateway,
    ):
        yield Services(
            database=database,
            gateway=gateway,
            worker=worker_name(),
            policies=policies,
            mode=settings.sluice_mode,
        )


def web_services(settings: Settings, database: Database) -> Services:
    """Return what the API works with, for as long as the process lives; Stripe is asked nothing
    yet. Raise `SettingsError` or `PolicyFileError`.
    """
    policies = load_policy(settings.sluice_policy_file).book
    return Services(
        database=database,
        gateway=_gateway(settings),
        worker=worker_name(),
        policies=policies,
        mode=settings.sluice_mode,
    )


def _gateway(settings: Settings) -> StripeGateway:
    return StripeGateway(
        settings.require_api_key(),
        api_base=settings.stripe_api_base,
        read_only=settings.sluice_mode is not Mode.LIVE,
        pace=Pace(*settings.stripe_rate),
    )


def worker_name() -> str:
    """Return a name no other process has: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
