"""What accounts owe as the outside sees it: how much, what came back, when and why it waits.

It may not read Stripe or prepare anything: an operator must be able to look while Stripe is away.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from typing_extensions import TypedDict

from handlers.accounts import AmountView
from handlers.chores import next_round
from handlers.policies import policy_of
from handlers.recovery import AFTER_REFUSAL, COLLECT, RELEASES
from handlers.services import Services
from refunds.facts import AccountStanding
from refunds.ids import AccountId
from refunds.policy import RecoveryStep
from store.account_figures import exposure_sums
from store.database import Unit
from store.observations import standing_of
from store.recovery import owed_by
from store.recovery_figures import recovered_sums, refusals_of, under_way_until
from store.recovery_switch import ALL_ACCOUNTS, pause_of
from store.tables.recovery import RecoverySwitch
from store.tables.requests import Mode


class WaitsFor(StrEnum):
    """What stands between an account's debt and the next try to take it back."""

    SHADOW = "shadow"
    PAUSED = "paused"
    POLICY = "policy"
    DEAUTHORIZED = "deauthorized"
    OUTCOME = "outcome"
    REFUSED = "refused"
    BALANCE = "balance"
    NOTHING = "nothing"
    """It owes nothing."""


class PauseView(TypedDict):
    """A switch that a person turned off."""

    scope: str
    """The account, or `all`."""
    by: str
    note: str
    at: int
    """Seconds since 1970."""


class DebtView(TypedDict):
    """What one account owes after uncovered releases, in its settlement currencies."""

    account: str
    object: Literal["recovery"]
    exposed: list[AmountView]
    recovered: list[AmountView]
    """Taken back so far."""
    waits_for: WaitsFor
    why: str
    next_try: int | None
    """Seconds since 1970; null where only a person can change anything."""
    paused: PauseView | None


def view_debt(services: Services, unit: Unit, account: AccountId) -> DebtView:
    """Return what an account owes, and why that was not taken back yet."""
    switch = pause_of(unit, account)
    waits_for, next_try = _waits_for(services, unit, account, switch)
    return DebtView(
        account=account,
        object="recovery",
        exposed=[
            AmountView(amount=each.amount_minor, currency=each.currency)
            for each in exposure_sums(unit, account)
        ],
        recovered=[
            AmountView(amount=each.amount_minor, currency=each.currency)
            for each in recovered_sums(unit, account)
        ],
        waits_for=waits_for,
        why=_why(waits_for, switch),
        next_try=None if next_try is None else int(next_try.timestamp()),
        paused=None if switch is None else view_pause(switch),
    )


def view_pause(switch: RecoverySwitch) -> PauseView:
    """Return a switch that is turned off."""
    return PauseView(
        scope=switch.scope,
        by=switch.changed_by,
        note=switch.note,
        at=int(switch.changed_at.timestamp()),
    )


def _waits_for(
    services: Services, unit: Unit, account: AccountId, switch: RecoverySwitch | None
) -> tuple[WaitsFor, datetime | None]:
    looks_at = under_way_until(unit, account)
    if services.mode is Mode.LIVE and looks_at is not None:
        return WaitsFor.OUTCOME, looks_at
    stopped = _stopped_by(services, unit, account, switch)
    if stopped is not None:
        return stopped, None
    now = services.clock()
    refused = refusals_of(unit, account)
    again = [
        refused[each.attempt] + AFTER_REFUSAL if each.attempt in refused else now
        for each in owed_by(unit, account, RELEASES)
    ]
    if not again:
        return WaitsFor.NOTHING, None
    if min(again) > now:
        return WaitsFor.REFUSED, min(again)
    return WaitsFor.BALANCE, next_round(COLLECT, now)


def _stopped_by(
    services: Services, unit: Unit, account: AccountId, switch: RecoverySwitch | None
) -> WaitsFor | None:
    """Return what only a person can change; `None`: nothing of the kind."""
    if services.mode is not Mode.LIVE:
        return WaitsFor.SHADOW
    if switch is not None:
        return WaitsFor.PAUSED
    if RecoveryStep.REVERSE_LATER not in policy_of(services, unit, account).recovery:
        return WaitsFor.POLICY
    if standing_of(unit, account) is AccountStanding.DEAUTHORIZED:
        return WaitsFor.DEAUTHORIZED
    return None


_WHY: Final[Mapping[WaitsFor, str]] = {
    WaitsFor.SHADOW: "Shadow mode moves no money.",
    WaitsFor.PAUSED: "{what} was paused by {by}: {note}",
    WaitsFor.POLICY: 'Its policy lacks the step: add "reverse_later" to `recovery`.',
    WaitsFor.DEAUTHORIZED: "The account has disconnected from the platform.",
    WaitsFor.OUTCOME: "A reversal was asked for, and its outcome is not known yet.",
    WaitsFor.REFUSED: "Stripe refused the last reversal; it is not asked again at once.",
    WaitsFor.BALANCE: "It is taken as the balance allows, after what open requests need of it.",
    WaitsFor.NOTHING: "It owes nothing.",
}


def _why(waits_for: WaitsFor, switch: RecoverySwitch | None) -> str:
    if switch is None:
        return _WHY[waits_for]
    what = "All recovery" if switch.scope == ALL_ACCOUNTS else "Recovery from it"
    return _WHY[waits_for].format(what=what, by=switch.changed_by, note=switch.note)
