"""The payout guard as arithmetic: what is kept, what is written, and what is left to other hands.

It may not need a row or a call; the stories are in tests/integration/handlers/test_guard.py.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.facts import AccountStanding
from refunds.guard import (
    Change,
    Demand,
    Effect,
    GuardAct,
    Guarded,
    GuardState,
    Wanted,
    effect_of,
    plan_guard,
    wanted_of,
    what_blocks,
)
from refunds.money import Currency, Money
from refunds.payout_settings import (
    SCHEDULE,
    PayoutSettings,
    Setting,
    SettingValue,
)
from refunds.policy import PayoutGuard, Policy
from tests.support.facts import EUR, NOON, USD

GUARDING = Policy(payout_guard=PayoutGuard.ON)
ON_USD, ON_EUR = Setting("usd"), Setting("eur")


def demand(minor: int, currency: Currency = USD, *, days: int = 0) -> Demand:
    return Demand(created=NOON - timedelta(days=days), amount=Money(minor, currency))


def settings(schedule: str | None = "daily", **minimum: int) -> PayoutSettings:
    return PayoutSettings(
        minimum={Currency(currency): minor for currency, minor in minimum.items()},
        schedule=schedule,
        read_at=NOON,
    )


def guarded(own: SettingValue, written: SettingValue, setting: Setting = ON_USD) -> Guarded:
    return Guarded(setting=setting, own=own, written=written)


# --- what is wanted -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "demands, policy, keep",
    [
        ([], GUARDING, {}),
        ([demand(5_000)], Policy(), {}),
        # Σ (need + buffer) of each settlement currency
        ([demand(5_000), demand(1_500), demand(700, EUR)], GUARDING, {USD: 6_500, EUR: 700}),
        # + the policy's minimum, only where something is open: 5,000 + 300
        ([demand(5_000)], replace(GUARDING, minimum_balance={USD: 300, EUR: 9}), {USD: 5_300}),
        # no more than the limit, and the policy's minimum on top: min(6,500, 6,000) + 300
        (
            [demand(5_000), demand(1_500)],
            replace(GUARDING, payout_guard_limit={USD: 6_000}, minimum_balance={USD: 300}),
            {USD: 6_300},
        ),
        ([demand(5_000)], replace(GUARDING, payout_guard_limit={USD: 0}), {}),
        # 29 days old counts, 30 days old doesn't
        ([demand(5_000, days=29), demand(1_500, days=30)], GUARDING, {USD: 5_000}),
        ([demand(1_500, days=30)], GUARDING, {}),
    ],
)
def test_what_open_requests_ask_of_the_guard(
    demands: list[Demand], policy: Policy, keep: dict[Currency, int]
) -> None:
    wanted = wanted_of(demands, policy, NOON)
    assert wanted.keep == keep
    assert not wanted.by_hand


@pytest.mark.parametrize(
    "demands, policy, says",
    [
        ([], GUARDING, "No open refund request"),
        ([demand(1)], Policy(), "payout_guard = false"),
        ([demand(1, days=30)], GUARDING, "older than payout_guard_for (30d)"),
        ([demand(5_000)], GUARDING, "1 open refund request: 50.00 USD more than"),
        (
            [demand(5_000), demand(1)],
            replace(GUARDING, payout_guard_limit={USD: 4_000}),
            "2 open refund requests: 40.00 USD (payout_guard_limit) more than",
        ),
        ([demand(1)], Policy(payout_guard=PayoutGuard.MANUAL), "1 open refund request wait"),
    ],
)
def test_the_sentence_says_why(demands: list[Demand], policy: Policy, says: str) -> None:
    assert says in wanted_of(demands, policy, NOON).why


def test_payouts_can_be_stopped_instead() -> None:
    policy = Policy(payout_guard=PayoutGuard.MANUAL, minimum_balance={USD: 300})
    wanted = wanted_of([demand(5_000)], policy, NOON)
    assert (wanted.by_hand, wanted.keep) == (True, {})
    assert wanted.settings == {SCHEDULE}


@pytest.mark.parametrize(
    "standing, country, controlled, says",
    [
        (AccountStanding.ACTIVE, "US", True, None),
        (AccountStanding.ACTIVE, None, True, None),
        (AccountStanding.REJECTED, "US", True, None),
        (AccountStanding.DEAUTHORIZED, "US", True, "has left"),
        (AccountStanding.ACTIVE, "US", False, "is_controller"),
        (AccountStanding.ACTIVE, "BR", True, "in BR"),
        (AccountStanding.ACTIVE, "IN", True, "in IN"),
        (AccountStanding.ACTIVE, "TH", True, "in TH"),
    ],
)
def test_where_it_cant_work_it_says_so(
    standing: AccountStanding, country: str | None, controlled: bool, says: str | None
) -> None:
    found = what_blocks(standing, country=country, platform_controlled=controlled)
    assert found is None if says is None else says in str(found)


# --- what is to be done -------------------------------------------------------------------------

KEEP_50: Wanted = Wanted(keep={USD: 5_000}, why="50.00 USD")
NOTHING = Wanted()
BY_HAND = Wanted(by_hand=True)


def change(
    own: SettingValue,
    before: SettingValue,
    after: SettingValue,
    *,
    ends: bool = False,
    setting: Setting = ON_USD,
) -> Change:
    return Change(setting=setting, own=own, before=before, after=after, ends=ends)


@pytest.mark.parametrize(
    "wanted, kept, now, changes, state",
    [
        # first write: own + what is kept; absent counts as nothing and stays absent
        (KEEP_50, [], settings(), [change(None, None, 5_000)], GuardState.ON),
        (KEEP_50, [], settings(usd=0), [change(0, 0, 5_000)], GuardState.ON),
        (KEEP_50, [], settings(usd=1_000), [change(1_000, 1_000, 6_000)], GuardState.ON),
        # as it should be
        (KEEP_50, [guarded(1_000, 6_000)], settings(usd=6_000), [], GuardState.ON),
        # a second request came, or one of two is over: always from the operator's own value
        (
            KEEP_50,
            [guarded(1_000, 3_000)],
            settings(usd=3_000),
            [change(1_000, 3_000, 6_000)],
            GuardState.ON,
        ),
        # the last one is over
        (
            NOTHING,
            [guarded(1_000, 6_000)],
            settings(usd=6_000),
            [change(1_000, 6_000, 1_000, ends=True)],
            GuardState.OFF,
        ),
        (
            NOTHING,
            [guarded(None, 6_000)],
            settings(usd=6_000),
            [change(None, 6_000, None, ends=True)],
            GuardState.OFF,
        ),
        # another currency's value is nobody's business
        (KEEP_50, [guarded(None, 5_000)], settings(usd=5_000, eur=7), [], GuardState.ON),
        # paid out by hand already: the guard has nothing to hold
        (KEEP_50, [], settings("manual"), [], GuardState.NOT_NEEDED),
        (
            KEEP_50,
            [guarded(None, 5_000)],
            settings("manual", usd=5_000),
            [change(None, 5_000, None, ends=True)],
            GuardState.NOT_NEEDED,
        ),
        (NOTHING, [], settings("manual"), [], GuardState.OFF),
        # no schedule is shown: a minimum balance can be kept, but not stopped and started again
        (BY_HAND, [], settings(None), [], GuardState.BLOCKED),
        (KEEP_50, [], settings(None), [change(None, None, 5_000)], GuardState.ON),
        # payouts stopped by us, and started again
        (
            BY_HAND,
            [],
            settings("weekly friday"),
            [change("weekly friday", "weekly friday", "manual", setting=SCHEDULE)],
            GuardState.ON,
        ),
        (
            NOTHING,
            [guarded("weekly friday", "manual", SCHEDULE)],
            settings("manual"),
            [change("weekly friday", "manual", "weekly friday", ends=True, setting=SCHEDULE)],
            GuardState.OFF,
        ),
        (BY_HAND, [guarded("daily", "manual", SCHEDULE)], settings("manual"), [], GuardState.ON),
        # the policy changed from stopping payouts to a minimum balance
        (
            KEEP_50,
            [guarded("daily", "manual", SCHEDULE)],
            settings("manual"),
            [
                change("daily", "manual", "daily", ends=True, setting=SCHEDULE),
                change(None, None, 5_000),
            ],
            GuardState.ON,
        ),
    ],
)
def test_what_leads_from_what_is_to_what_is_wanted(
    wanted: Wanted,
    kept: list[Guarded],
    now: PayoutSettings,
    changes: list[Change],
    state: GuardState,
) -> None:
    plan = plan_guard(wanted, kept, now)
    assert list(plan.changes) == changes
    assert plan.notes == ()
    assert plan.state is state


@pytest.mark.parametrize(
    "wanted, kept, now, act, state",
    [
        # somebody set another value: told, and not fought
        (KEEP_50, guarded(1_000, 6_000), 9_000, GuardAct.DRIFTED, GuardState.DRIFTED),
        (KEEP_50, guarded(1_000, 6_000), None, GuardAct.DRIFTED, GuardState.DRIFTED),
        # a value that happens to be the operator's own is a change all the same
        (KEEP_50, guarded(1_000, 6_000), 1_000, GuardAct.DRIFTED, GuardState.DRIFTED),
        # told once for each value
        (
            KEEP_50,
            replace(guarded(1_000, 6_000), drifted=True, found=9_000),
            9_000,
            None,
            GuardState.DRIFTED,
        ),
        (
            KEEP_50,
            replace(guarded(1_000, 6_000), drifted=True, found=9_000),
            8_000,
            GuardAct.DRIFTED,
            GuardState.DRIFTED,
        ),
        (
            KEEP_50,
            replace(guarded(1_000, 6_000), drifted=True, found=None),
            None,
            None,
            GuardState.DRIFTED,
        ),
        # what we wrote stands again
        (
            KEEP_50,
            replace(guarded(1_000, 6_000), drifted=True, found=9_000),
            6_000,
            GuardAct.RESUMED,
            GuardState.ON,
        ),
        # over: another hand's value is the operator's own now
        (NOTHING, guarded(1_000, 6_000), 9_000, GuardAct.LEFT, GuardState.OFF),
        (NOTHING, guarded(1_000, 6_000), None, GuardAct.LEFT, GuardState.OFF),
        # over, and back already, by whoever's hand
        (NOTHING, guarded(1_000, 6_000), 1_000, GuardAct.RESTORED, GuardState.OFF),
        # nothing was ever written
        (NOTHING, guarded(1_000, 1_000), 1_000, GuardAct.RESTORED, GuardState.OFF),
    ],
)
def test_another_hands_value_is_never_overwritten(
    wanted: Wanted,
    kept: Guarded,
    now: int | None,
    act: GuardAct | None,
    state: GuardState,
) -> None:
    found = settings() if now is None else settings(usd=now)
    plan = plan_guard(wanted, [kept], found)
    assert plan.changes == ()
    assert [(note.act, note.found) for note in plan.notes] == ([] if act is None else [(act, now)])
    assert plan.state is state
    if state is GuardState.DRIFTED:
        assert "from 60.00 USD to " in plan.why


def test_drift_in_one_currency_leaves_the_others_guarded() -> None:
    wanted = Wanted(keep={USD: 5_000, EUR: 700})
    kept = [guarded(1_000, 6_000), guarded(None, 300, ON_EUR)]
    plan = plan_guard(wanted, kept, settings(usd=9_000, eur=300))
    assert plan.changes == (change(None, 300, 700, setting=ON_EUR),)
    assert plan.state is GuardState.DRIFTED


def test_a_stopped_schedule_that_somebody_started_again_is_drift() -> None:
    plan = plan_guard(BY_HAND, [guarded("daily", "manual", SCHEDULE)], settings("weekly monday"))
    assert (plan.state, plan.changes) == (GuardState.DRIFTED, ())
    assert "payout schedule from manual to weekly monday" in plan.why


OWN = st.none() | st.integers(0, 10**9)
STEPS = st.lists(st.integers(0, 10**6), max_size=8)


@given(OWN, STEPS, st.sampled_from(["daily", "weekly monday", "monthly 1"]))
def test_whatever_requests_come_and_go_the_own_value_is_back(
    own: int | None, steps: list[int], schedule: str
) -> None:
    now = settings(schedule) if own is None else settings(schedule, usd=own)
    kept: list[Guarded] = []
    for keep_minor in [*steps, 0]:
        wanted = Wanted(keep={USD: keep_minor} if keep_minor else {})
        plan = plan_guard(wanted, kept, now)
        for each in plan.changes:
            assert each.before == now.value_of(each.setting)
            assert isinstance(each.after, int) or each.ends
            minimum = {} if each.after is None else {USD: int(each.after)}
            now = replace(now, minimum=minimum)
            kept = [] if each.ends else [guarded(each.own, each.after)]
        assert (now.minimum.get(USD) or 0) == (own or 0) + keep_minor
    assert now.value_of(ON_USD) == own
    assert kept == []


@pytest.mark.parametrize(
    "now, effect",
    [
        (settings(usd=6_000, eur=700), Effect.SEEN),
        (settings(usd=1_000), Effect.NOT_SEEN),
        (settings(usd=6_000), Effect.OVERTAKEN),
        (settings(usd=9_000, eur=700), Effect.OVERTAKEN),
        (settings(), Effect.OVERTAKEN),
    ],
)
def test_what_the_settings_say_of_a_write_without_an_answer(
    now: PayoutSettings, effect: Effect
) -> None:
    changes = [change(1_000, 1_000, 6_000), change(None, None, 700, setting=ON_EUR)]
    assert effect_of(changes, now) is effect
