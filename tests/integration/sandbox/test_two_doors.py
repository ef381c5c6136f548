"""The same story through both front doors ends in the same world, compared whole."""

import itertools

import pytest
import stripe

from sandbox.clock import Clock
from sandbox.inprocess import InProcessSandbox
from sandbox.server import SandboxServer
from sandbox.world.core import START
from tests.unit.sandbox.whole_story import tell


def in_process(seed: int, monkeypatch: pytest.MonkeyPatch) -> InProcessSandbox:
    """The story told without sockets."""
    restart_keys(monkeypatch)
    sandbox = InProcessSandbox(seed=seed)
    tell(sandbox.client(), sandbox.control)
    return sandbox


def restart_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK invents a key for each call that has none: the same ones in every telling."""
    numbers = itertools.count()
    monkeypatch.setattr(
        "stripe._api_requestor._generate_idempotency_key", lambda: f"key_{next(numbers)}"
    )


def test_both_doors_lead_to_the_same_world(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = in_process(7, monkeypatch).snapshot()
    restart_keys(monkeypatch)
    with SandboxServer(seed=7, clock=Clock(start=START)) as served:
        http = stripe.RequestsClient(timeout=(3, 8))
        client = stripe.StripeClient(
            "sk_test_sandbox_key", base_addresses={"api": served.base_url}, http_client=http
        )
        tell(client, served.control)
        http.close()  # type: ignore[no-untyped-call]  # the SDK left it without types
        over_http = served.snapshot()
    del quiet["deliveries"], over_http["deliveries"]
    assert quiet == over_http
    assert quiet["books"]["problems"] == []
    assert len(quiet["objects"]["event"]) > 200


def test_another_seed_is_another_world(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again, other = (in_process(seed, monkeypatch).snapshot() for seed in (7, 7, 8))
    assert first == again
    assert first != other
