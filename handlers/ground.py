"""What a release run stands on: two balances, and the reservations from before they were read.

It may not judge a request; it keeps the figures that every verdict of the run is explained by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from refunds.facts import AccountStanding, BalanceFacts
from refunds.ids import RunId
from refunds.money import Currency
from refunds.policy import Policy
from refunds.pool import Candidate, Pool
from store.attempts import ReservationMark, add_run
from store.database import Unit
from store.lanes import LaneClaim
from store.observations import add_snapshot
from store.tables.attempts import ReleaseRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a run stands on: the balances it read, and the reservations from before it read them."""

    run: RunId
    claim: LaneClaim
    account: BalanceFacts | None
    """`None` in the platform's own lane, and where the account has left or denies us a look."""
    platform: BalanceFacts
    standing: AccountStanding
    """The account's, as last read."""
    denied: bool
    """Stripe refused to show the account's balance, and we never heard that it left."""
    account_mark: ReservationMark
    platform_mark: ReservationMark
    policy: Policy
    """The lane's, as it was when the run began."""
    pool: Pool
    """What there was to promise before the run promised anything."""


def inputs_of(ground: Ground, candidate: Candidate) -> dict[str, object]:
    """Return the figures a verdict was made from, to be stored beside it; minor units."""
    account = ground.account
    need, cost = candidate.need, candidate.platform_cost
    figures: dict[str, object] = {
        "own_pending": candidate.own_pending_minor,
        "platform_cost": cost.amount_minor,
        "platform_currency": cost.currency,
        "platform_available": ground.platform.available_in(cost.currency),
        "platform_reserved": ground.platform_mark.open_minor.get(cost.currency, 0),
        "skipped_runs": candidate.skipped_runs,
    }
    if account is not None and need is not None:
        figures["available"] = account.available_in(need.currency)
        figures["reserved"] = ground.account_mark.open_minor.get(need.currency, 0)
    return figures


def ensure_run(unit: Unit, ground: Ground, now: datetime) -> None:
    """Store the run and the balances it read, once, when it first has something to say."""
    row = ReleaseRun(
        id=ground.run,
        lane=ground.claim.lane,
        cause=ground.claim.cause,
        worker=ground.claim.worker,
        fence=ground.claim.fence,
        started_at=now,
        available=plain(ground.account.available) if ground.account else {},
        reserved=plain(ground.account_mark.open_minor),
        spendable=plain(ground.pool.account),
        platform_spendable=plain(ground.pool.platform),
    )
    if add_run(unit, row):
        add_snapshot(unit, ground.platform, ground.run)
        if ground.account is not None:
            add_snapshot(unit, ground.account, ground.run)


def plain(amounts: Mapping[Currency, int]) -> dict[str, int]:
    """Return amounts as JSON can hold them."""
    return {str(currency): minor for currency, minor in amounts.items()}
