"""The forms of the settings of notifications: text as endpoints and mail servers.

It may not show a value in an error, which may be secret, nor reach what a value names.
"""

import base64
import binascii
import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from handlers.notifications.configured import Endpoint, MailServer, is_plain_address

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins
SECRET_BYTES_LEAST: Final = 24
"""Source: the Standard Webhooks specification, "Signature scheme"."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PORTS: Final = {"smtp": 587, "smtps": 465}


def parse_endpoints(text: str) -> tuple[Endpoint, ...]:
    """Return the endpoints of `name:whsec_…[:whsec_…]:https://…, …`.

    Raise `ValueError` with what is wrong with which, by its position.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = tuple(_endpoint(part, f"number {at}") for at, part in enumerate(parts, start=1))
    names = [endpoint.name for endpoint in found]
    if len(set(names)) < len(names):
        raise ValueError("two endpoints have the same name")
    return found


def parse_mail_server(text: str) -> MailServer:
    """Return the server of `smtps://user:password@host:465` or `smtp://…` (STARTTLS).

    Raise `ValueError` with what is wrong.
    """
    parts = _split(text)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("is not smtp://user:password@host:587 (STARTTLS) or smtps://…:465")
    return MailServer(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        tls_from_start=parts.scheme == "smtps",
        in_the_clear=parts.scheme == "smtp" and _is_this_machine(parts.hostname),
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def parse_addresses(text: str) -> tuple[str, ...]:
    """Return comma-separated email addresses. Raise `ValueError` by the position of a wrong one."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    for at, each in enumerate(found, start=1):
        if not is_plain_address(each):
            raise ValueError(f"number {at} is not an email address")
    return tuple(dict.fromkeys(found))


def _endpoint(text: str, which: str) -> Endpoint:
    name, _, rest = text.partition(":")
    if not _NAME.fullmatch(name) or not rest:
        raise ValueError(f"{which} is not name:whsec_…:https://… (name: a-z, 0-9, - and _)")
    secrets = []
    while rest.startswith(SECRET_PREFIX):
        secret, _, rest = rest.partition(":")
        _check_secret(secret, which)
        secrets.append(secret)
    if not secrets:
        raise ValueError(f"{which} has no signing secret (whsec_…) between its name and its URL")
    _check_url(rest, which)
    return Endpoint(name=name, url=rest, secrets=tuple(secrets))


def _check_secret(secret: str, which: str) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
    except binascii.Error:
        size = 0
    if size < SECRET_BYTES_LEAST:
        raise ValueError(
            f"{which} has a secret that is not whsec_ and the base64 of at least "
            f"{SECRET_BYTES_LEAST} bytes; make one: echo whsec_$(openssl rand -base64 32)"
        )


def _check_url(url: str, which: str) -> None:
    parts = _split(url)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError(f"{which} has no URL (https://…) after its secrets")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError(f"{which} is not https, which only a receiver on this machine may do")
    if parts.username is not None or parts.fragment or not url.isascii() or " " in url:
        raise ValueError(f"{which} has a URL with a user, a fragment, a space or odd characters")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Looked at now: a port that is no number is found only when it is asked for.
        parts.port  # noqa: B018
    except ValueError:
        # `from None`: the original repeats the value.
        raise ValueError("holds a URL that can't be read") from None
    return parts


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
