"""The allowed rate at a sandbox that limits calls as Stripe does: used, and never exceeded."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.client import StripeGateway
from gateway.pace import Pace
from gateway.port import UnavailableError
from refunds.clock import monotonic_seconds
from refunds.steps import Trouble
from sandbox.server import SandboxServer

KEY = "sk_test_" + "rate0123456789"


def test_four_threads_keep_within_what_stripe_allows() -> None:
    with SandboxServer(port=0) as sandbox:
        sandbox.control("POST", "switches", {"rate_limit_per_endpoint": 25})
        gateway = StripeGateway(KEY, api_base=sandbox.base_url, pace=Pace(100, 20))
        began = monotonic_seconds()
        with ThreadPoolExecutor(4) as pool:
            balances = list(pool.map(lambda _: gateway.read_balance(None), range(50)))
        took = monotonic_seconds() - began
        gateway.close()
    # 20 at once, 20 a second later, 10 another second later; a 429 would have been raised.
    assert len(balances) == 50
    assert took >= 2.0


def test_a_429_slows_the_next_calls_down() -> None:
    with SandboxServer(port=0) as sandbox:
        gateway = StripeGateway(KEY, api_base=sandbox.base_url, pace=Pace(100, 20))
        fault = {"kind": "http_429", "path": "/v1/balance", "method": "GET", "times": 1}
        sandbox.control("POST", "faults", fault)
        with pytest.raises(UnavailableError) as refused:
            gateway.read_balance(None)
        assert refused.value.trouble is Trouble.RATE_LIMITED
        began = monotonic_seconds()
        for _ in range(11):
            gateway.read_balance(None)
        took = monotonic_seconds() - began
        gateway.close()
    # Ten a second instead of twenty, and one of them was the call that was refused.
    assert took >= 0.9
