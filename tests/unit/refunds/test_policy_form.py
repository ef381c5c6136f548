"""What may be written in a policy: every key is read, every mistake is named with what is right.

It may not read a file; line numbers are the file reader's.
"""

import tomllib
from dataclasses import fields
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.errors import PolicyError
from refunds.ids import AccountId
from refunds.money import Currency
from refunds.policy import (
    DEFAULT_BOOK,
    DEFAULT_POLICY,
    Direct,
    OnDeadline,
    Order,
    Partial,
    PayoutGuard,
    Policy,
    PolicyBook,
    RecoveryStep,
)
from refunds.policy_form import READERS, read_policy, remarks_on
from refunds.policy_text import plain_policy, toml_line
from tests.support.facts import EUR, USD

EVERY_KEY = """
[default]
order = "deadline_first"
starve_after = 4
count_own_pending = false
direct = "hold"
minimum_balance = { usd = 500, eur = 0 }
fx_buffer_percent = 3
hold_for = "36h"
on_deadline = "cover"
payout_guard = true
payout_guard_limit = { usd = 90000 }
payout_guard_for = "14d"
partial = { minimum = { usd = 1000 }, parts = 3 }
small_shortfall = { usd = 1000 }
exposure_limit = { usd = 20000 }
covered_per_day = { usd = 5000 }
review_above = { usd = 50000 }
recovery = ["wait", "top_up"]
slower_settlement_days = 3
refund_window = { card = "180d" }
refund_window_notice = "90m"

[risk.high]
review_above = { usd = 0 }
partial = false

[accounts.acct_123]
hold_for = "14d"
"""


def test_every_key_has_a_reader_and_is_a_field() -> None:
    assert list(READERS) == [each.name for each in fields(Policy)]


def test_every_key_is_read() -> None:
    book = read_policy(tomllib.loads(EVERY_KEY))
    assert book.policy_for(None, None) == Policy(
        order=Order.DEADLINE_FIRST,
        starve_after=4,
        count_own_pending=False,
        direct=Direct.HOLD,
        minimum_balance={USD: 500, EUR: 0},
        fx_buffer_percent=3,
        hold_for=timedelta(hours=36),
        on_deadline=OnDeadline.COVER,
        payout_guard=PayoutGuard.ON,
        payout_guard_limit={USD: 90_000},
        payout_guard_for=timedelta(days=14),
        partial=Partial(minimum={USD: 1000}, parts=3),
        small_shortfall={USD: 1000},
        exposure_limit={USD: 20_000},
        covered_per_day={USD: 5_000},
        review_above={USD: 50_000},
        recovery=(RecoveryStep.WAIT, RecoveryStep.TOP_UP),
        slower_settlement_days=3,
        refund_window={"card": timedelta(days=180)},
        refund_window_notice=timedelta(minutes=90),
    )
    assert book.tiers == {"high": {"review_above": {USD: 0}, "partial": None}}
    assert book.accounts == {"acct_123": {"hold_for": timedelta(days=14)}}


@pytest.mark.parametrize("nothing", ["", "[default]", "[risk]\n[accounts]"])
def test_nothing_written_is_the_built_in_policy(nothing: str) -> None:
    assert read_policy(tomllib.loads(nothing)) == DEFAULT_BOOK


MISTAKES = [
    # Sections and keys.
    ("[defualt]", "defualt", "did you mean default?"),
    ("[rules]", "rules", "there are default, risk, accounts"),
    ("hold_for = '7d'", "hold_for", r"put it below \[default\]"),
    ("default = 3", "default", "is a table"),
    ("risk = 3", "risk", "is a table"),
    ("risk = { high = 3 }", "risk.high", "is a table"),
    ("[risk.High]", "risk.High", "lower case"),
    ("[risk.none]", "risk.none", "and not none"),
    ("[accounts.shop]", "accounts.shop", "acct_… id"),
    ("[default]\nhold_fro = '7d'", "default.hold_fro", "did you mean hold_for?"),
    ("[default]\nxyzzy = 1", "default.xyzzy", "there are order, starve_after, .*"),
    (
        "[risk.high]\ncovered_per_day = { usd = 1 }",
        "risk.high.covered_per_day",
        r"belongs below \[default\]",
    ),
    # Values.
    ("[default]\norder = 'newest'", "default.order", "is one of oldest_first, .*deadline_first"),
    ("[default]\norder = 3", "default.order", "is one of"),
    ("[default]\nstarve_after = 0", "default.starve_after", "whole number from 1 to 10000"),
    ("[default]\nstarve_after = true", "default.starve_after", "whole number"),
    ("[default]\nstarve_after = 1.0", "default.starve_after", "whole number"),
    ("[default]\ncount_own_pending = 1", "default.count_own_pending", "true or false"),
    ("[default]\nminimum_balance = 5", "default.minimum_balance", r"\{ usd = 1000 \}"),
    ("[default]\nminimum_balance = {USD = 5}", "default.minimum_balance.USD", "lower-case"),
    ("[default]\nminimum_balance = {usd = -1}", "default.minimum_balance.usd", "from 0 to"),
    ("[default]\nminimum_balance = {usd = 1.5}", "default.minimum_balance.usd", "whole number"),
    ("[default]\nfx_buffer_percent = 101", "default.fx_buffer_percent", "from 0 to 100"),
    ("[default]\nhold_for = 7", "default.hold_for", "a duration such as"),
    ("[default]\nhold_for = '0d'", "default.hold_for", "a duration such as"),
    ("[default]\nhold_for = '7 days'", "default.hold_for", "a duration such as"),
    ("[default]\nhold_for = '366d'", "default.hold_for", 'at most "365d"'),
    ("[default]\npayout_guard = 1", "default.payout_guard", 'true, false or "manual"'),
    ("[default]\npayout_guard = 'off'", "default.payout_guard", "true, false or"),
    ("[default]\npartial = true", "default.partial", "is false, or"),
    ("[default]\npartial = { parts = 3 }", "default.partial", "is false, or"),
    ("[default]\npartial = { minimum = {}, parts = 3 }", "default.partial.minimum", "at least one"),
    (
        "[default]\npartial = { minimum = { usd = 0 }, parts = 3 }",
        "default.partial.minimum",
        "no part of 0",
    ),
    (
        "[default]\npartial = { minimum = { usd = 1 }, parts = 1 }",
        "default.partial.parts",
        "from 2 to 20",
    ),
    ("[default]\nrecovery = []", "default.recovery", "is a list"),
    ("[default]\nrecovery = 'wait'", "default.recovery", "is a list"),
    ("[default]\nrecovery = ['beg']", "default.recovery", "is one of wait, reverse_later"),
    ("[default]\nrecovery = ['wait', 'wait']", "default.recovery", "twice"),
    (
        "[default]\nslower_settlement_days = 32",
        "default.slower_settlement_days",
        "from 0 to 31",
    ),
    ("[default]\nrefund_window = '180d'", "default.refund_window", "is a table"),
    ("[default]\nrefund_window = { Card = '9d' }", "default.refund_window.Card", "a type of"),
    ("[default]\nrefund_window = { card = 9 }", "default.refund_window.card", "a duration"),
    # What costs the platform money needs its cap.
    (
        "[default]\nsmall_shortfall = { usd = 1, eur = 1 }\ncovered_per_day = { usd = 9 }",
        "default.small_shortfall.eur",
        "covered_per_day an amount for eur",
    ),
    (
        "[risk.low]\nsmall_shortfall = { usd = 1 }",
        "risk.low.small_shortfall.usd",
        "covered_per_day an amount for usd",
    ),
    (
        "[accounts.acct_1]\non_deadline = 'cover'",
        "accounts.acct_1.on_deadline",
        "covered_per_day an amount",
    ),
    # A notice as long as the window.
    (
        "[default]\nrefund_window = { card = '7d' }",
        "default.refund_window.card",
        "shorter than the window of card",
    ),
    (
        "[default]\nrefund_window = { card = '9d' }\n[risk.high]\nrefund_window_notice = '9d'",
        "risk.high.refund_window_notice",
        "shorter than the window of card",
    ),
]


@pytest.mark.parametrize("written, where, says", MISTAKES)
def test_a_mistake_is_named_with_what_is_right(written: str, where: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as caught:
        read_policy(tomllib.loads(written))
    assert ".".join(caught.value.path) == where
    assert str(caught.value).startswith(f"{where} ")


def test_what_has_no_effect_is_said_and_no_mistake() -> None:
    book = read_policy(tomllib.loads(EVERY_KEY))
    said = {".".join(remark.path) for remark in remarks_on(book)}
    assert {"default.slower_settlement_days", "default.recovery"} <= said
    assert remarks_on(DEFAULT_BOOK) == []
    quiet = "[default]\nslower_settlement_days = 0\nrecovery = ['wait']"
    assert remarks_on(read_policy(tomllib.loads(quiet))) == []


AMOUNTS = st.dictionaries(st.sampled_from([USD, EUR, Currency("jpy")]), st.integers(0, 10**12 - 1))
SPANS = st.one_of(
    st.integers(1, 365).map(lambda n: timedelta(days=n)),
    st.integers(1, 8_000).map(lambda n: timedelta(hours=n)),
    st.integers(1, 99_999).map(lambda n: timedelta(minutes=n)),
)
POLICIES = st.builds(
    Policy,
    order=st.sampled_from(Order),
    starve_after=st.integers(1, 10_000),
    count_own_pending=st.booleans(),
    direct=st.sampled_from(Direct),
    minimum_balance=AMOUNTS,
    fx_buffer_percent=st.integers(0, 100),
    hold_for=SPANS,
    on_deadline=st.sampled_from([OnDeadline.REVIEW, OnDeadline.CANCEL]),
    payout_guard=st.sampled_from(PayoutGuard),
    payout_guard_limit=AMOUNTS,
    payout_guard_for=SPANS,
    partial=st.none()
    | st.builds(
        Partial,
        minimum=st.dictionaries(st.just(USD), st.integers(1, 9_999), min_size=1),
        parts=st.integers(2, 20),
    ),
    exposure_limit=AMOUNTS,
    covered_per_day=AMOUNTS,
    review_above=AMOUNTS,
    recovery=st.permutations(list(RecoveryStep)).map(tuple),
    slower_settlement_days=st.integers(0, 31),
    refund_window=st.dictionaries(
        st.sampled_from(["card", "sepa_debit"]), st.just(timedelta(days=365))
    ),
    refund_window_notice=st.integers(1, 364).map(lambda n: timedelta(days=n)),
)


@given(POLICIES)
def test_what_is_written_down_reads_back_as_the_same(policy: Policy) -> None:
    lines = ["[default]", *(toml_line(k, v) for k, v in plain_policy(policy).items())]
    book = read_policy(tomllib.loads("\n".join(lines)))
    assert book.policy_for(None, None) == policy


def test_the_built_in_policy_as_it_is_written_down() -> None:
    assert [toml_line(k, v) for k, v in plain_policy(DEFAULT_POLICY).items()] == [
        'order = "oldest_first"',
        "starve_after = 10",
        "count_own_pending = true",
        'direct = "send"',
        "minimum_balance = {}",
        "fx_buffer_percent = 2",
        'hold_for = "7d"',
        'on_deadline = "review"',
        "payout_guard = false",
        "payout_guard_limit = {}",
        'payout_guard_for = "30d"',
        "partial = false",
        "small_shortfall = {}",
        "exposure_limit = {}",
        "covered_per_day = {}",
        "review_above = {}",
        'recovery = ["wait", "reverse_later"]',
        "slower_settlement_days = 0",
        "refund_window = {}",
        'refund_window_notice = "7d"',
    ]


def test_a_section_of_an_account_is_kept_by_its_id() -> None:
    book = read_policy({"accounts": {"acct_9": {"starve_after": 2}}})
    assert book == PolicyBook(accounts={AccountId("acct_9"): {"starve_after": 2}})
