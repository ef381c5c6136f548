"""The settings of notifications: who is told, and through which server.

It may not reach anybody; a value that can't be used is refused before anything starts.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Self

from babel import Locale, UnknownLocaleError
from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from handlers.notifications.configured import is_plain_address
from runtime.notify_forms import parse_addresses, parse_endpoints, parse_mail_server


class Switch(StrEnum):
    """Whether something happens."""

    OFF = "off"
    ON = "on"


class NotifySettings(BaseSettings):
    """The part of `Settings` that says who is told."""

    sluice_notify_webhooks: SecretStr | None = None
    """Comma-separated `name:whsec_…[:whsec_…]:https://…`."""
    sluice_notify_email_server: SecretStr | None = None
    """`smtps://user:password@host:465`, or `smtp://…` with STARTTLS."""
    sluice_notify_email_from: str | None = None
    sluice_notify_email_finance: str | None = None
    """Comma-separated addresses."""
    sluice_notify_email_operations: str | None = None
    """Comma-separated addresses."""
    sluice_notify_email_accounts: Switch = Switch.OFF
    """Whether connected accounts get letters about their own refunds."""
    sluice_notify_email_locale: str = "en_US"
    """How letters write amounts and times."""

    @field_validator("sluice_notify_webhooks")
    @classmethod
    def _check_webhooks(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked(value, parse_endpoints)

    @field_validator("sluice_notify_email_server")
    @classmethod
    def _check_server(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked(value, parse_mail_server)

    @field_validator("sluice_notify_email_from")
    @classmethod
    def _check_from(cls, value: str | None) -> str | None:
        if value is not None and not is_plain_address(value):
            raise ValueError("is not an email address")
        return value

    @field_validator("sluice_notify_email_finance", "sluice_notify_email_operations")
    @classmethod
    def _check_addresses(cls, value: str | None) -> str | None:
        if value is not None:
            parse_addresses(value)
        return value

    @field_validator("sluice_notify_email_accounts", mode="before")
    @classmethod
    def _check_switch(cls, value: object) -> object:
        if isinstance(value, str) and value not in set(Switch):
            raise ValueError("is neither on nor off")
        return value

    @field_validator("sluice_notify_email_locale")
    @classmethod
    def _check_locale(cls, value: str) -> str:
        try:
            return str(Locale.parse(value))
        except (UnknownLocaleError, ValueError):
            raise ValueError("is not a locale such as en_US or de_DE") from None

    @model_validator(mode="after")
    def _check_email_is_whole(self) -> Self:
        readers = (
            self.sluice_notify_email_finance,
            self.sluice_notify_email_operations,
            self.sluice_notify_email_accounts is Switch.ON or None,
        )
        if self.sluice_notify_email_server is None:
            if self.sluice_notify_email_from or any(readers):
                raise ValueError("SLUICE_NOTIFY_EMAIL_SERVER is missing: letters need a server")
        elif self.sluice_notify_email_from is None:
            raise ValueError("SLUICE_NOTIFY_EMAIL_FROM is missing: letters need a sender")
        elif not any(readers):
            raise ValueError(
                "SLUICE_NOTIFY_EMAIL_SERVER is set, and nobody to write to: set "
                "SLUICE_NOTIFY_EMAIL_FINANCE, _OPERATIONS or _ACCOUNTS"
            )
        return self


def _checked(value: SecretStr | None, parse: Callable[[str], object]) -> SecretStr | None:
    if value is not None:
        parse(value.get_secret_value())
    return value
