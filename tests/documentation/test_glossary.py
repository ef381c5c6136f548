"""docs/glossary.md and the check of words in the code speak of the same words.

It may not judge how a word is explained.
"""

import re

import pytest

from refunds.decision import Outcome
from tests.architecture.test_prose import NEVER_SAY
from tests.support.repository import ROOT

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in GLOSSARY.splitlines()
    if line.startswith("| **")
]
FORBIDDEN = {word.strip() for row in ROWS for word in row[2].split(",") if word.strip()}
EXPLAINED = [word for row in ROWS for word in re.findall(r"\*\*(.+?)\*\*", row[0])]


def test_every_row_has_a_word_a_meaning_and_a_place_for_what_is_not_said() -> None:
    assert len(ROWS) > 25
    assert all(len(row) == 3 and row[1] for row in ROWS)


def test_no_word_is_explained_twice_and_none_that_we_do_not_use() -> None:
    assert len(EXPLAINED) == len(set(EXPLAINED))
    # "pending" is Stripe's word for its balance, and no word for a request that we hold.
    assert FORBIDDEN & set(EXPLAINED) == {"pending"}


@pytest.mark.parametrize("phrase", [" ".join(words) for words in NEVER_SAY])
def test_what_the_code_may_not_say_is_in_the_glossary(phrase: str) -> None:
    assert phrase in FORBIDDEN


@pytest.mark.parametrize("instead", sorted(set(NEVER_SAY.values())))
def test_what_is_said_instead_is_explained(instead: str) -> None:
    singular = instead.removesuffix("s") if instead not in EXPLAINED else instead
    assert all(word in EXPLAINED for word in singular.split(" or "))


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_of_a_decision_is_named(outcome: Outcome) -> None:
    (meaning,) = [row[1] for row in ROWS if "**decision**" in row[0]]
    assert outcome in meaning
