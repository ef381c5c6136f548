"""What shadow mode says, added up by hand beside each story."""

from datetime import timedelta

from refunds.money import Money
from refunds.shadow import Count, Course, HeldFor, ShadowRequest, summarise
from tests.support.facts import EUR, NOON, USD

HOUR = timedelta(hours=1)


def made(
    course: Course,
    amount: Money | None,
    *,
    at: int = 0,
    held: int | None = None,
    ended: int | None = None,
    covered: Money | None = None,
) -> ShadowRequest:
    return ShadowRequest(
        amount=amount,
        course=course,
        created=NOON + at * HOUR,
        held_since=None if held is None else NOON + held * HOUR,
        ended_at=None if ended is None else NOON + ended * HOUR,
        covered=covered,
    )


def test_nothing_was_asked_for() -> None:
    report = summarise([])
    assert (report.requests, report.since, report.held_for) == (0, None, None)
    assert (report.held, report.covered) == ((), ())
    assert set(report.by_course) == set(Course)
    assert not any(report.by_course.values())


def test_each_request_is_in_one_course_and_sums_are_per_currency() -> None:
    report = summarise(
        [
            made(Course.RELEASED, Money(100, USD), at=5, ended=6),
            made(Course.RELEASED, Money(50, USD), at=2, ended=3),
            made(Course.RELEASED, Money(7, EUR), at=3, ended=3),
            made(Course.STILL_HELD, Money(30, USD), at=4, held=4),
            made(Course.UNDECIDED, None, at=9),
        ]
    )
    assert (report.requests, report.since) == (5, NOON + 2 * HOUR)
    assert report.by_course[Course.RELEASED] == (
        Count(currency=EUR, requests=1, amount_minor=7),
        Count(currency=USD, requests=2, amount_minor=150),
    )
    assert report.by_course[Course.UNDECIDED] == ()
    assert report.held == (Count(currency=USD, requests=1, amount_minor=30),)
    assert report.held_for is None


def test_how_long_it_would_have_been_held_is_known_of_what_was_released() -> None:
    # Held for 1, 4 and 9 hours; of those that a person or another refund ended it says nothing.
    report = summarise(
        [
            made(Course.RELEASED_LATER, Money(1, USD), held=0, ended=4),
            made(Course.RELEASED_LATER, Money(1, USD), held=1, ended=2),
            made(Course.RELEASED_LATER, Money(1, USD), held=1, ended=10),
            made(Course.ENDED, Money(1, USD), held=0, ended=100),
            made(Course.REVIEW, Money(1, USD), held=0, ended=200),
        ]
    )
    assert report.held_for == HeldFor(requests=3, median=4 * HOUR, longest=9 * HOUR)
    assert report.held == (Count(currency=USD, requests=5, amount_minor=5),)


def test_of_two_in_the_middle_the_longer_is_told() -> None:
    report = summarise(
        made(Course.RELEASED_LATER, Money(1, USD), held=0, ended=hours) for hours in (2, 6)
    )
    assert report.held_for == HeldFor(requests=2, median=6 * HOUR, longest=6 * HOUR)


def test_a_release_without_an_end_in_the_books_has_no_length() -> None:
    report = summarise([made(Course.RELEASED_LATER, Money(1, USD), held=0)])
    assert report.held_for is None


def test_what_the_platform_would_have_stood_in_for_is_in_the_accounts_currency() -> None:
    report = summarise(
        [
            made(Course.RELEASED, Money(1000, USD), covered=Money(300, EUR)),
            made(Course.RELEASED, Money(1000, USD), covered=Money(200, EUR)),
            made(Course.RELEASED, Money(1000, USD)),
        ]
    )
    assert report.covered == (Count(currency=EUR, requests=2, amount_minor=500),)
