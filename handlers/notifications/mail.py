"""The channel by email: letters over SMTP to finance, operations and, where that is switched on, to
connected accounts.

It may not word a letter, and no field of a letter may become a header of its own.
"""

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from gateway.port import NotFoundError, ReadError, RejectedReadError
from handlers.notifications.channel import (
    Delivered,
    Message,
    NotWanted,
    Outcome,
    TryLater,
    Undeliverable,
)
from handlers.notifications.configured import Mailing, is_plain_address
from handlers.notifications.wording import Letter, write_letter
from refunds.ids import AccountId
from refunds.notifications import LETTERS, Audience, Kind
from store.dispatches import Told
from store.tables.requests import Mode

OPERATION_SECONDS: Final = 8.0
"""For each step of the SMTP conversation."""

FindAddress = Callable[[AccountId], str | None]
"""Returns a connected account's own email address. Raises the gateway's `ReadError`."""


class MailChannel:
    """Sends one letter per audience and address, each with a Message-ID of its own that stays."""

    receiver: Final = "email"
    batch: Final = 1
    lease: Final = timedelta(seconds=90)

    def __init__(self, mailing: Mailing, find_address: FindAddress) -> None:
        self._mailing = mailing
        self._find_address = find_address

    def addresses(self, told: Told) -> Sequence[str]:
        """Return `audience:address` for each reader, and `account:` for the connected account."""
        found = []
        for audience in sorted(LETTERS[told.kind]):
            if audience is not Audience.ACCOUNT:
                found += [f"{audience}:{each}" for each in self._mailing.to.get(audience, ())]
            elif self._writes_to_account(told):
                found.append(f"{audience}:")
        return found

    def test_addresses(self) -> Sequence[str]:
        """Everybody in the settings; never a connected account."""
        audiences = sorted(LETTERS[Kind.TEST])
        return [f"{each}:{to}" for each in audiences for to in self._mailing.to.get(each, ())]

    def send(self, message: Message) -> Outcome:
        """Hand one letter to the server."""
        name, _, address = message.address.partition(":")
        audience = Audience(name)
        if audience is Audience.ACCOUNT:
            found = self._address_of_account(message.told)
            if not isinstance(found, str):
                return found
            address = found
        if not is_plain_address(address):
            return Undeliverable(note="The address is none that a letter could be sent to.")
        letter = write_letter(
            message.told.kind, audience, message.told.payload, locale=self._mailing.locale
        )
        return self._hand_over(self._envelope(message, address, letter), address)

    def _writes_to_account(self, told: Told) -> bool:
        live = told.mode is Mode.LIVE
        return self._mailing.to_accounts and live and told.account is not None

    def _address_of_account(self, told: Told) -> str | Outcome:
        assert told.account is not None, "only what concerns an account is addressed to one"
        if not self._writes_to_account(told):
            return NotWanted(note="Letters to connected accounts were switched off meanwhile.")
        try:
            address = self._find_address(AccountId(told.account))
        except (NotFoundError, RejectedReadError):
            return NotWanted(note="Stripe does not show us this account.")
        except ReadError:
            return TryLater(note="Stripe could not be asked for the account's address.")
        if not address:
            return NotWanted(note="The account has no email address at Stripe.")
        return address

    def _envelope(self, message: Message, address: str, letter: Letter) -> EmailMessage:
        told = message.told
        made = EmailMessage(policy=SMTP)
        made["From"] = Address(addr_spec=self._mailing.sender)
        made["To"] = Address(addr_spec=address)
        made["Subject"] = one_line(letter.subject)
        made["Date"] = told.at
        made["Message-ID"] = f"<{told.id}.{_digest(message.address)}@{self._domain}>"
        # So that holiday notes and ticket systems don't answer.
        made["Auto-Submitted"] = "auto-generated"
        made.set_content(letter.text)
        made.add_alternative(letter.html, subtype="html")
        return made

    @property
    def _domain(self) -> str:
        return self._mailing.sender.rpartition("@")[2]

    def _hand_over(self, made: EmailMessage, address: str) -> Outcome:
        try:
            connection = self._connected()
            try:
                connection.send_message(made, self._mailing.sender, [address])
            finally:
                # Whatever is said at the goodbye, the letter was taken, or refused, before.
                with suppress(smtplib.SMTPException, OSError):
                    connection.quit()
                connection.close()
        except smtplib.SMTPRecipientsRefused as error:
            code, _ = error.recipients[address]
            return _refused(code, "the address")
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            return _refused(error.smtp_code, "the letter")
        except smtplib.SMTPAuthenticationError:
            return TryLater(
                note="The server refuses the user or the password.", receiver_unwell=True
            )
        except (smtplib.SMTPException, OSError) as error:
            note = f"The server could not take it ({type(error).__name__})."
            return TryLater(note=note, receiver_unwell=True)
        return Delivered(note="The server took it.")

    def _connected(self) -> smtplib.SMTP:
        """Return a connection of this letter's own: connections are not shared by threads."""
        server = self._mailing.server
        # Our name given, or the library asks DNS for it without a limit of time.
        if server.tls_from_start:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host,
                server.port,
                local_hostname=self._domain,
                timeout=OPERATION_SECONDS,
                context=ssl.create_default_context(),
            )
        else:
            connection = smtplib.SMTP(
                server.host, server.port, local_hostname=self._domain, timeout=OPERATION_SECONDS
            )
        try:
            if not server.tls_from_start and not server.in_the_clear:
                connection.starttls(context=ssl.create_default_context())
            if server.user is not None:
                connection.login(server.user, server.password or "")
        except BaseException:
            connection.close()
            raise
        return connection


def one_line(text: str) -> str:
    """Return text that fits into a header: fields of payments are strangers' words."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split())[:200]


def _refused(code: int, what: str) -> Outcome:
    # 4xx is "not now" in SMTP, 5xx "not ever".
    if 500 <= code < 600:
        return Undeliverable(note=f"The server refuses {what} (SMTP {code}).")
    return TryLater(note=f"The server does not take {what} now (SMTP {code}).")


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:12]
