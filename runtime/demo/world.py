"""The world of the demo, made at the sandbox over HTTP: endpoints, buyers, an account paid out.

It may not touch Sluice; what happens here reaches it as Stripe's events alone.
"""

from dataclasses import dataclass
from typing import Any, Final

import urllib3

from runtime.demo.stage import DemoError

PAID_MINOR: Final = 50_00
"""What the buyer of the story paid; all of it went to the connected account."""
ALSO_PAID_MINOR: Final = 30_00
"""A second buyer's payment, left for whoever watches."""
LEFT_MINOR: Final = 10_00
"""What the account has left after its payout."""
PLATFORM_MINOR: Final = 1_000_00
CURRENCY: Final = "usd"

_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is at Stripe when the story begins."""

    account: str
    payment: str
    other_payment: str


def build_world(sandbox_url: str, web_url: str, secret: str) -> World:
    """Register Sluice's endpoints, then let two buyers pay and the account be paid out."""
    for connect in (False, True):
        endpoint = {"url": f"{web_url}/webhooks/stripe", "connect": connect, "secret": secret}
        control(sandbox_url, "endpoints", endpoint)
    control(sandbox_url, "accounts/platform/balance", {"available": PLATFORM_MINOR})
    account = str(control(sandbox_url, "accounts", {"payouts": "manual"})["id"])
    payments = [_pay(sandbox_url, account, amount) for amount in (PAID_MINOR, ALSO_PAID_MINOR)]
    paid_out = PAID_MINOR + ALSO_PAID_MINOR - LEFT_MINOR
    control(sandbox_url, f"accounts/{account}/payout", {"amount": paid_out})
    return World(account=account, payment=payments[0], other_payment=payments[1])


def bring_money(sandbox_url: str, account: str, amount_minor: int) -> None:
    """Let money become available in the account; Stripe tells of it by `balance.available`."""
    control(sandbox_url, f"accounts/{account}/earn", {"amount": amount_minor})


def control(sandbox_url: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
    """Carry out one of the sandbox's control verbs; raise `DemoError` if it is refused."""
    try:
        answer = urllib3.request(
            "POST",
            f"{sandbox_url}/_sandbox/{verb}",
            json=body,
            timeout=_TIMEOUT_SECONDS,
            retries=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise DemoError(f"the sandbox did not answer to {verb}: {error}") from error
    if answer.status != 200:
        raise DemoError(f"the sandbox refused {verb}: {answer.data.decode()}")
    made: dict[str, Any] = answer.json()
    return made


def _pay(sandbox_url: str, account: str, amount_minor: int) -> str:
    payment = {"charge_type": "destination", "account": account, "amount": amount_minor}
    return str(control(sandbox_url, "payments", payment)["payment_intent"]["id"])
