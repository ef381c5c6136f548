"""What the payout guard wants of an account's payout settings, and what is to be done about it.

This module compares and adds; it may not read settings, write them or look at the clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from refunds.facts import AccountStanding
from refunds.money import Currency, Money
from refunds.payout_settings import (
    MANUAL,
    SCHEDULE,
    PayoutSettings,
    Setting,
    SettingValue,
    told_setting,
    told_value,
)
from refunds.policy import PayoutGuard, Policy
from refunds.policy_text import plain_value

NO_GUARD_IN: Final = frozenset({"BR", "IN", "TH"})
"""Source: Stripe docs, "Minimum balances for automatic payouts"."""


class GuardState(StrEnum):
    """How an account's guard stands."""

    OFF = "off"
    """Nothing is kept: no open request asks for it, or the policy doesn't want it."""
    ON = "on"
    NOT_NEEDED = "not_needed"
    """The account is paid out by hand only: nothing leaves by itself, and no guard could stop what
    leaves by hand.
    """
    DRIFTED = "drifted"
    """Somebody else changed what was written; it is left as it is."""
    BLOCKED = "blocked"
    """It can't work for this account, or Stripe won't let us."""


class GuardAct(StrEnum):
    """What happened to one guarded setting."""

    KEPT = "kept"
    """The operator's own value was noted, before anything was written."""
    WRITTEN = "written"
    RESTORED = "restored"
    DRIFTED = "drifted"
    RESUMED = "resumed"
    """What we had written stands again."""
    LEFT = "left"
    """The guard ended, and somebody else's value was left as found."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one open request needs to stay in the account."""

    created: datetime
    amount: Money
    """Need and buffer, in the account's settlement currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the guard is to add to the operator's own settings."""

    keep: Mapping[Currency, int] = field(default_factory=dict)
    """Minor units above the operator's own minimum balance."""
    by_hand: bool = False
    """Whether automatic payouts are to stop altogether."""
    why: str = "No open refund request asks for it."

    @property
    def settings(self) -> frozenset[Setting]:
        """The settings it concerns."""
        names = {Setting(currency) for currency in self.keep}
        return frozenset({*names, SCHEDULE} if self.by_hand else names)

    def over(self, setting: Setting, own: SettingValue) -> SettingValue:
        """Return what a setting is to be where the operator's own value is `own`."""
        if setting not in self.settings:
            return own
        if setting == SCHEDULE:
            return MANUAL
        assert not isinstance(own, str), "a minimum balance is an amount"
        return (own or 0) + self.keep[Currency(setting)]


def wanted_of(demands: Iterable[Demand], policy: Policy, now: datetime) -> Wanted:
    """Return what the open requests of an account ask of its guard, within the policy's caps.

    Requests older than `payout_guard_for` ask for nothing any more, and of each currency no more
    than `payout_guard_limit` is kept for them; the policy's minimum balance comes on top.
    """
    if policy.payout_guard is PayoutGuard.OFF:
        return Wanted(why="The policy has payout_guard = false.")
    asked = list(demands)
    young = [each for each in asked if now - each.created < policy.payout_guard_for]
    if not young:
        if not asked:
            return Wanted()
        span = plain_value(policy.payout_guard_for)
        return Wanted(why=f"What is open is older than payout_guard_for ({span}).")
    count = f"{len(young)} open refund request{'' if len(young) == 1 else 's'}"
    if policy.payout_guard is PayoutGuard.MANUAL:
        return Wanted(by_hand=True, why=f"{count} wait for the account's money.")
    needs: dict[Currency, int] = {}
    for each in young:
        currency = each.amount.currency
        needs[currency] = needs.get(currency, 0) + each.amount.amount_minor
    keep, told = {}, []
    for currency, need_minor in sorted(needs.items()):
        limit_minor = policy.payout_guard_limit.get(currency, need_minor)
        capped_minor = min(need_minor, limit_minor)
        keep[currency] = capped_minor + policy.minimum_balance.get(currency, 0)
        cap = " (payout_guard_limit)" if capped_minor < need_minor else ""
        told.append(f"{Money(keep[currency], currency)}{cap}")
    return Wanted(
        keep={currency: minor for currency, minor in keep.items() if minor > 0},
        why=f"{count}: {', '.join(told)} more than the account's own minimum stay in it.",
    )


def what_blocks(
    standing: AccountStanding, *, country: str | None, platform_controlled: bool
) -> str | None:
    """Return why no guard can work for an account; `None`: nothing speaks against it.

    Source: Stripe docs, "Minimum balances for automatic payouts", "The Account object"
    (`controller.is_controller`).
    """
    if standing is AccountStanding.DEAUTHORIZED:
        return "The account has left the platform: its settings are out of reach."
    if not platform_controlled:
        return (
            "The platform does not control the account (controller.is_controller): only its owner "
            "can change how it is paid out."
        )
    if country in NO_GUARD_IN:
        return f"Stripe knows no minimum balances in {country}."
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """One setting of which Sluice holds the operator's own value and owes it back."""

    setting: Setting
    own: SettingValue
    written: SettingValue
    """What we wrote last; the operator's own value where nothing was written yet."""
    drifted: bool = False
    found: SettingValue = None
    """What somebody else made of it, where it drifted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that is to be written."""

    setting: Setting
    own: SettingValue
    before: SettingValue
    after: SettingValue
    ends: bool
    """The operator's own value comes back, and the guard of this setting is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to record of a setting without writing it."""

    act: GuardAct
    guarded: Guarded
    found: SettingValue


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPlan:
    """What is to be done for one account."""

    state: GuardState
    why: str
    changes: tuple[Change, ...] = ()
    notes: tuple[Note, ...] = ()


def plan_guard(wanted: Wanted, guarded: Sequence[Guarded], settings: PayoutSettings) -> GuardPlan:
    """Return what leads from the settings as they are to those that are wanted.

    Only what stands as we wrote it is written again: another hand's value is never overwritten.
    """
    kept = {each.setting: each for each in guarded}
    wanted, stopped = _unless_pointless(wanted, kept, settings)
    steps = [
        _step(setting, wanted, kept.get(setting), settings.value_of(setting))
        for setting in sorted({*wanted.settings, *kept})
    ]
    drifts = [
        held
        for setting, held in sorted(kept.items())
        if setting in wanted.settings and settings.value_of(setting) != held.written
    ]
    state = GuardState.OFF
    if wanted.settings:
        state = GuardState.DRIFTED if drifts else GuardState.ON
    said = [why_drifted(held, settings.value_of(held.setting)) for held in drifts]
    return GuardPlan(
        state=stopped or state,
        why=" ".join(said) or wanted.why,
        changes=tuple(change for found in steps for change in found if isinstance(change, Change)),
        notes=tuple(note for found in steps for note in found if isinstance(note, Note)),
    )


def _step(
    setting: Setting, wanted: Wanted, held: Guarded | None, now: SettingValue
) -> list[Change | Note]:
    """Return what is to be done about one setting that is wanted or that we hold."""
    if held is None:
        after = wanted.over(setting, now)
        return [Change(setting=setting, own=now, before=now, after=after, ends=False)]
    ends = setting not in wanted.settings
    if now != held.written:
        if ends:
            back = now == held.own
            act = GuardAct.RESTORED if back else GuardAct.LEFT
            return [Note(act=act, guarded=held, found=now)]
        known = held.drifted and held.found == now
        return [] if known else [Note(act=GuardAct.DRIFTED, guarded=held, found=now)]
    found: list[Change | Note] = []
    if held.drifted:
        found.append(Note(act=GuardAct.RESUMED, guarded=held, found=now))
    after = wanted.over(setting, held.own)
    if after != now:
        found.append(Change(setting=setting, own=held.own, before=now, after=after, ends=ends))
    elif ends:
        found.append(Note(act=GuardAct.RESTORED, guarded=held, found=now))
    return found


_BY_HAND: Final = (
    "The account is paid out by hand: nothing leaves by itself, and manual and instant payouts "
    "pass every guard."
)
_NO_SCHEDULE: Final = (
    "Stripe shows no payout schedule of this account: a stopped one could not be brought back."
)


def _unless_pointless(
    wanted: Wanted, kept: Mapping[Setting, Guarded], settings: PayoutSettings
) -> tuple[Wanted, GuardState | None]:
    """Return what is wanted of an account whose schedule leaves a guard something to do."""
    schedule = kept.get(SCHEDULE)
    ours = schedule is not None and settings.schedule == schedule.written == MANUAL
    if wanted.settings and settings.schedule == MANUAL and not ours:
        return Wanted(why=_BY_HAND), GuardState.NOT_NEEDED
    if wanted.by_hand and settings.schedule is None and schedule is None:
        return Wanted(why=_NO_SCHEDULE), GuardState.BLOCKED
    return wanted, None


def why_drifted(held: Guarded, found: SettingValue) -> str:
    """Return the sentence about a setting that somebody else changed."""
    ours = told_value(held.setting, held.written)
    return (
        f"Somebody changed the {told_setting(held.setting)} from {ours} to "
        f"{told_value(held.setting, found)}: it is left so, now and afterwards. Set it to {ours} "
        "again to let the guard go on."
    )


class Effect(StrEnum):
    """What the settings say of a write whose answer nobody heard."""

    SEEN = "seen"
    NOT_SEEN = "not_seen"
    OVERTAKEN = "overtaken"
    """Neither what was there before nor what was written: somebody else wrote since."""


def effect_of(changes: Sequence[Change], settings: PayoutSettings) -> Effect:
    """Return whether a write shows in the settings as they are now."""
    now = [settings.value_of(change.setting) for change in changes]
    if now == [change.after for change in changes]:
        return Effect.SEEN
    if now == [change.before for change in changes]:
        return Effect.NOT_SEEN
    return Effect.OVERTAKEN
