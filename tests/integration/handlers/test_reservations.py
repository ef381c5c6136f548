"""Promises of one holder's money in several currencies: none is missed, in whatever order they
come.
"""

from refunds.ids import PLATFORM_LANE
from refunds.money import Currency, Money
from store.attempts import attempts_of, lock_purses, mark_reservations, reserved_since
from store.tables.attempts import Reservation
from tests.support.stage import Stage, staged

GBP, EUR = Currency("gbp"), Currency("eur")


def promise(stage: Stage, attempt: str, number: int, amount: Money) -> None:
    """Store a promise of the platform's money under this id, as another worker's commit does."""
    with stage.services.database.unit_of_work() as unit:
        lock_purses(unit, [(PLATFORM_LANE, amount.currency)])
        unit.add(
            Reservation(
                id=number,
                attempt_id=attempt,
                holder=PLATFORM_LANE,
                currency=amount.currency,
                amount_minor=amount.amount_minor,
                opened_at=stage.now(),
            )
        )


def test_a_promise_that_is_seen_late_counts(database_url: str) -> None:
    # Two lanes promise the platform's money at once: 70 GBP under id 1,000 and 50 EUR under 1,001.
    # The second is committed first, a run takes its mark, and only then the first is.
    # No run stands behind these promises, so the books are not asked about them.
    with staged(database_url) as stage:
        account = stage.account()
        charge = stage.paid(account, 5000)
        stage.has(account, 5000)
        request = stage.wish(charge)
        stage.work()
        with stage.services.database.reading() as unit:
            attempt = attempts_of(unit, request)[0].id
        promise(stage, attempt, 1_001, Money(5_000, EUR))
        with stage.services.database.reading() as unit:
            mark = mark_reservations(unit, PLATFORM_LANE)
        promise(stage, attempt, 1_000, Money(7_000, GBP))
        with stage.services.database.reading() as unit:
            assert reserved_since(unit, mark, GBP) == 7_000
            assert reserved_since(unit, mark, EUR) == 5_000
