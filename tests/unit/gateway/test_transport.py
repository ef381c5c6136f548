"""How the client is built, and that nothing of it shows a key.

It pins the SDK behaviour Sluice relies on, so that an upgrade that changes it is noticed here.
"""

import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import stripe
from structlog.testing import capture_logs

from gateway.client import StripeGateway
from gateway.port import Gateway, UnavailableError
from gateway.transport import (
    API_VERSION,
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    UnusableApiBaseError,
    UnusableKeyError,
    default_http_client,
)
from refunds.steps import Trouble
from tests.unit.gateway.canned import KEY, Canned, always, error, gateway_over, refund
from tests.unit.gateway.test_execute import REFUND


def test_it_fulfils_the_port() -> None:
    gateway: Gateway = gateway_over(Canned(always(200, {})))
    assert gateway is not None


def test_the_pinned_version_is_the_one_the_sdk_was_made_for() -> None:
    assert stripe.api_version == API_VERSION


def test_the_default_transport_has_our_timeouts() -> None:
    transport = default_http_client()
    assert isinstance(transport, stripe.RequestsClient)
    assert transport._timeout == (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)


@pytest.mark.parametrize("should_retry", ["true", "false"])
@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_the_sdk_never_retries_by_itself(status: int, should_retry: str) -> None:
    transport = Canned(always(status, error(), {"Stripe-Should-Retry": should_retry}))
    gateway_over(transport).execute(REFUND)
    assert len(transport.requests) == 1


def test_nothing_is_told_to_stripe_about_this_machine() -> None:
    transport = Canned(always(200, refund()))
    gateway = gateway_over(transport)
    gateway.execute(REFUND)
    gateway.execute(REFUND)
    for request in transport.requests:
        assert "X-Stripe-Client-Telemetry" not in request.headers
        assert "platform" not in request.headers["X-Stripe-Client-User-Agent"]


@pytest.mark.parametrize("prefix", ["sk_test_", "rk_test_", "sk_live_", "rk_live_"])
def test_the_prefix_says_live_or_test(prefix: str) -> None:
    account = {"id": "acct_platform", "object": "account"}
    gateway = StripeGateway(f"{prefix}0123456789", http_client=Canned(always(200, account)))
    platform = gateway.read_platform()
    assert platform.account == "acct_platform"
    assert platform.livemode is ("live" in prefix)


@pytest.mark.parametrize(
    "key",
    ["", "pk_test_0123456789", "whsec_0123456789", "sk_test_", "sk_test_01234\n56789", "012345"],
)
def test_a_key_that_cannot_work_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(UnusableKeyError, match="STRIPE_API_KEY must be") as caught:
        StripeGateway(key)
    assert "01234" not in repr(caught.value)


@pytest.mark.parametrize(
    "base", ["localhost:12111", "ftp://127.0.0.1", "http://", "http://127.0.0.1/?a=b", "/v1"]
)
def test_an_api_base_that_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(UnusableApiBaseError, match="STRIPE_API_BASE must be"):
        StripeGateway(KEY, api_base=base)


@pytest.mark.parametrize("base", ["http://127.0.0.1:12111", "http://127.0.0.1:12111/"])
def test_calls_go_to_the_api_base(base: str) -> None:
    seen: list[str] = []

    class Noting(Canned):
        def request(self, method: str, url: str, *args: object) -> object:  # type: ignore[override]  # only the address matters
            seen.append(url)
            return super().request(method, url, {})

    gateway = StripeGateway(KEY, api_base=base, http_client=Noting(always(200, {"id": "acct_1"})))
    gateway.read_platform()
    assert seen == ["http://127.0.0.1:12111/v1/account"]


def test_neither_repr_nor_log_shows_key_or_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    private = {"metadata": {"email": "buyer@example.com"}}
    gateway = gateway_over(Canned(always(200, refund(**private))))
    refusing = gateway_over(Canned(always(401, error(message=f"Invalid API Key provided: {KEY}"))))
    with capture_logs() as logged:
        done = gateway.execute(REFUND)
        denied = refusing.execute(REFUND)
    everything = f"{gateway!r} {gateway!s} {vars(gateway)} {denied} {logged} {caplog.text}"
    assert KEY not in everything
    assert KEY.removeprefix("sk_test_") not in everything
    assert "buyer@example.com" not in f"{logged} {caplog.text}"
    assert "test mode" in repr(gateway)
    assert done is not None


def test_each_call_is_logged_once_with_what_finds_it_again() -> None:
    with capture_logs() as logged:
        gateway_over(Canned(always(200, refund()))).execute(REFUND)
        gateway_over(Canned(always(400, error("charge_disputed")))).execute(REFUND)
        gateway_over(Canned(always(503, b"<html>"))).execute(REFUND)
    assert [entry["event"] for entry in logged] == ["stripe.call"] * 3
    outcomes = ["answered", "refused:charge_disputed", "unknown:server_error"]
    assert [entry["outcome"] for entry in logged] == outcomes
    assert [entry["log_level"] for entry in logged] == ["info", "warning", "warning"]
    for entry in logged:
        assert entry["call"] == "refund.create"
        assert entry["subject"] == "ch_1"
        assert entry["stripe_request"] == "req_canned"
        assert entry["ms"] >= 0


@contextmanager
def _server(answer: bytes, ending: str) -> Iterator[str]:
    """A socket that takes one request, sends `answer`, then closes, resets or holds the line."""
    done = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65_536)
                connection.sendall(answer)
                if ending == "hang":
                    done.wait(10)
                if ending == "reset":
                    # Closing with a linger time of zero sends RST instead of FIN.
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join(10)


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize(
    "answer, ending, trouble",
    [
        (b"", "hang", Trouble.TIMEOUT),
        (HALF, "hang", Trouble.TIMEOUT),
        (HALF, "close", Trouble.CONNECTION),
        (b"", "close", Trouble.CONNECTION),
        (b"", "reset", Trouble.CONNECTION),
        (b"220 mail.example.com ESMTP\r\n", "close", Trouble.CONNECTION),
    ],
    ids=["silence", "half, then silence", "half", "closed", "reset", "not HTTP"],
)
def test_what_real_sockets_do_is_told_apart(answer: bytes, ending: str, trouble: Trouble) -> None:
    """Through `requests` and `urllib3`: both wrap a socket's timeout in errors of their own."""
    transport = stripe.RequestsClient(timeout=(0.3, 0.3))
    with (
        _server(answer, ending) as base,
        StripeGateway(KEY, api_base=base, http_client=transport) as gateway,
        pytest.raises(UnavailableError) as caught,
    ):
        gateway.read_balance(None)
    assert caught.value.trouble is trouble


def test_nobody_listening_is_a_connection_that_failed() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with StripeGateway(KEY, api_base=base) as gateway, pytest.raises(UnavailableError) as caught:
        gateway.read_balance(None)
    assert caught.value.trouble is Trouble.CONNECTION
    assert "ConnectionRefusedError" in str(caught.value)
