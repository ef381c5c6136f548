"""Ids: ours sort by age and are never the same twice; a lane is an account, or the platform.

It may not look into the random part.
"""

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from refunds.ids import PLATFORM_LANE, AccountId, LaneId, account_of, lane_of, mint
from tests.support.facts import ACCOUNT, NOON


def test_an_id_says_its_kind_and_can_be_typed() -> None:
    # Ten digits of time and fifteen random ones; no i, l, o or u to misread.
    assert re.fullmatch(r"rr_[0-9a-hjkmnp-tv-z]{25}", mint("rr", NOON))


def test_the_time_is_in_the_first_ten_digits_whole() -> None:
    # 2026-11-23 12:00:00 UTC in milliseconds, written in base 32 by division instead of shifts.
    milliseconds = 1_795_435_200_000
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    digits = ""
    while milliseconds:
        milliseconds, digit = divmod(milliseconds, 32)
        digits = alphabet[digit] + digits
    assert mint("rr", NOON)[3:13] == digits.rjust(10, "0")


def test_ids_of_one_millisecond_are_all_different() -> None:
    assert len({mint("ra", NOON) for _ in range(10_000)}) == 10_000


@given(
    earlier_ms=st.integers(0, 10 * 365 * 86_400_000),
    later_by_ms=st.integers(1, 10 * 365 * 86_400_000),
)
def test_ids_sort_by_the_time_they_were_minted(earlier_ms: int, later_by_ms: int) -> None:
    earlier = NOON + timedelta(milliseconds=earlier_ms)
    later = earlier + timedelta(milliseconds=later_by_ms)
    assert mint("rr", earlier) < mint("rr", later)


def test_a_lane_is_the_account_or_the_platforms_own_and_back() -> None:
    assert lane_of(ACCOUNT) == LaneId("acct_shop")
    assert account_of(LaneId("acct_shop")) == AccountId("acct_shop")
    assert lane_of(None) == PLATFORM_LANE == "platform"
    assert account_of(PLATFORM_LANE) is None
