"""A worker is killed in the middle of changing how accounts are paid out: raised minima are raised
once, and what an operator had set before stands there again in the end.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
import stripe

from handlers.guard_view import view_guard
from handlers.operate import Action, act
from refunds.ids import AccountId, RequestId
from refunds.policy import PayoutGuard, PolicyBook
from tests.support.processes import Platform
from tests.support.soundness import assert_sound
from tests.support.stage import KEY
from tests.support.waiting import eventually
from tests.support.wire import Mishap, Snare

PATH: Final = "/v1/balance_settings"
BACK_SECONDS: Final = 60
"""A lease of 15 seconds, the reading, the retry, and a busy machine."""
MISHAPS: Final = (Mishap.SWALLOWED, Mishap.ANSWER_HELD)
"""Killed before the call reaches Stripe, and when its effect is there and its answer is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """An account with daily payouts and a minimum of its operator's own."""

    account: str
    own: int
    need: int
    request: RequestId

    @property
    def raised(self) -> dict[str, int]:
        """What is to stand there while the request is open."""
        return {"usd": self.own + self.need}


@pytest.mark.timeout(300)  # two restarts, each with a lease to sit out
def test_a_killed_worker_leaves_every_minimum_to_be_raised_once_and_put_back(
    platform: Platform,
) -> None:
    (platform.folder / "policy.toml").write_text("[default]\npayout_guard = true\n")
    (platform.folder / ".env").write_text("SLUICE_POLICY_FILE=policy.toml\n")
    stage = platform.stage
    book = PolicyBook(default={"payout_guard": PayoutGuard.ON})
    stage.services = replace(stage.services, policies=book)

    worker = platform.start_worker()
    shops, snares = [], []
    for number, mishap in enumerate(MISHAPS):
        own, need = 1_111 + number, 5_000 + 100 * number
        # Before the wish: the worker is at it two seconds later.
        snares.append(platform.wire.snare(mishap, PATH, f"={own + need}"))
        shops.append(_shop(platform, own, need))
    _await(snares)
    worker.kill()
    assert [_minimum(platform, shop) for shop in shops] == [
        {"usd": shops[0].own},
        shops[1].raised,
    ]
    worker = platform.start_worker()
    for shop in shops:
        _await_standing(platform, shop, "on")
        assert _minimum(platform, shop) == shop.raised

    snares = [
        platform.wire.snare(mishap, PATH, f"={shop.own}")
        for mishap, shop in zip(MISHAPS, shops, strict=True)
    ]
    for shop in shops:
        act(stage.services, Action.CANCEL, shop.request, note="never mind", actor="ann")
    _await(snares)
    worker.kill()
    platform.start_worker()
    for shop in shops:
        _await_standing(platform, shop, "off")
        assert _minimum(platform, shop) == {"usd": shop.own}
        assert _keys(platform, shop) == 2
    assert_sound(stage)


def _shop(platform: Platform, own: int, need: int) -> Shop:
    stage = platform.stage
    account = stage.account(payouts="daily")
    payouts = {"minimum_balance_by_currency": {"usd": own}}
    _client(platform).raw_request(
        "post", PATH, payments={"payouts": payouts}, stripe_account=account
    )
    payment = stage.paid(account, 2 * need)
    stage.has(account, 0)
    return Shop(account=account, own=own, need=need, request=stage.wish(payment, need))


def _await(snares: list[Snare]) -> None:
    for snare in snares:
        eventually(snare.sprung.is_set, "the call is caught", within_seconds=BACK_SECONDS)


def _await_standing(platform: Platform, shop: Shop, state: str) -> None:
    def stands() -> bool:
        return _standing(platform, shop) == state

    eventually(stands, f"the guard is {state}", within_seconds=BACK_SECONDS)


def _client(platform: Platform) -> stripe.StripeClient:
    # Beside the wire: only workers' calls are caught.
    return stripe.StripeClient(KEY, base_addresses={"api": platform.stage.sandbox.base_url})


def _minimum(platform: Platform, shop: Shop) -> dict[str, int] | None:
    answer = _client(platform).raw_request("get", PATH, stripe_account=shop.account)
    shown: dict[str, Any] = dict(answer.data)
    found = shown["payments"]["payouts"]["minimum_balance_by_currency"]
    return None if found is None else dict(found)


def _standing(platform: Platform, shop: Shop) -> str | None:
    with platform.stage.services.database.reading() as unit:
        view = view_guard(unit, AccountId(shop.account))
    return None if view is None else str(view["state"])


def _keys(platform: Platform, shop: Shop) -> int:
    """How many changes of ours Stripe was asked for: retries of one share its key."""
    keys = {
        str(call["idempotency_key"])
        for call in platform.stage.calls()
        if (call["path"], call["account"]) == (PATH, shop.account)
    }
    return len({key for key in keys if key.startswith("sluice-ga_")})
