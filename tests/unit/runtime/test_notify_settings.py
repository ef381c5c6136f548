"""The settings of notifications: what is accepted, and what each refusal says, never the value."""

import pytest
from pydantic import SecretStr

from gateway.port import Gateway
from runtime.channels import build_channels, mailing_of
from runtime.notify_forms import parse_addresses, parse_endpoints, parse_mail_server
from runtime.settings import Settings, SettingsError, load_settings
from tests.support.receivers import OLD_SECRET, SECRET


def test_several_endpoints_each_with_its_secrets() -> None:
    text = f" shop:{SECRET}:https://shop.example/sluice?x=1 , erp:{SECRET}:{OLD_SECRET}:http://127.0.0.1:8080/a,"
    shop, erp = parse_endpoints(text)
    assert (shop.name, shop.url, shop.secrets) == (
        "shop",
        "https://shop.example/sluice?x=1",
        (SECRET,),
    )
    assert (erp.name, erp.url, erp.secrets) == (
        "erp",
        "http://127.0.0.1:8080/a",
        (SECRET, OLD_SECRET),
    )
    assert SECRET not in repr(erp)


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("https://shop.example", "number 1 has no signing secret"),
        (f"Shop:{SECRET}:https://shop.example", "number 1 is not name:"),
        ("shop", "number 1 is not name:"),
        (f"a:{SECRET}:https://a.example,b:https://b.example", "number 2 has no signing secret"),
        ("shop:whsec_short:https://shop.example", "base64 of at least 24 bytes"),
        ("shop:whsec_%%%%:https://shop.example", "base64 of at least 24 bytes"),
        (f"shop:{SECRET}:http://shop.example", "number 1 is not https"),
        (f"shop:{SECRET}:http://localhost.shop.example", "number 1 is not https"),
        (f"shop:{SECRET}:ftp://shop.example", "number 1 has no URL"),
        (f"shop:{SECRET}", "number 1 has no URL"),
        (f"shop:{SECRET}:https://user:pass@shop.example", "a URL with a user"),
        (f"shop:{SECRET}:https://shop.example/#part", "a URL with a user, a fragment"),
        (f"shop:{SECRET}:https://shop.example:port", "can't be read"),
        (f"shop:{SECRET}:https://shöp.example", "odd characters"),
        (f"a:{SECRET}:https://a.example,a:{SECRET}:https://b.example", "the same name"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_named_by_its_position(
    text: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_endpoints(text)
    assert "whsec_c2Vj" not in str(caught.value)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "text, host, port, tls, clear",
    [
        ("smtps://smtp.example", "smtp.example", 465, True, False),
        ("smtp://smtp.example", "smtp.example", 587, False, False),
        ("smtp://smtp.example:25/", "smtp.example", 25, False, False),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, False, True),
        ("smtp://localhost:1025", "localhost", 1025, False, True),
        ("smtps://[::1]:465", "::1", 465, True, False),
    ],
)
def test_mail_goes_encrypted_unless_it_stays_on_this_machine(
    text: str, host: str, port: int, tls: bool, clear: bool
) -> None:
    server = parse_mail_server(text)
    assert (server.host, server.port, server.tls_from_start, server.in_the_clear) == (
        host,
        port,
        tls,
        clear,
    )


def test_a_password_may_hold_any_character_and_is_not_shown() -> None:
    server = parse_mail_server("smtps://me%40shop.example:p%40ss%3A%2F@smtp.example")
    assert (server.user, server.password) == ("me@shop.example", "p@ss:/")
    assert "p@ss" not in repr(server)


@pytest.mark.parametrize("text", ["smtp.example", "http://smtp.example", "smtp://", "smtp://h/x"])
def test_what_is_no_mail_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not smtp://"):
        parse_mail_server(text)


def test_addresses_are_addresses_and_nothing_else() -> None:
    assert parse_addresses("a@b.example, c+d@e.example,a@b.example") == (
        "a@b.example",
        "c+d@e.example",
    )
    for wrong in (
        "nobody",
        "a@b.example\r\nBcc: c@d.example",
        "A <a@b.example>",
        "a@b@c.example",
        "a@b.example;c@d.example",
        "a b@c.example",
        "@b.example",
        ".a@b.example",
        "a@-b.example",
        "a@b..example",
        "ä@b.example",
    ):
        with pytest.raises(ValueError, match="number 1 is not an email address"):
            parse_addresses(wrong)


@pytest.mark.parametrize(
    "given, complaint",
    [
        ({"EMAIL_FINANCE": "a@b.example"}, "SLUICE_NOTIFY_EMAIL_SERVER is missing"),
        ({"EMAIL_ACCOUNTS": "on"}, "SLUICE_NOTIFY_EMAIL_SERVER is missing"),
        ({"EMAIL_SERVER": "smtp://127.0.0.1"}, "SLUICE_NOTIFY_EMAIL_FROM is missing"),
        (
            {"EMAIL_SERVER": "smtp://127.0.0.1", "EMAIL_FROM": "a@b.example"},
            "nobody to write to",
        ),
        ({"EMAIL_FROM": "nobody"}, "SLUICE_NOTIFY_EMAIL_FROM: is not an email address"),
        ({"EMAIL_ACCOUNTS": "yes"}, "SLUICE_NOTIFY_EMAIL_ACCOUNTS: is neither on nor off"),
        ({"EMAIL_LOCALE": "klingon"}, "SLUICE_NOTIFY_EMAIL_LOCALE: is not a locale"),
        ({"EMAIL_LOCALE": "../../etc"}, "SLUICE_NOTIFY_EMAIL_LOCALE: is not a locale"),
        ({"WEBHOOKS": "shop:whsec_no:https://x"}, "SLUICE_NOTIFY_WEBHOOKS: number 1"),
    ],
)
def test_a_half_configured_channel_stops_the_start(
    given: dict[str, str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"SLUICE_NOTIFY_{name}", value)
    with pytest.raises(SettingsError, match=complaint):
        load_settings()


def test_the_log_is_always_a_channel_and_the_others_are_what_is_set(gateway: Gateway) -> None:
    assert [each.receiver for each in build_channels(Settings(), gateway)] == ["log"]
    settings = Settings(
        sluice_notify_webhooks=SecretStr(
            f"a:{SECRET}:https://a.example,b:{SECRET}:https://b.example"
        ),
        sluice_notify_email_server=SecretStr("smtps://smtp.example"),
        sluice_notify_email_from="a@b.example",
        sluice_notify_email_operations="c@d.example",
    )
    names = [each.receiver for each in build_channels(settings, gateway)]
    assert names == ["log", "webhook:a", "webhook:b", "email"]
    mailing = mailing_of(settings)
    assert mailing is not None
    assert not mailing.to_accounts, "nobody is written to unless that was switched on"


@pytest.fixture
def gateway() -> Gateway:
    """Never asked here."""
    return object()  # type: ignore[return-value]  # building a channel asks nobody
