"""What a release run stands on: balances, and the reservations from before they were read.

It may not judge a request; it keeps the figures that every verdict of the run is explained by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway.port import UnavailableError
from handlers import circuit
from handlers.caps import caps_left
from handlers.policies import policy_of
from handlers.services import Services
from refunds.candidate import Candidate
from refunds.facts import AccountStanding, BalanceFacts
from refunds.ids import PLATFORM_LANE, AccountId, RunId, account_of, lane_of, mint
from refunds.money import Currency
from refunds.policy import Amounts, Policy
from refunds.pool import Holding, Pool, open_pool
from store.attempts import ReservationMark, add_run, mark_reservations
from store.database import Unit
from store.lanes import LaneClaim
from store.observations import add_snapshot, standing_of
from store.queued import queued_by_others
from store.tables.attempts import ReleaseRun

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountGround:
    """One connected account as a run found it."""

    standing: AccountStanding
    """As last read."""
    mark: ReservationMark
    minimum: Amounts
    """What its policy leaves there."""
    queued: Mapping[Currency, int]
    """What Stripe will take for refunds of other hands as soon as it is there."""
    balance: BalanceFacts | None
    """`None` where the account has left or denies us a look."""
    denied: bool
    """Stripe refused to show its balance, and we never heard that it left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a run stands on: the balances it read, and the reservations from before it read them."""

    run: RunId
    claim: LaneClaim
    accounts: Mapping[AccountId, AccountGround]
    """The lane's own, and every other one that its requests draw on."""
    platform: BalanceFacts
    platform_mark: ReservationMark
    policy: Policy
    """The lane's, as it was when the run began."""
    pool: Pool
    """What there was to promise before the run promised anything."""

    @property
    def home_denied(self) -> bool:
        """Whether Stripe does not let the platform look into the lane's own account."""
        home = account_of(self.claim.lane)
        return home is not None and self.accounts[home].denied


def read_ground(
    services: Services, claim: LaneClaim, candidates: Sequence[Candidate], policy: Policy
) -> Ground:
    """Snapshot the reservations first and the balances after: what was promised stays deducted."""
    home = account_of(claim.lane)
    drawn_on = {leg.account: None for candidate in candidates for leg in candidate.legs}
    names = [*({home: None} if home is not None else {}) | drawn_on]
    with services.database.reading() as unit:
        standings = {account: standing_of(unit, account) for account in names}
        marks = {account: mark_reservations(unit, lane_of(account)) for account in names}
        queued = {account: queued_by_others(unit, account) for account in names}
        minima = {account: policy_of(services, unit, account).minimum_balance for account in names}
        platform_mark = mark_reservations(unit, PLATFORM_LANE)
        purses = [draw.purse for candidate in candidates for draw in candidate.draws]
        caps = caps_left(unit, policy, purses, services.clock())
    platform = services.gateway.read_balance(None)
    circuit.note_success(services, None)
    accounts = {
        account: AccountGround(
            standing=standings[account],
            mark=marks[account],
            minimum=minima[account],
            queued=queued[account],
            balance=balance,
            denied=balance is None and standings[account] is not AccountStanding.DEAUTHORIZED,
        )
        for account in names
        for balance in (_balance_of(services, account, standings[account]),)
    }
    return Ground(
        run=RunId(mint("run", services.clock())),
        claim=claim,
        accounts=accounts,
        platform=platform,
        platform_mark=platform_mark,
        policy=policy,
        pool=open_pool(
            accounts={
                account: Holding(
                    available=ground.balance.available,
                    reserved=ground.mark.open_minor,
                    minimum=ground.minimum,
                    queued=ground.queued,
                )
                for account, ground in accounts.items()
                if ground.balance is not None
            },
            platform=Holding(available=platform.available, reserved=platform_mark.open_minor),
            caps=caps,
        ),
    )


def _balance_of(
    services: Services, account: AccountId, standing: AccountStanding
) -> BalanceFacts | None:
    """Return the account's balance; `None` where it left, or Stripe does not let us see it."""
    # Of an account that left nothing can be read or taken: only a person's release goes out.
    if standing is AccountStanding.DEAUTHORIZED:
        return None
    try:
        balance = services.gateway.read_balance(account)
    except UnavailableError as error:
        if not error.denied_in_account:
            raise
        circuit.note_trouble(services, account, error.trouble)
        _log.warning("run.account_denied", account=account, reason=str(error))
        return None
    circuit.note_success(services, account)
    return balance


def inputs_of(ground: Ground, candidate: Candidate) -> dict[str, object]:
    """Return the figures a verdict was made from, to be stored beside it; minor units."""
    cost = candidate.platform_cost
    figures: dict[str, object] = {
        "platform_cost": cost.amount_minor,
        "platform_currency": cost.currency,
        "platform_available": ground.platform.available_in(cost.currency),
        "platform_reserved": ground.platform_mark.open_minor.get(cost.currency, 0),
        "skipped_runs": candidate.skipped_runs,
    }
    accounts: list[dict[str, object]] = []
    for draw in candidate.draws:
        there = ground.accounts[draw.account]
        if there.balance is None:
            continue
        accounts.append(
            {
                "account": draw.account,
                "need": draw.need.total_minor,
                "currency": draw.need.currency,
                "own_pending": draw.own_pending_minor,
                "available": there.balance.available_in(draw.need.currency),
                "reserved": there.mark.open_minor.get(draw.need.currency, 0),
                "queued": there.queued.get(draw.need.currency, 0),
            }
        )
    return figures | {"accounts": accounts}


def ensure_run(unit: Unit, ground: Ground, now: datetime) -> None:
    """Store the run and the balances it read, once, when it first has something to say."""
    row = ReleaseRun(
        id=ground.run,
        lane=ground.claim.lane,
        cause=ground.claim.cause,
        worker=ground.claim.worker,
        fence=ground.claim.fence,
        started_at=now,
        available={
            str(account): plain(there.balance.available)
            for account, there in ground.accounts.items()
            if there.balance is not None
        },
        reserved={
            str(account): plain(there.mark.open_minor) for account, there in ground.accounts.items()
        },
        spendable=_by_account(ground.pool),
        platform_spendable=plain(ground.pool.platform),
    )
    if add_run(unit, row):
        add_snapshot(unit, ground.platform, ground.run)
        for there in ground.accounts.values():
            if there.balance is not None:
                add_snapshot(unit, there.balance, ground.run)


def plain(amounts: Mapping[Currency, int]) -> dict[str, int]:
    """Return amounts as JSON can hold them."""
    return {str(currency): minor for currency, minor in amounts.items()}


def _by_account(pool: Pool) -> dict[str, dict[str, int]]:
    amounts: dict[str, dict[str, int]] = {}
    for (account, currency), minor in pool.account.items():
        amounts.setdefault(account, {})[str(currency)] = minor
    return amounts
