"""Blocks: what stops a refund whatever the balance, in which order, and with which words.

It may not look at balances; each sentence is compared whole, because people act on it.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from refunds.blocks import (
    Claim,
    check_account,
    check_charge,
    check_deadline,
    check_livemode,
    check_parts,
    check_shares,
    counted_at_intake,
    stating_exposure,
    without_balance,
)
from refunds.candidate import Candidate
from refunds.decision import Decision, Outcome, Rule, decide
from refunds.facts import AccountStanding, ChargeFacts, ChargeType
from refunds.money import Money
from refunds.need import Need, Share, Split
from tests.support.facts import ACCOUNT, NOON, USD, charged, transferred
from tests.unit.refunds.waiting import waiting


def claim(amount_minor: int, other_open_minor: int = 0) -> Claim:
    return Claim(amount=Money(amount_minor, USD), other_open_minor=other_open_minor)


STOPS = {
    "never captured": (
        charged(10_000, refundable=False),
        claim(1),
        Rule.NOT_REFUNDABLE,
        "ch_lamp was not captured or did not succeed.",
    ),
    "disputed": (
        charged(10_000, disputed=True),
        claim(1),
        Rule.DISPUTED,
        "ch_lamp has an open dispute.",
    ),
    "refunded in full": (
        charged(10_000, refunded_minor=10_000),
        claim(1),
        Rule.ALREADY_REFUNDED,
        "ch_lamp is refunded in full already.",
    ),
    "refunded beyond": (
        charged(10_000, refunded_minor=10_001),
        claim(1),
        Rule.ALREADY_REFUNDED,
        "ch_lamp is refunded in full already.",
    ),
    "more than the charge": (
        charged(10_000),
        claim(10_001),
        Rule.OVER_REMAINING,
        "100.01 USD is more than the 100.00 USD left of ch_lamp.",
    ),
    "more than is left": (
        charged(10_000, refunded_minor=4_000),
        claim(6_001),
        Rule.OVER_REMAINING,
        "60.01 USD is more than the 60.00 USD left of ch_lamp.",
    ),
    "more than others leave": (
        charged(10_000, refunded_minor=4_000),
        claim(3_001, other_open_minor=3_000),
        Rule.OVER_REMAINING,
        # 10000 - 4000 - 3000
        "30.01 USD is more than the 30.00 USD left of ch_lamp.",
    ),
    "others claim more than there is": (
        charged(10_000, refunded_minor=4_000),
        claim(1, other_open_minor=9_000),
        Rule.OVER_REMAINING,
        "0.01 USD is more than the 0.00 USD left of ch_lamp.",
    ),
    # The order: what can't be mended first.
    "never captured, disputed and refunded": (
        charged(10_000, refundable=False, disputed=True, refunded_minor=10_000),
        claim(10_001),
        Rule.NOT_REFUNDABLE,
        "ch_lamp was not captured or did not succeed.",
    ),
    "disputed and refunded": (
        charged(10_000, disputed=True, refunded_minor=10_000),
        claim(10_001),
        Rule.DISPUTED,
        "ch_lamp has an open dispute.",
    ),
}


@pytest.mark.parametrize("at_intake", [True, False], ids=["at intake", "while held"])
@pytest.mark.parametrize("charge, wish, rule, why", STOPS.values(), ids=STOPS)
def test_a_charge_stops_a_refund(
    charge: ChargeFacts, wish: Claim, rule: Rule, why: str, *, at_intake: bool
) -> None:
    # A new wish is turned down; one that was accepted once is never dropped without a person.
    outcome = Outcome.REJECT if at_intake else Outcome.REVIEW
    assert check_charge(charge, wish, at_intake=at_intake) == Decision(
        outcome=outcome, rule=rule, why=why
    )


@pytest.mark.parametrize("at_intake", [True, False], ids=["at intake", "while held"])
@pytest.mark.parametrize(
    "charge, wish",
    [
        (charged(10_000), claim(1)),
        (charged(10_000), claim(10_000)),
        (charged(10_000, refunded_minor=4_000), claim(6_000)),
        (charged(10_000, refunded_minor=9_999), claim(1)),
        (charged(10_000, refunded_minor=4_000), claim(3_000, other_open_minor=3_000)),
    ],
)
def test_nothing_stops_a_refund_of_what_is_left(
    charge: ChargeFacts, wish: Claim, *, at_intake: bool
) -> None:
    assert check_charge(charge, wish, at_intake=at_intake) is None


REJECTED = Decision(
    outcome=Outcome.REVIEW,
    rule=Rule.ACCOUNT_REJECTED,
    why="Stripe has rejected the account acct_shop.",
)
DEAUTHORIZED = Decision(
    outcome=Outcome.REVIEW,
    rule=Rule.ACCOUNT_DEAUTHORIZED,
    why="The account acct_shop has disconnected from the platform.",
)


@pytest.mark.parametrize(
    "standing, waived, decision",
    [
        (AccountStanding.ACTIVE, set(), None),
        (AccountStanding.REJECTED, set(), REJECTED),
        (AccountStanding.DEAUTHORIZED, set(), DEAUTHORIZED),
        (AccountStanding.REJECTED, {Rule.ACCOUNT_REJECTED}, None),
        (AccountStanding.DEAUTHORIZED, {Rule.ACCOUNT_DEAUTHORIZED}, None),
        # A waiver of one rule is not a waiver of another.
        (AccountStanding.REJECTED, {Rule.ACCOUNT_DEAUTHORIZED, Rule.DEADLINE}, REJECTED),
        (AccountStanding.DEAUTHORIZED, {Rule.ACCOUNT_REJECTED, Rule.PERSON}, DEAUTHORIZED),
    ],
)
def test_an_account_that_is_gone_is_not_drawn_on_without_a_waiver(
    standing: AccountStanding, waived: set[Rule], decision: Decision | None
) -> None:
    assert check_account(ACCOUNT, standing, waived) == decision


MISSED = Decision(
    outcome=Outcome.REVIEW,
    rule=Rule.DEADLINE,
    why="It was not covered by its deadline, 2026-11-23 12:00 UTC.",
)


@pytest.mark.parametrize(
    "late_by, waived, decision",
    [
        (timedelta(microseconds=-1), set(), None),
        (timedelta(0), set(), MISSED),
        (timedelta(days=30), set(), MISSED),
        (timedelta(days=30), {Rule.DEADLINE}, None),
        (timedelta(days=30), {Rule.PERSON}, MISSED),
    ],
)
def test_a_deadline_sends_it_to_a_person_once_it_is_reached(
    late_by: timedelta, waived: set[Rule], decision: Decision | None
) -> None:
    assert check_deadline(NOON, NOON + late_by, waived) == decision


@pytest.mark.parametrize(
    "older_by, counted",
    [
        (timedelta(minutes=5, microseconds=1), True),
        (timedelta(minutes=5), False),
        (timedelta(0), False),
        (timedelta(days=-1), False),
    ],
)
def test_only_a_refund_clearly_older_than_the_request_was_counted(
    older_by: timedelta, counted: bool
) -> None:
    assert counted_at_intake(NOON - older_by, NOON) is counted


UNSEEN = Decision(
    outcome=Outcome.HOLD,
    rule=Rule.ACCOUNT_DEAUTHORIZED,
    why="Stripe denies the platform access to the account acct_shop; its balance can't be read.",
)


@pytest.mark.parametrize(
    "late_by, waived, decision",
    [
        (timedelta(microseconds=-1), set(), UNSEEN),
        (timedelta(0), set(), MISSED),
        (timedelta(days=30), {Rule.DEADLINE}, UNSEEN),
        (timedelta(days=30), {Rule.ACCOUNT_DEAUTHORIZED}, MISSED),
    ],
)
def test_waiting_for_a_balance_nobody_can_read_ends_at_the_deadline(
    late_by: timedelta, waived: set[Rule], decision: Decision
) -> None:
    assert without_balance(ACCOUNT, NOON, NOON + late_by, waived) == decision


@pytest.mark.parametrize(
    "theirs, ours, words",
    [
        (True, False, "ch_lamp is a payment of live mode, and this installation is of test mode."),
        (False, True, "ch_lamp is a payment of test mode, and this installation is of live mode."),
    ],
)
def test_a_payment_of_the_other_mode_is_rejected(theirs: bool, ours: bool, words: str) -> None:
    charge = replace(charged(10_000), livemode=theirs)
    stop = check_livemode(charge, livemode=ours)
    assert stop == Decision(outcome=Outcome.REJECT, rule=Rule.WRONG_LIVEMODE, why=words)
    assert check_livemode(charge, livemode=theirs) is None


@pytest.mark.parametrize("stop", [REJECTED, DEAUTHORIZED], ids=["rejected", "deauthorized"])
def test_what_the_platform_would_stand_in_for_is_said_once(stop: Decision) -> None:
    need = Need(amount_minor=5_000, currency=USD, fx_buffer_minor=0)
    told = stating_exposure(stop, need)
    assert (told.outcome, told.rule) == (stop.outcome, stop.rule)
    assert told.why == (
        f"{stop.why} Released all the same, the platform stands in for up to 50.00 USD."
    )
    assert stating_exposure(told, need) is told
    assert stating_exposure(stop, None) is stop


def test_no_other_stop_offers_to_stand_in() -> None:
    need = Need(amount_minor=5_000, currency=USD, fx_buffer_minor=0)
    late = decide(Outcome.REVIEW, Rule.DEADLINE, "It is late.")
    assert stating_exposure(late, need) is late


def of_split(*, asked: int, used: int = 0, at_hand: int = 0, reversed_minor: int) -> Candidate:
    """A request that counts on a transfer of 60.00."""
    transfer = replace(transferred(6_000), reversed_minor=reversed_minor)
    share = Share(transfer=transfer, asked_minor=asked, used_minor=used, at_hand_minor=at_hand)
    split = Split(shares=(share,), request_minor=9_000, unsent_minor=9_000)
    return replace(waiting("rr_split", 9_000), split=split)


@pytest.mark.parametrize(
    "candidate, for_others, lacks",
    [
        (of_split(asked=6_000, reversed_minor=0), 0, False),
        # 6000 - 5000 = 1000 left, 4000 lacking: all of it went to other requests.
        (of_split(asked=5_000, reversed_minor=5_000), 5_000, True),
        # Somebody else took it: the account has paid.
        (of_split(asked=5_000, reversed_minor=5_000), 0, False),
        # 1500 for others, 4500 by somebody else, who paid all of the 3000 that are lacking.
        (of_split(asked=3_000, reversed_minor=6_000), 1_500, False),
        # 4000 for others, 2000 by somebody else: 1000 are lacking for our own doing.
        (of_split(asked=3_000, reversed_minor=6_000), 4_000, True),
        # What it reversed for itself is not lacking.
        (of_split(asked=6_000, used=2_000, at_hand=4_000, reversed_minor=6_000), 0, False),
        (of_split(asked=6_000, used=2_000, reversed_minor=4_000), 2_000, True),
    ],
)
def test_a_share_that_other_requests_used_up_is_asked_about(
    candidate: Candidate, for_others: int, lacks: bool
) -> None:
    taken = {transferred(6_000).transfer: for_others}
    stop = check_shares(candidate, taken)
    assert (stop is not None) is lacks
    if stop is not None:
        assert (stop.outcome, stop.rule) == (Outcome.REVIEW, Rule.TRANSFERS_UNCLEAR)
    for known in (
        replace(candidate, by_person=True),
        replace(candidate, waived=frozenset({Rule.TRANSFERS_UNCLEAR})),
        replace(candidate, split=None),
    ):
        assert check_shares(known, taken) is None


def test_the_sentence_says_what_was_counted_on_and_what_is_left() -> None:
    candidate = of_split(asked=5_000, reversed_minor=5_000)
    name = transferred(6_000).transfer
    stop = check_shares(candidate, {name: 5_000})
    assert stop is not None
    assert stop.why == (
        f"50.00 USD of {name} were to be taken back, but other requests have left 10.00 USD of it; "
        "the platform would stand in for the rest."
    )


@pytest.mark.parametrize(
    "split, kind, words",
    [
        (True, ChargeType.SEPARATE, None),
        (False, ChargeType.PLATFORM, None),
        (False, ChargeType.DESTINATION, None),
        (False, ChargeType.SEPARATE, "was passed on to connected accounts"),
        (True, ChargeType.PLATFORM, "is tied to no transfers"),
    ],
)
def test_a_payment_that_lies_otherwise_than_it_was_asked_for_is_asked_about(
    split: bool, kind: ChargeType, words: str | None
) -> None:
    candidate = of_split(asked=6_000, reversed_minor=0) if split else waiting("rr_whole", 9_000)
    charge = replace(charged(10_000), charge_type=kind)
    stop = check_parts(candidate, charge)
    if words is None:
        assert stop is None
        return
    assert stop is not None
    assert (stop.outcome, stop.rule) == (Outcome.REVIEW, Rule.TRANSFERS_UNCLEAR)
    assert words in stop.why
    for known in (
        replace(candidate, by_person=True),
        replace(candidate, waived=frozenset({Rule.TRANSFERS_UNCLEAR})),
    ):
        assert check_parts(known, charge) is None


def test_a_request_that_names_no_share_is_none_of_a_split_payment() -> None:
    candidate = of_split(asked=6_000, reversed_minor=0)
    assert candidate.split is not None
    nothing = replace(candidate, split=replace(candidate.split, shares=()))
    charge = replace(charged(10_000), charge_type=ChargeType.SEPARATE)
    assert check_parts(nothing, charge) is not None
