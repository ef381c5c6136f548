"""Settings come from the environment or `.env`, are asked for when needed, and are never shown."""

from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from this machine, and a working directory without `.env`."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_the_defaults_hold_and_nothing_is_asked_for() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.database_url.get_secret_value() == "sqlite:///sluice.db"
    assert settings.web_concurrency >= 1


def test_a_missing_setting_is_asked_for_by_what_needs_it_and_says_where_to_put_it() -> None:
    settings = load_settings()
    with pytest.raises(SettingsError, match=r"STRIPE_API_KEY is not set.*\.env.*Dashboard"):
        settings.require_api_key()
    with pytest.raises(SettingsError, match=r"STRIPE_WEBHOOK_SECRETS is not set.*stripe listen"):
        settings.require_webhook_secrets()


def test_several_secrets_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRETS", " whsec_one, whsec_two ,")
    assert load_settings().require_webhook_secrets() == ("whsec_one", "whsec_two")


def test_the_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=9000\nHOST=0.0.0.0\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("PORT", "9001")
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 9001)


@pytest.mark.parametrize("empty", ["", " ", ",", " , "])
def test_empty_secrets_are_no_secrets(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRETS", empty)
    with pytest.raises(SettingsError, match="is not set"):
        load_settings().require_webhook_secrets()


@pytest.mark.parametrize(
    "name, value, says",
    [
        ("STRIPE_WEBHOOK_SECRETS", "whsec_good,hunter2", "STRIPE_WEBHOOK_SECRETS: number 2"),
        ("STRIPE_WEBHOOK_SECRETS", "whsec_", "number 1"),
        ("STRIPE_API_KEY", "pk_test_hunter2", "STRIPE_API_KEY: is not a secret"),
        ("SLUICE_MODE", "hunter2", "SLUICE_MODE"),
        ("SLUICE_STRIPE_RATE", "hunter2,1", "SLUICE_STRIPE_RATE: is not two whole numbers"),
        ("SLUICE_STRIPE_RATE", "40", "such as 40,10"),
        ("SLUICE_STRIPE_RATE", "10,40", "out of range"),
        ("SLUICE_STRIPE_RATE", "40,0", "out of range"),
        ("SLUICE_API_TOKENS", "shop:hunter2", "SLUICE_API_TOKENS: number 1 .*openssl rand"),
        ("SLUICE_API_TOKENS", "a:0123456789abcdef:hunter2", "a scope that does not exist"),
        ("PORT", "hunter2", "PORT"),
        ("PORT", "70000", "PORT"),
        ("WEB_CONCURRENCY", "0", "WEB_CONCURRENCY"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_file_that_is_not_text_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"STRIPE_API_KEY=sk_test_hunter2\xff\n")
    with pytest.raises(SettingsError, match=r"\.env .* is not UTF-8") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Path, *_arguments: object, **_named: object) -> None:
        raise PermissionError(13, "Permission denied")

    Path(".env").write_text("PORT=9000\n")
    # Root, as whom tests may run, is refused no file.
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(SettingsError, match=r"can't be read \(Permission denied\)"):
        load_settings()


def test_no_repr_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_hunter2")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRETS", "whsec_hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@db/sluice")
    monkeypatch.setenv("SLUICE_API_TOKENS", "shop:hunter2-hunter2-hunter2")
    settings = load_settings()
    assert settings.require_api_key() == "sk_test_hunter2"
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "hunter2" not in repr(settings.api_tokens())


def test_tokens_are_read_with_their_names_and_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().api_tokens() == ()
    tokens = " 0123456789abcdef, shop:fedcba9876543210:read+cover ,"
    monkeypatch.setenv("SLUICE_API_TOKENS", tokens)
    bare, shop = load_settings().api_tokens()
    assert (bare.name, sorted(bare.scopes)) == ("default", ["read", "request"])
    assert (shop.name, sorted(shop.scopes)) == ("shop", ["cover", "read"])
