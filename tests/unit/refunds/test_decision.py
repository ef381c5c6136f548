"""Decisions: whatever the code can decide, a person is told what to do next.

It may not judge whether a decision is right; that is its rule's own test.
"""

import ast
from collections.abc import Iterator

import pytest

from refunds.decision import (
    NEXT_STEPS,
    Decision,
    Outcome,
    Rule,
    decide,
    describe_need,
    without_figures,
)
from refunds.need import Need
from tests.support.facts import EUR, JPY, USD
from tests.support.repository import ROOT, modules_of, rooms


def named(kind: type[Rule] | type[Outcome], *places: ast.AST) -> set[str]:
    """Return the members of an enum that the narrowest of these places mentions, if any does."""
    for place in places:
        mentioned = {
            node.attr
            for node in ast.walk(place)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == kind.__name__
        }
        if mentioned:
            return mentioned
    return set()


def decided_in(source: str) -> Iterator[tuple[Rule, Outcome]]:
    """Yield what every call of `decide` in a module can produce, read from its text.

    A rule or outcome in a variable stands for every one that its function names. What comes into
    the function from outside can't be read here; `decide` itself refuses it when it happens.
    """
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    for function in functions:
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "decide":
                outcome, rule = call.args[:2]
                for outcome_name in named(Outcome, outcome, function):
                    for rule_name in named(Rule, rule, function):
                        yield Rule[rule_name], Outcome[outcome_name]


def imports_decide(source: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "refunds.decision"
        and any(name.name == "decide" for name in node.names)
        for node in ast.walk(ast.parse(source))
    )


def test_everything_the_code_can_decide_has_next_steps() -> None:
    decided = {
        (module, pair)
        for room in rooms()
        for module in modules_of(room)
        if imports_decide(source := (ROOT / module).read_text())
        for pair in decided_in(source)
    }
    assert len(decided) >= 17, "the reader of the code sees no decisions any more"
    assert [found for found in decided if found[1] not in NEXT_STEPS] == []


def test_the_reader_of_the_code_sees_what_a_variable_can_stand_for() -> None:
    source = """
def check(at_intake):
    stop = Outcome.REJECT if at_intake else Outcome.REVIEW
    return decide(stop, Rule.DISPUTED, "x")

def settle(late):
    rule = Rule.REFUND_FAILED if late else Rule.REQUIRES_ACTION
    return decide(Outcome.REVIEW, rule, "y")
"""
    assert set(decided_in(source)) == {
        (Rule.DISPUTED, Outcome.REJECT),
        (Rule.DISPUTED, Outcome.REVIEW),
        (Rule.REFUND_FAILED, Outcome.REVIEW),
        (Rule.REQUIRES_ACTION, Outcome.REVIEW),
    }


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_an_outcome_with_next_steps(rule: Rule) -> None:
    assert any(known is rule for known, _ in NEXT_STEPS)


@pytest.mark.parametrize("rule, outcome", NEXT_STEPS)
def test_next_steps_are_sentences_and_reach_the_decision(rule: Rule, outcome: Outcome) -> None:
    decision = decide(outcome, rule, "Because.")
    assert decision == Decision(outcome=outcome, rule=rule, why="Because.")
    assert decision.next_steps == NEXT_STEPS[rule, outcome] != ()
    for step in decision.next_steps:
        assert step.endswith(".")
        assert step[0].isupper()


def test_a_rule_that_leaves_the_person_alone_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="cover"):
        decide(Outcome.REJECT, Rule.COVER, "Because.")


def test_an_old_decision_without_next_steps_can_still_be_shown() -> None:
    old = Decision(outcome=Outcome.REJECT, rule=Rule.COVER, why="As it was stored once.")
    assert old.next_steps == ()


@pytest.mark.parametrize(
    "need, words",
    [
        (Need(amount_minor=5_000, currency=USD, fx_buffer_minor=0), "50.00 USD"),
        (
            Need(amount_minor=9_213, currency=EUR, fx_buffer_minor=185),
            "92.13 EUR (+ 1.85 EUR FX buffer)",
        ),
        (Need(amount_minor=800, currency=JPY, fx_buffer_minor=16), "800 JPY (+ 16 JPY FX buffer)"),
    ],
)
def test_a_need_in_words(need: Need, words: str) -> None:
    assert describe_need(need) == words


def test_a_decision_no_balance_was_weighed_for_has_no_figures() -> None:
    decision = decide(Outcome.REVIEW, Rule.DISPUTED, "ch_1 has an open dispute.")
    bare = without_figures(decision)
    assert bare.decision is decision
    assert (bare.need, bare.spendable_minor, bare.shortfall_minor) == (None, None, None)
