"""The payout guards' part of `sluice status`: how many keep money, and which don't or can't.

It may not ask Stripe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import RenderableType

from refunds.guard import GuardState
from runtime.display import moment, table
from store.database import Unit
from store.guards import guards_by_state, guards_in_state
from store.tables.guards import PayoutGuard

_SHOWN: Final = 5
_WORDS: Final[Mapping[GuardState, str]] = {
    GuardState.ON: "keep money in the account",
    GuardState.NOT_NEEDED: "are not needed",
    GuardState.DRIFTED: "were changed by somebody else",
    GuardState.BLOCKED: "can't work",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """All payout guards at one moment."""

    by_state: Mapping[GuardState, int]
    without_effect: Sequence[PayoutGuard]
    """The first few that should keep money and don't."""


def look_at_guards(unit: Unit) -> Guards:
    """Return how the guards stand."""
    bad = [
        *guards_in_state(unit, GuardState.DRIFTED, _SHOWN),
        *guards_in_state(unit, GuardState.BLOCKED, _SHOWN),
    ]
    return Guards(by_state=guards_by_state(unit), without_effect=bad[:_SHOWN])


def guards_object(guards: Guards) -> dict[str, int]:
    """Return how many guards stand how, for programs."""
    return {str(state): count for state, count in guards.by_state.items()}


def guards_sentence(guards: Guards) -> str:
    """Return one line about all of them."""
    said = [f"{guards.by_state[state]} {words}" for state, words in _WORDS.items()]
    present = [line for line in said if not line.startswith("0 ")]
    return ", ".join(present) or "none on"


def guards_problem(guards: Guards) -> str | None:
    """Return what somebody has to look at; an account in which none can work is no fault."""
    count = guards.by_state[GuardState.DRIFTED]
    if not count:
        return None
    what = "payout guard was" if count == 1 else "payout guards were"
    return f"{count} {what} changed by somebody else and left so: sluice accounts ID says how."


def guards_rows(guards: Guards) -> RenderableType:
    """Return those without effect as a table."""
    rows = [(row.account, row.state, moment(row.since), row.why) for row in guards.without_effect]
    return table("Payout guards without effect", ("account", "state", "since", "why"), rows)
