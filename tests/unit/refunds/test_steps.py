"""Steps: the one word an attempt's timeline shows for what came of a call.

It may not decide what follows from it.
"""

import pytest

from refunds.facts import ReversalFacts
from refunds.ids import ReversalId, TransferId
from refunds.money import Money
from refunds.steps import (
    Done,
    RefusalKind,
    Refused,
    StepOutcome,
    Trouble,
    Unknown,
    outcome_word,
)
from tests.support.facts import USD

DONE = Done(
    object=ReversalFacts(
        reversal=ReversalId("trr_lamp"),
        transfer=TransferId("tr_lamp"),
        amount=Money(5_000, USD),
        metadata={},
    ),
    stripe_request="req_1",
    replayed=False,
)


def refused(kind: RefusalKind) -> Refused:
    return Refused(kind=kind, code=None, message="no", http_status=400, stripe_request="req_2")


def unknown(trouble: Trouble) -> Unknown:
    return Unknown(trouble=trouble, message="?", http_status=None, stripe_request=None)


@pytest.mark.parametrize(
    "outcome, word",
    [
        (DONE, "done"),
        *((refused(kind), f"refused:{kind.value}") for kind in RefusalKind),
        *((unknown(trouble), f"unknown:{trouble.value}") for trouble in Trouble),
    ],
)
def test_an_outcome_in_one_word(outcome: StepOutcome, word: str) -> None:
    assert outcome_word(outcome) == word


def test_the_words_are_as_written_on_old_timelines() -> None:
    assert outcome_word(refused(RefusalKind.INSUFFICIENT_FUNDS)) == "refused:insufficient_funds"
    assert outcome_word(unknown(Trouble.KEY_MISMATCH)) == "unknown:key_mismatch"


def test_without_a_word_from_stripe_nobody_is_told_when_to_come_back() -> None:
    assert unknown(Trouble.TIMEOUT).retry_after_seconds is None
