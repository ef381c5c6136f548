"""Builds the channels that the settings name: the log always, webhooks and email where configured.

It may not send anything.
"""

from gateway.port import Gateway
from handlers.notifications.channel import Channel
from handlers.notifications.configured import Mailing
from handlers.notifications.log import LogChannel
from handlers.notifications.mail import MailChannel
from handlers.notifications.webhook import WebhookChannel
from refunds.ids import AccountId
from refunds.notifications import Audience
from runtime.notify_forms import parse_addresses, parse_endpoints, parse_mail_server
from runtime.notify_settings import Switch
from runtime.settings import Settings


def build_channels(settings: Settings, gateway: Gateway) -> tuple[Channel, ...]:
    """Return the channels, each with a receiver's name of its own."""
    channels: list[Channel] = [LogChannel()]
    if settings.sluice_notify_webhooks is not None:
        endpoints = parse_endpoints(settings.sluice_notify_webhooks.get_secret_value())
        channels += [WebhookChannel(endpoint) for endpoint in endpoints]
    mailing = mailing_of(settings)
    if mailing is not None:

        def find_address(account: AccountId) -> str | None:
            return gateway.read_account(account).email

        channels.append(MailChannel(mailing, find_address))
    return tuple(channels)


def mailing_of(settings: Settings) -> Mailing | None:
    """Return who writes letters to whom; `None` where no server is set."""
    if settings.sluice_notify_email_server is None:
        return None
    assert settings.sluice_notify_email_from is not None, "checked with the settings"
    return Mailing(
        server=parse_mail_server(settings.sluice_notify_email_server.get_secret_value()),
        sender=settings.sluice_notify_email_from,
        to={
            Audience.FINANCE: parse_addresses(settings.sluice_notify_email_finance or ""),
            Audience.OPERATIONS: parse_addresses(settings.sluice_notify_email_operations or ""),
        },
        to_accounts=settings.sluice_notify_email_accounts is Switch.ON,
        locale=settings.sluice_notify_email_locale,
    )
