"""A connected account as the outside sees it, and the risk tier a person puts it into.

It may not read Stripe: an operator must be able to look and act while Stripe is away.
"""

from collections.abc import Sequence
from typing import Literal

import structlog
from pydantic import with_config

# As in handlers/view.py: pydantic reads `typing.TypedDict` from Python 3.12 on only.
from typing_extensions import TypedDict

from handlers.guard_view import GuardView, view_guard
from handlers.policy_change import count_deadlines_anew
from handlers.services import Services
from refunds.errors import AccountNotFoundError, UnknownTierError
from refunds.eta import Confidence
from refunds.facts import AccountStanding
from refunds.ids import AccountId, lane_of
from refunds.money import Money
from refunds.policy_values import NO_TIER
from store.account_figures import (
    exposure_sums,
    knows_account,
    last_balance,
    latest_of_waiting,
    open_sums,
    reserved_sums,
)
from store.accounts import set_tier, tier_of
from store.database import Unit
from store.installation import record_action
from store.observations import standing_of
from store.tables.observations import BalanceSnapshot
from store.tables.requests import EvaluationRow

_log = structlog.get_logger(__name__)


@with_config(use_attribute_docstrings=True, extra="forbid")
class AmountView(TypedDict):
    """An amount in minor units."""

    amount: int
    currency: str


@with_config(use_attribute_docstrings=True, extra="forbid")
class OpenView(TypedDict):
    """What waits or lies in review, in one currency of the payments."""

    requests: int
    amount: int
    currency: str


@with_config(use_attribute_docstrings=True, extra="forbid")
class BalanceView(TypedDict):
    """A balance as it was read for a decision; minor units per currency."""

    available: dict[str, int]
    pending: dict[str, int]
    at: int
    """Seconds since 1970."""


@with_config(use_attribute_docstrings=True, extra="forbid")
class AccountView(TypedDict):
    """The account object: how a connected account stands in Sluice's books."""

    id: str
    object: Literal["account"]
    standing: AccountStanding
    risk: str | None
    """The risk tier a person put it into."""
    open: list[OpenView]
    need: list[AmountView]
    """What open requests need of it, in its settlement currencies."""
    reserved: list[AmountView]
    """What is promised to refunds whose effect is not known yet."""
    exposure: list[AmountView]
    """What the platform stands in for on its behalf."""
    balance: BalanceView | None
    """The one read last; null before any was."""
    guard: GuardView | None
    """Whether money for open requests is kept from payouts; null where that was never wanted."""
    eta: int | None
    """When all that is short will be covered, in seconds since 1970; null where nobody can tell."""
    eta_confidence: Confidence | None


def view_account(unit: Unit, account: AccountId) -> AccountView:
    """Return an account as it stands in our books; raise `AccountNotFoundError`."""
    if not knows_account(unit, account):
        raise AccountNotFoundError(account)
    waiting = latest_of_waiting(unit, account)
    last = _last_to_be_covered(waiting)
    return AccountView(
        id=account,
        object="account",
        standing=standing_of(unit, account),
        risk=tier_of(unit, account),
        open=[
            OpenView(
                requests=each.requests,
                amount=each.amount.amount_minor,
                currency=each.amount.currency,
            )
            for each in open_sums(unit, account)
        ],
        need=_needs(waiting),
        reserved=_amounts(reserved_sums(unit, account)),
        exposure=_amounts(exposure_sums(unit, account)),
        balance=_balance(last_balance(unit, account)),
        guard=view_guard(unit, account),
        eta=None if last is None or last.eta_at is None else int(last.eta_at.timestamp()),
        eta_confidence=None if last is None else last.eta_confidence,
    )


def set_risk(services: Services, account: AccountId, tier: str, *, note: str, actor: str) -> None:
    """Put an account into a risk tier of the policy, or into none (`none`).

    What waits for it gets the deadline of the policy that now holds, and is judged by it at once.
    Raise `UnknownTierError` where the policy has no such tier.
    """
    if tier != NO_TIER and tier not in services.policies.tiers:
        raise UnknownTierError(tier, services.policies.tiers)
    now = services.clock()
    with services.database.unit_of_work() as unit:
        before = tier_of(unit, account)
        set_tier(unit, account, None if tier == NO_TIER else tier, now)
        record_action(
            unit,
            at=now,
            actor=actor,
            action="risk",
            subject=account,
            note=note,
            before={"risk": before},
            after={"risk": tier_of(unit, account)},
        )
    count_deadlines_anew(services, lane_of(account), cause="risk")
    _log.info("account.risk", account=account, tier=tier, actor=actor)


def _needs(waiting: Sequence[EvaluationRow]) -> list[AmountView]:
    sums: dict[str, int] = {}
    for each in waiting:
        if each.need_minor is not None and each.need_currency is not None:
            total_minor = each.need_minor + (each.fx_buffer_minor or 0)
            sums[each.need_currency] = sums.get(each.need_currency, 0) + total_minor
    return [AmountView(amount=sums[currency], currency=currency) for currency in sorted(sums)]


def _last_to_be_covered(waiting: Sequence[EvaluationRow]) -> EvaluationRow | None:
    """Return the decision with the latest estimate; `None` where some of it has none."""
    short = [each for each in waiting if each.shortfall_minor]
    timed = [(each.eta_at, each.request_id, each) for each in short if each.eta_at is not None]
    return max(timed)[2] if timed and len(timed) == len(short) else None


def _amounts(sums: Sequence[Money]) -> list[AmountView]:
    return [AmountView(amount=each.amount_minor, currency=each.currency) for each in sums]


def _balance(row: BalanceSnapshot | None) -> BalanceView | None:
    if row is None:
        return None
    return BalanceView(
        available=row.available, pending=row.pending, at=int(row.read_at.timestamp())
    )
