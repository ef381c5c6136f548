"""The settings: what may be configured, where it comes from, and what to do when one is missing.

It may not open or start anything; and nothing else reads the environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from api.tokens import Token, TokenFormError, parse_tokens
from refunds.errors import SluiceError
from runtime.notify_settings import NotifySettings
from store.tables.requests import Mode

_WHERE: Final = "in the environment or in the file .env of the working directory"


_RATE_MAX: Final = 10_000


class SettingsError(SluiceError):
    """A setting is missing or can't be used; the message says which, where to put it, and how to
    get it. It never shows a value, which may be secret.
    """


class Settings(NotifySettings):
    """Every setting, each named as its environment variable in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    stripe_api_key: SecretStr | None = None
    """Restricted or secret key; its prefix decides live or test."""
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(default=())
    """Comma-separated; any one may match (platform, Connect, rolling)."""
    stripe_api_base: str | None = None
    """Another API base, for the sandbox."""
    sluice_api_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field(default=())
    """Comma-separated `name:token[:scope+scope]`; a bare token is named `default`."""
    database_url: SecretStr = SecretStr("sqlite:///sluice.db")
    """SQLAlchemy URL of a SQLite file or PostgreSQL."""
    sluice_policy_file: Path | None = None
    """TOML policy; the built-in one without it."""
    sluice_mode: Mode = Mode.LIVE
    """Whether money may move; in shadow mode all is decided and recorded, and nothing sent."""
    sluice_stripe_rate: str = "40,10"
    """Calls to Stripe per second, in all and per endpoint, that all workers share."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    web_concurrency: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    """Web processes."""

    @field_validator("sluice_stripe_rate")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        parts = [part.strip() for part in value.split(",")]
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError("is not two whole numbers such as 40,10 (in all, per endpoint)")
        total, per_endpoint = map(int, parts)
        if not 1 <= per_endpoint <= total <= _RATE_MAX:
            raise ValueError(f"is out of range: 1 <= per endpoint <= in all <= {_RATE_MAX}")
        return value

    @field_validator("sluice_mode", mode="before")
    @classmethod
    def _check_mode(cls, value: object) -> object:
        if isinstance(value, str) and value not in set(Mode):
            raise ValueError("is neither live nor shadow")
        return value

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def _split_secrets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        secrets = [part.strip() for part in value.split(",") if part.strip()]
        for position, secret in enumerate(secrets, start=1):
            if not secret.startswith("whsec_") or len(secret) == len("whsec_"):
                raise ValueError(f"number {position} is not a signing secret (whsec_…)")
        return tuple(secrets)

    @field_validator("sluice_api_tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        texts = [part.strip() for part in value.split(",") if part.strip()]
        try:
            parse_tokens(texts)
        except TokenFormError as error:
            raise ValueError(str(error)) from None
        return tuple(texts)

    @field_validator("stripe_api_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("sk_test_", "sk_live_", "rk_test_", "rk_live_")
        ):
            raise ValueError("is not a secret or restricted key (sk_… or rk_…)")
        return value

    @property
    def stripe_rate(self) -> tuple[int, int]:
        """Calls per second in all, and per endpoint."""
        total, per_endpoint = self.sluice_stripe_rate.split(",")
        return int(total), int(per_endpoint)

    def require_api_key(self) -> str:
        """Return the Stripe key. Raise `SettingsError` if it isn't set."""
        if self.stripe_api_key is None:
            raise SettingsError(
                f"STRIPE_API_KEY is not set. Put a restricted key (rk_…) {_WHERE}; Stripe makes "
                "keys at Dashboard → Developers → API keys."
            )
        return self.stripe_api_key.get_secret_value()

    def require_webhook_secrets(self) -> tuple[str, ...]:
        """Return the signing secrets, never none. Raise `SettingsError` if there isn't one."""
        if not self.stripe_webhook_secrets:
            raise SettingsError(
                f"STRIPE_WEBHOOK_SECRETS is not set. Put the endpoints' signing secrets (whsec_…, "
                f"comma-separated) {_WHERE}; Stripe shows them at Dashboard → Developers → "
                "Webhooks, and `stripe listen --print-secret` prints the one for local work."
            )
        return tuple(secret.get_secret_value() for secret in self.stripe_webhook_secrets)

    def api_tokens(self) -> tuple[Token, ...]:
        """Return who may use the API; without one it is closed."""
        return parse_tokens([text.get_secret_value() for text in self.sluice_api_tokens])


def load_settings() -> Settings:
    """Read the environment and `.env`. Raise `SettingsError` for a value that can't be used."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            "".join(f"{part}: ".upper() for part in problem["loc"][:1])
            + problem["msg"].removeprefix("Value error, ")
            for problem in error.errors(include_input=False, include_context=False)
        )
        # `from None`: the original repeats values, keys among them.
        raise SettingsError(f"{problems}. Correct it {_WHERE}.") from None
    except UnicodeDecodeError:
        # `from None`: the original holds the file, with the keys in it.
        raise SettingsError(
            "The file .env of the working directory is not UTF-8 text. Save it as UTF-8."
        ) from None
    except OSError as error:
        raise SettingsError(
            "The file .env of the working directory can't be read "
            f"({error.strerror}). Let this user read it, or remove it."
        ) from None


def child_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment for a child that is to have these settings and no others.

    Variables that are no settings of ours (`PATH`, a locale, a proxy) are passed on.
    """
    ours = {name.upper() for name in Settings.model_fields}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in ours and not name.upper().startswith("SLUICE_")
    }
    return {**kept, **settings}
