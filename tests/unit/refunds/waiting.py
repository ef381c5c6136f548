"""Waiting requests and the money before them, as a release run sees them, for tests of the pool.

It may not plan; it makes values, by hand and at random.
"""

from collections.abc import Mapping
from datetime import timedelta

from hypothesis import strategies as st

from refunds.candidate import Candidate
from refunds.decision import Evaluation, Outcome, Rule, decide
from refunds.ids import AccountId, RequestId
from refunds.money import Currency, Money
from refunds.need import Leg, Need
from refunds.policy import OnDeadline, Order, Policy
from refunds.pool import Caps, Pool
from tests.support.facts import ACCOUNT, EUR, NOON, USD, transferred

A_WEEK = timedelta(days=7)
SHORT = decide(Outcome.HOLD, Rule.COVER, "It is short.")
"""What a request is passed over with when its account doesn't cover it."""
AMPLE = 10**12
"""More than any request here costs: the platform's balance where a test is about the account's."""


def waiting(
    name: str,
    need_minor: int | None,
    *,
    age_hours: int = 0,
    currency: Currency = USD,
    buffer_minor: int = 0,
    own_pending_minor: int = 0,
    cost: Money | None = None,
    skipped_runs: int = 0,
    urgent: bool = False,
    by_person: bool = False,
    overdue: bool = False,
    waived: frozenset[Rule] = frozenset(),
    amount: Money | None = None,
    due_hours: int | None = None,
    closes_hours: int | None = None,
) -> Candidate:
    """A waiting request; `need_minor=None` puts it into the platform's own lane."""
    due = A_WEEK if due_hours is None else timedelta(hours=due_hours)
    legs: tuple[Leg, ...] = ()
    if need_minor is not None:
        own = own_pending_minor
        legs = (leg(need_minor, currency=currency, buffer_minor=buffer_minor, own_minor=own),)
    return Candidate(
        request=RequestId(name),
        created=NOON - timedelta(hours=age_hours),
        legs=legs,
        amount=amount or Money(need_minor or 0, USD),
        platform_cost=cost or Money(need_minor or 0, USD),
        deadline=NOON + (timedelta(0) if overdue else due),
        window_closes=None if closes_hours is None else NOON + timedelta(hours=closes_hours),
        skipped_runs=skipped_runs,
        urgent=urgent,
        by_person=by_person,
        waived=waived,
    )


def leg(
    need_minor: int,
    *,
    account: AccountId = ACCOUNT,
    currency: Currency = USD,
    buffer_minor: int = 0,
    own_minor: int = 0,
    direct: bool = False,
) -> Leg:
    """What a request asks of one account, its transfer in the account's own currency."""
    return Leg(
        account=account,
        transfer=None if direct else transferred(need_minor, currency),
        need=Need(amount_minor=need_minor, currency=currency, fx_buffer_minor=buffer_minor),
        own_pending_minor=own_minor,
        reversal_minor=need_minor,
    )


def money(
    account: int | Mapping[Currency, int], platform: int | Mapping[Currency, int] = AMPLE
) -> Pool:
    """What there is to promise of one account; a bare number is US dollars."""
    amounts = {USD: account} if isinstance(account, int) else account
    return Pool(
        account={(ACCOUNT, currency): minor for currency, minor in amounts.items()},
        platform={USD: platform} if isinstance(platform, int) else platform,
    )


def verdicts(plan: list[tuple[Candidate, Evaluation]]) -> dict[str, tuple[Outcome, Rule]]:
    """Who got which verdict, in the order in which they were judged."""
    return {
        candidate.request: (evaluation.decision.outcome, evaluation.decision.rule)
        for candidate, evaluation in plan
    }


def released(plan: list[tuple[Candidate, Evaluation]]) -> list[Candidate]:
    """The candidates that go out, in order."""
    return [
        candidate
        for candidate, evaluation in plan
        if evaluation.decision.outcome is Outcome.RELEASE
    ]


@st.composite
def candidates(
    draw: st.DrawFn,
    *,
    own_pending: bool = True,
    by_person: bool = True,
    platform_lane: bool = True,
) -> list[Candidate]:
    """Up to a dozen requests of all kinds, small enough to crowd each other out."""
    made = []
    for number in range(draw(st.integers(0, 12))):
        need = draw(st.integers(0, 500))
        drawn_on = not platform_lane or draw(st.integers(0, 9)) > 0
        made.append(
            waiting(
                f"rr_{number:02}",
                need if drawn_on else None,
                age_hours=draw(st.integers(0, 5)),
                currency=draw(st.sampled_from([USD, EUR])),
                buffer_minor=draw(st.integers(0, 20)),
                own_pending_minor=draw(st.integers(0, 500)) if own_pending else 0,
                cost=Money(draw(st.integers(0, 600)), draw(st.sampled_from([USD, EUR]))),
                skipped_runs=draw(st.integers(0, 12)),
                urgent=draw(st.booleans()),
                by_person=by_person and draw(st.integers(0, 5)) == 0,
                overdue=draw(st.booleans()),
                waived=draw(st.frozensets(st.sampled_from(WAIVABLE), max_size=2)),
                amount=Money(need, draw(st.sampled_from([USD, EUR]))),
                due_hours=draw(st.integers(1, 100)),
                closes_hours=draw(st.none() | st.integers(-5, 300)),
            )
        )
    return made


WAIVABLE = [Rule.DEADLINE, Rule.REVIEW_ABOVE, Rule.REFUND_WINDOW]
BALANCES = st.fixed_dictionaries({USD: st.integers(-300, 2_000), EUR: st.integers(-300, 2_000)})
AMOUNTS = st.dictionaries(st.sampled_from([USD, EUR]), st.integers(0, 600))
CAPS = st.builds(
    Caps,
    day_left=AMOUNTS,
    exposure_left=AMOUNTS.map(lambda a: {(ACCOUNT, c): minor for c, minor in a.items()}),
)
_KEYS = {
    "order": st.sampled_from(Order),
    "starve_after": st.integers(1, 12),
    "review_above": AMOUNTS,
    "refund_window_notice": st.integers(1, 200).map(lambda hours: timedelta(hours=hours)),
}
COVERING_NOTHING = st.builds(
    Policy, **_KEYS, on_deadline=st.sampled_from([OnDeadline.REVIEW, OnDeadline.CANCEL])
)
"""Policies under which no rule releases anything uncovered."""
POLICIES = st.builds(
    Policy,
    **_KEYS,
    on_deadline=st.sampled_from(OnDeadline),
    small_shortfall=AMOUNTS,
    covered_per_day=AMOUNTS,
)
