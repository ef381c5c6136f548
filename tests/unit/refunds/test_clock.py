"""The clock: aware, in UTC, and obedient to frozen time; the other one never runs backwards.

It may not wait for real time to pass.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from refunds.clock import monotonic_seconds, utc_now


def test_it_follows_frozen_time_and_says_its_zone() -> None:
    with freeze_time("2026-11-23 12:00:00") as frozen:
        assert utc_now() == datetime(2026, 11, 23, 12, tzinfo=UTC)
        frozen.tick(timedelta(minutes=10))
        assert utc_now() == datetime(2026, 11, 23, 12, 10, tzinfo=UTC)
        assert utc_now().utcoffset() == timedelta(0)


def test_it_is_utc_whatever_zone_the_machine_is_in(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(time.tzset)
    monkeypatch.setenv("TZ", "XYZ-9")  # POSIX for nine hours ahead of UTC
    time.tzset()
    before, now, after = time.time(), utc_now(), time.time()
    assert before - 0.001 <= now.timestamp() <= after + 0.001
    assert now.utcoffset() == timedelta(0)


@dataclass(frozen=True)
class Row:
    """Keeps the clock as a default, the way tables do."""

    at: datetime = field(default_factory=utc_now)


def test_a_kept_reference_follows_frozen_time_too() -> None:
    kept: Callable[[], datetime] = utc_now
    with freeze_time("2026-11-23 12:00:00"):
        assert kept() == Row().at == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_measuring_clock_is_the_one_nobody_can_set() -> None:
    before, now, after = time.monotonic(), monotonic_seconds(), time.monotonic()
    assert before <= now <= after
