"""Policy: the defaults cost the platform nothing, and an account's own words come first.

It may not read what was written; that is test_policy_form's.
"""

from datetime import timedelta

from refunds.ids import AccountId
from refunds.policy import (
    BUILT_IN,
    DEFAULT_BOOK,
    DEFAULT_POLICY,
    Direct,
    OnDeadline,
    Order,
    PayoutGuard,
    Policy,
    PolicyBook,
    RecoveryStep,
)
from tests.support.facts import EUR, USD

SHOP = AccountId("acct_shop")
BOOK = PolicyBook(
    default={"hold_for": timedelta(days=5), "starve_after": 3},
    tiers={"high": {"hold_for": timedelta(days=2), "review_above": {USD: 0}}},
    accounts={SHOP: {"hold_for": timedelta(days=14)}},
)


def test_the_defaults_are_the_documented_ones() -> None:
    assert Policy() == DEFAULT_POLICY
    assert DEFAULT_POLICY.order is Order.OLDEST_FIRST
    assert DEFAULT_POLICY.starve_after == 10
    assert DEFAULT_POLICY.count_own_pending is True
    assert DEFAULT_POLICY.direct is Direct.SEND
    assert DEFAULT_POLICY.minimum_balance == {}
    assert DEFAULT_POLICY.fx_buffer_percent == 2
    assert DEFAULT_POLICY.hold_for == timedelta(days=7)
    assert DEFAULT_POLICY.refund_window_notice == timedelta(days=7)
    assert DEFAULT_POLICY.recovery == (RecoveryStep.WAIT, RecoveryStep.REVERSE_LATER)


def test_what_costs_the_platform_money_or_touches_payouts_is_off() -> None:
    assert DEFAULT_POLICY.on_deadline is OnDeadline.REVIEW
    assert DEFAULT_POLICY.partial is None
    assert DEFAULT_POLICY.payout_guard is PayoutGuard.OFF
    assert DEFAULT_POLICY.slower_settlement_days == 0
    assert DEFAULT_POLICY.small_shortfall == {}
    assert DEFAULT_POLICY.covered_per_day == {}
    assert DEFAULT_POLICY.exposure_limit == {}
    assert DEFAULT_POLICY.review_above == {}
    assert DEFAULT_POLICY.refund_window == {}


def test_an_accounts_own_words_come_before_its_tiers_and_those_before_the_default() -> None:
    hold_for = {
        (account, tier): BOOK.policy_for(account, tier).hold_for.days
        for account in (None, SHOP, AccountId("acct_other"))
        for tier in (None, "high", "unknown")
    }
    assert hold_for == {
        (None, None): 5,
        (None, "high"): 2,
        (None, "unknown"): 5,
        (SHOP, None): 14,
        (SHOP, "high"): 14,
        (SHOP, "unknown"): 14,
        ("acct_other", None): 5,
        ("acct_other", "high"): 2,
        ("acct_other", "unknown"): 5,
    }
    both = BOOK.policy_for(SHOP, "high")
    assert (both.review_above, both.starve_after) == ({USD: 0}, 3)
    assert DEFAULT_BOOK.policy_for(SHOP, "high") == DEFAULT_POLICY


def test_each_key_says_where_it_comes_from() -> None:
    sources = BOOK.sources_for(SHOP, "high")
    assert sources["hold_for"] == "accounts.acct_shop"
    assert sources["review_above"] == "risk.high"
    assert sources["starve_after"] == "default"
    assert sources["order"] == BUILT_IN
    assert BOOK.sources_for(None, None)["hold_for"] == "default"


def test_two_books_share_a_digest_only_if_they_say_the_same() -> None:
    same = PolicyBook(
        accounts={SHOP: {"hold_for": timedelta(days=14)}},
        tiers={"high": {"review_above": {USD: 0}, "hold_for": timedelta(days=2)}},
        default={"starve_after": 3, "hold_for": timedelta(days=5)},
    )
    assert same.digest() == BOOK.digest()
    others = [
        DEFAULT_BOOK,
        PolicyBook(default=BOOK.default, tiers=BOOK.tiers),
        PolicyBook(default={**BOOK.default, "starve_after": 4}, tiers=BOOK.tiers),
        # The same words in another place are other rules.
        PolicyBook(tiers={"shop": BOOK.default}),
        PolicyBook(accounts={AccountId("shop"): BOOK.default}),
    ]
    assert len({each.digest() for each in (BOOK, *others)}) == 6


def test_the_order_in_which_a_table_was_written_is_no_part_of_the_digest() -> None:
    one = PolicyBook(default={"minimum_balance": {USD: 1, EUR: 2}})
    two = PolicyBook(default={"minimum_balance": {EUR: 2, USD: 1}})
    assert one.digest() == two.digest()
