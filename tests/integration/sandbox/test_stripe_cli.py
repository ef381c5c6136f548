"""The official Stripe CLI against the sandbox: trigger, fixtures, get, post, resend, listen."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.server import SandboxServer
from tests.integration.sandbox.conftest import Receiver
from tests.support.repository import ROOT
from tests.support.stripe_cli import StripeCli, StripeCliMissingError, install

FIXTURES = sorted(path.name for path in (ROOT / "fixtures").glob("*.json"))


@pytest.fixture(scope="session")
def installed() -> str | None:
    """Why there is no CLI, or None."""
    try:
        install()
    except StripeCliMissingError as error:
        return str(error)
    return None


@pytest.fixture
def cli(installed: str | None, sandbox: SandboxServer, tmp_path: Path) -> StripeCli:
    """The real CLI in front of the sandbox; skips visibly where it can't be installed."""
    if installed is not None:
        if os.environ.get("SLUICE_REQUIRE_STRIPE_CLI") == "1":
            pytest.fail(installed)
        pytest.skip(installed)
    return StripeCli(base=sandbox.base_url, home=tmp_path)


def wait_for(check: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def refusals(sandbox: SandboxServer) -> list[Any]:
    """What the sandbox refused: the CLI itself doesn't fail on it."""
    refused: list[Any] = sandbox.control("GET", "calls")["refused"]
    return refused


@pytest.mark.parametrize(
    "event", ["balance.available", "charge.refund.updated", "account.updated", "transfer.reversed"]
)
def test_trigger_makes_its_event(
    cli: StripeCli, sandbox: SandboxServer, receiver: Receiver, event: str
) -> None:
    # The CLI's transfer is a little more than its own payment brings after Stripe's fee.
    sandbox.control("POST", "accounts/platform/balance", {"available": 10_000})
    assert "Trigger succeeded" in cli.run("trigger", event)
    assert refusals(sandbox) == []
    assert sandbox.courier.wait_idle(10)
    assert event in {item["type"] for item in receiver.events}


@pytest.mark.parametrize("event", ["balance.available", "charge.refund.updated", "account.updated"])
def test_trigger_acts_on_a_connected_account(
    cli: StripeCli, sandbox: SandboxServer, receiver: Receiver, event: str
) -> None:
    account = sandbox.control("POST", "accounts")["id"]
    assert sandbox.courier.wait_idle(10)
    receiver.events.clear()
    cli.run("trigger", event, "--stripe-account", account)
    assert refusals(sandbox) == []
    assert sandbox.courier.wait_idle(10)
    assert event in {item["type"] for item in receiver.events if item.get("account")}
    assert event not in receiver.types()


@pytest.mark.parametrize("name", FIXTURES)
def test_each_fixture_file_runs(cli: StripeCli, sandbox: SandboxServer, name: str) -> None:
    account = sandbox.control("POST", "accounts")["id"]
    more = ["--stripe-account", account] if name == "earnings.json" else []
    cli.run("fixtures", str(ROOT / "fixtures" / name), *more)
    wanted = json.loads((ROOT / "fixtures" / name).read_text())["fixtures"]
    assert len(sandbox.control("GET", "calls")["calls"]) == len(wanted)
    assert refusals(sandbox) == []


def test_get_post_and_resend(cli: StripeCli, sandbox: SandboxServer, receiver: Receiver) -> None:
    account = sandbox.control("POST", "accounts", {"available": 700})["id"]
    read = json.loads(cli.run("get", "/v1/balance", "--stripe-account", account))
    assert read["available"][0]["amount"] == 700
    made = json.loads(cli.run("post", "/v1/customers", "-d", "email=buyer@example.com"))
    assert made["email"] == "buyer@example.com"
    listed = json.loads(cli.run("get", "/v1/events", "-d", "limit=1"))["data"]
    assert sandbox.courier.wait_idle(10)
    cli.run("events", "resend", listed[0]["id"])
    assert sandbox.courier.wait_idle(10)
    same = [event for event in receiver.events if event["id"] == listed[0]["id"]]
    assert len(same) == 2
    assert receiver.forged == 0


def test_listen_forwards_signed_events_and_hears_the_answers(
    cli: StripeCli, sandbox: SandboxServer, receiver: Receiver
) -> None:
    account = sandbox.control("POST", "accounts")["id"]
    assert sandbox.courier.wait_idle(10)
    receiver.events.clear()
    assert cli.run("listen", "--print-secret").strip() == sandbox.secret
    platform, connect = f"{receiver.url}/platform", f"{receiver.url}/connect"
    with cli.listening(
        "--all-snapshot", "--forward-to", platform, "--forward-connect-to", connect
    ) as log:
        wait_for(lambda: sandbox.listeners.connected() == 1)
        wait_for(lambda: sandbox.secret in log.read_text())
        sandbox.control("POST", "deliveries/rules", {"kind": "drop", "times": None})
        sandbox.control("POST", "accounts/platform/earn", {"amount": 100})
        sandbox.control("POST", f"accounts/{account}/earn", {"amount": 200})
        wait_for(lambda: len(sandbox.listeners.answers()) == 2)
        wait_for(lambda: log.read_text().count("[200]") == 2)
        answered = {(item["url"], item["status"]) for item in sandbox.listeners.answers()}
        assert answered == {(platform, 200), (connect, 200)}
        assert receiver.types() == ["balance.available"]
        assert receiver.types(account) == ["balance.available"]
        assert receiver.forged == 0
        cli.run("events", "resend", receiver.events[0]["id"], *_acting(receiver.events[0]))
        wait_for(lambda: len(sandbox.listeners.answers()) == 3)
    wait_for(lambda: sandbox.listeners.connected() == 0)


def _acting(event: dict[str, Any]) -> tuple[str, ...]:
    return ("--stripe-account", event["account"]) if "account" in event else ()
