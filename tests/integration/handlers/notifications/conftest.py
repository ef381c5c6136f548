"""Receivers for the stories of notifications: real servers on this machine."""

from collections.abc import Iterator

import pytest

from tests.support.receivers import HttpReceiver, MailReceiver, http_receiver, mail_receiver


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    """One of the platform's own systems."""
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def post() -> Iterator[MailReceiver]:
    """A mail server."""
    with mail_receiver() as receiver:
        yield receiver
