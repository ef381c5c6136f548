"""A payout guard as the outside sees it: the one object that API, CLI and notifications share.

It may not read Stripe; what stands there is as it was read or written last.
"""

from typing import Literal

from pydantic import with_config

# As in handlers/view.py: pydantic reads `typing.TypedDict` from Python 3.12 on only.
from typing_extensions import TypedDict

from refunds.guard import GuardState
from refunds.ids import AccountId
from store.database import Unit
from store.guards import guarded_of, load_guard


@with_config(use_attribute_docstrings=True, extra="forbid")
class GuardedView(TypedDict):
    """One payout setting that Sluice changed, and what comes back afterwards."""

    setting: str
    """A currency, whose minimum balance is meant, or `schedule`."""
    own: int | str | None
    """The operator's own value: minor units, or the schedule in words; null where it was unset."""
    written: int | str | None
    """What was written last."""
    drifted: bool
    """Whether somebody else changed it since."""
    found: int | str | None
    """What they made of it; null where it did not drift, or is unset."""


@with_config(use_attribute_docstrings=True, extra="forbid")
class GuardView(TypedDict):
    """The payout guard object: whether money for open requests is kept from payouts."""

    id: str
    """The account's: it has one guard."""
    object: Literal["payout_guard"]
    account: str
    state: GuardState
    why: str
    """One sentence."""
    since: int
    """Seconds since 1970."""
    settings: list[GuardedView]


def view_guard(unit: Unit, account: AccountId) -> GuardView | None:
    """Return an account's guard; `None`: it never had one."""
    row = load_guard(unit, account)
    if row is None:
        return None
    return GuardView(
        id=row.account,
        object="payout_guard",
        account=row.account,
        state=row.state,
        why=row.why,
        since=int(row.since.timestamp()),
        settings=[
            GuardedView(
                setting=each.setting,
                own=each.own,
                written=each.written,
                drifted=each.drifted,
                found=each.found,
            )
            for each in guarded_of(unit, account)
        ],
    )
