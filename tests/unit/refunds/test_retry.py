"""Retry: delays that double, are capped and jittered, and a circuit that opens and stays open.

It may not draw randomness or wait; jitter and time are passed in.
"""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.retry import (
    CLOSED_CIRCUIT,
    EVENT_BACKOFF,
    LANE_BACKOFF,
    REFUSED_BACKOFF,
    UNSETTLED_BACKOFF,
    Backoff,
    Circuit,
    GiveUp,
    RetryAt,
    after_trouble,
)
from refunds.steps import Trouble
from tests.support.facts import NOON

ALMOST_ONE = 0.999_999


@pytest.mark.parametrize(
    "failures, jitter, seconds",
    [
        (1, 0.0, 1.0),  # 2 · 2^0 / 2
        (1, 0.5, 1.5),
        (2, 0.0, 2.0),  # 2 · 2^1 / 2
        (3, 0.0, 4.0),
        (3, 0.5, 6.0),  # 8 · 3/4
        (9, 0.0, 256.0),  # 2 · 2^8 / 2
        (10, 0.0, 450.0),  # 1024 is over the cap of 900
        (11, 0.5, 675.0),
        (0, 0.0, 1.0),  # no failure at all still waits
        (-3, 0.0, 1.0),
        (10_000, 0.0, 450.0),  # no number grows without end
    ],
)
def test_delays_double_up_to_their_cap(failures: int, jitter: float, seconds: float) -> None:
    backoff = Backoff(base_seconds=2, cap_seconds=900)
    assert backoff.delay(failures, jitter) == timedelta(seconds=seconds)
    assert backoff.after(failures, NOON, jitter) == RetryAt(at=NOON + timedelta(seconds=seconds))


def test_a_delay_grows_for_forty_doublings_and_then_stays_a_number() -> None:
    patient = Backoff(base_seconds=0.000_001, cap_seconds=10**12)
    grown = [patient.delay(failures, 0.0) for failures in (40, 41, 42, 10_000)]
    assert grown[0] * 2 == grown[1] == grown[2] == grown[3]


def test_the_last_attempt_is_followed_by_none() -> None:
    backoff = Backoff(base_seconds=2, cap_seconds=900, attempts=3)
    assert isinstance(backoff.after(2, NOON, 0.0), RetryAt)
    assert backoff.after(3, NOON, 0.0) == GiveUp(attempts=3)
    assert backoff.after(4, NOON, 0.0) == GiveUp(attempts=4)


@pytest.mark.parametrize("backoff", [LANE_BACKOFF, UNSETTLED_BACKOFF, REFUSED_BACKOFF])
def test_money_is_never_given_up_by_counting(backoff: Backoff) -> None:
    assert isinstance(backoff.after(1_000_000, NOON, 0.0), RetryAt)


@pytest.mark.parametrize("backoff", [EVENT_BACKOFF, LANE_BACKOFF, UNSETTLED_BACKOFF])
def test_the_first_retry_comes_within_two_seconds(backoff: Backoff) -> None:
    assert timedelta(seconds=1) <= backoff.delay(1, 0.0)
    assert backoff.delay(1, ALMOST_ONE) <= timedelta(seconds=2)


@pytest.mark.parametrize(
    "backoff, first, cap",
    [
        (EVENT_BACKOFF, 2, 900),
        (LANE_BACKOFF, 2, 120),
        (UNSETTLED_BACKOFF, 2, 300),
        (REFUSED_BACKOFF, 30, 3_600),
    ],
)
def test_each_backoff_begins_and_is_capped_where_it_says(
    backoff: Backoff, first: int, cap: int
) -> None:
    assert backoff.delay(1, 0.0) == timedelta(seconds=first / 2)
    assert backoff.delay(1_000, 0.0) == timedelta(seconds=cap / 2)


def test_an_event_is_tried_twelve_times_over_most_of_an_hour() -> None:
    # 2 + 4 + … + 512 = 1022, twice 900 = 1800: 2822 s between the 12 attempts, half of it at least.
    waits = [EVENT_BACKOFF.delay(failures, 0.0) for failures in range(1, 12)]
    assert sum(waits, timedelta(0)) == timedelta(seconds=1_411)
    assert isinstance(EVENT_BACKOFF.after(11, NOON, 0.0), RetryAt)
    assert EVENT_BACKOFF.after(12, NOON, 0.0) == GiveUp(attempts=12)


@given(failures=st.integers(1, 200), jitter=st.floats(0, ALMOST_ONE))
def test_jitter_spreads_a_burst_over_the_second_half_of_the_delay(
    failures: int, jitter: float
) -> None:
    backoff = Backoff(base_seconds=2, cap_seconds=900)
    full = backoff.delay(failures, 0.0) * 2
    assert full / 2 <= backoff.delay(failures, jitter) <= full
    assert full <= timedelta(seconds=900)


# --- the circuit ---------------------------------------------------------------------------------

TELLING = [Trouble.TIMEOUT, Trouble.CONNECTION, Trouble.RATE_LIMITED, Trouble.SERVER_ERROR]


@pytest.mark.parametrize("trouble", TELLING)
def test_the_third_trouble_in_a_row_opens_the_circuit(trouble: Trouble) -> None:
    once = after_trouble(CLOSED_CIRCUIT, trouble, NOON, 0.0)
    twice = after_trouble(once, trouble, NOON, 0.0)
    thrice = after_trouble(twice, trouble, NOON, 0.0)
    assert [once.failures, twice.failures, thrice.failures] == [1, 2, 3]
    assert [once.allows(NOON), twice.allows(NOON), thrice.allows(NOON)] == [True, True, False]
    assert thrice.open_until == NOON + timedelta(seconds=4)  # 2 · 2^2 / 2


def test_different_troubles_in_a_row_count_together() -> None:
    circuit = CLOSED_CIRCUIT
    for trouble in TELLING[:3]:
        circuit = after_trouble(circuit, trouble, NOON, 0.0)
    assert not circuit.allows(NOON)


def test_a_revoked_key_opens_it_at_once() -> None:
    circuit = after_trouble(CLOSED_CIRCUIT, Trouble.DENIED, NOON, 0.5)
    assert circuit == Circuit(failures=1, open_until=NOON + timedelta(seconds=1.5))


@pytest.mark.parametrize(
    "trouble", [Trouble.CONFLICT, Trouble.KEY_MISMATCH, Trouble.NOT_READY, Trouble.UNREADABLE]
)
@pytest.mark.parametrize(
    "circuit", [CLOSED_CIRCUIT, Circuit(failures=2), Circuit(failures=5, open_until=NOON)]
)
def test_what_says_nothing_about_stripes_health_leaves_it_alone(
    circuit: Circuit, trouble: Trouble
) -> None:
    assert after_trouble(circuit, trouble, NOON, 0.0) is circuit


@pytest.mark.parametrize("trouble", [*TELLING, Trouble.DENIED])
def test_a_probe_that_fails_opens_it_again_for_longer(trouble: Trouble) -> None:
    opened = after_trouble(CLOSED_CIRCUIT, Trouble.DENIED, NOON, 0.0)
    assert opened.open_until is not None
    assert opened.allows(opened.open_until)  # the probe
    again = after_trouble(opened, trouble, opened.open_until, 0.0)
    assert again.failures == 2
    assert again.open_until == opened.open_until + timedelta(seconds=2)  # 2 · 2^1 / 2


@pytest.mark.parametrize("trouble", TELLING)
def test_a_call_that_was_under_way_does_not_close_an_open_circuit(trouble: Trouble) -> None:
    opened = after_trouble(CLOSED_CIRCUIT, Trouble.DENIED, NOON, 0.0)
    later = after_trouble(opened, trouble, NOON, 0.0)
    assert not later.allows(NOON)


def test_it_allows_the_probe_when_its_time_has_come_and_not_before() -> None:
    circuit = Circuit(failures=3, open_until=NOON)
    assert not circuit.allows(NOON - timedelta(microseconds=1))
    assert circuit.allows(NOON)
    assert CLOSED_CIRCUIT.allows(NOON)
    assert Circuit(failures=0, open_until=None) == CLOSED_CIRCUIT


def test_it_never_stays_open_longer_than_five_minutes_at_a_time() -> None:
    circuit = CLOSED_CIRCUIT
    for _ in range(50):
        circuit = after_trouble(circuit, Trouble.SERVER_ERROR, NOON, ALMOST_ONE)
    assert circuit.open_until is not None
    assert circuit.open_until - NOON <= timedelta(minutes=5)
    assert circuit.open_until - NOON > timedelta(minutes=4)


@pytest.mark.parametrize(
    "asked_seconds, granted_seconds",
    [(0.0, 0.0), (-5.0, 0.0), (7.5, 7.5), (300.0, 300.0), (86_400.0, 300.0)],
)
def test_a_wait_that_stripe_asks_for_is_capped(
    asked_seconds: float, granted_seconds: float
) -> None:
    assert UNSETTLED_BACKOFF.capped(asked_seconds) == timedelta(seconds=granted_seconds)
