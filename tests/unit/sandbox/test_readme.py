"""sandbox/README.md names every control verb, switch, fault and mishap, and no others."""

import re
from dataclasses import fields

import pytest

from sandbox.control.table import TABLE
from sandbox.delivery.rules import Mishap
from sandbox.faults import Kind, Rule
from sandbox.world.builders import RefundFate
from sandbox.world.switches import Switches
from tests.support.repository import ROOT

README = (ROOT / "sandbox" / "README.md").read_text(encoding="utf-8")
PATHS = {
    path.replace("/ID", "/{id}").rstrip("`")
    for path in re.findall(r"/_sandbox/[A-Za-z_/]+", README)
}


def test_every_verb_is_told_and_none_that_is_not_there() -> None:
    assert {path for _, path in TABLE} == PATHS


@pytest.mark.parametrize(
    "word",
    [
        *(kind.value for kind in Kind),
        *(mishap.value for mishap in Mishap),
        *(fate.value for fate in RefundFate),
        *(item.name for item in fields(Switches)),
        *(item.name for item in fields(Rule) if item.name not in ("id", "seen", "hits")),
    ],
)
def test_every_word_of_a_rule_or_switch_is_told(word: str) -> None:
    assert re.search(rf"[`\"{{ ]{word}[`\"?:}} ]", README), word
