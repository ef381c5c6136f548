"""What a reader meets in every file: its purpose in words, one vocabulary, and a sane length.

It may not check what ruff checks already.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.repository import ROOT, files, modules_of, rooms

PYTHON_FILES: Final = [file for file in files() if file.suffix == ".py"]
ROOM_FILES: Final = [file for room in rooms() for file in modules_of(room)]
# The sandbox speaks Stripe's words, not ours.
OUR_FILES: Final = [file for file in ROOM_FILES if file.parts[0] != "sandbox"]

LINES_MAX: Final = 400
LONG_ON_PURPOSE: Final[dict[str, str]] = {
    "store/migrations/versions/0001_create_every_table.py": "every table, drafted by Alembic",
}


def sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?=\s|$)", text))


@pytest.mark.parametrize("file", ROOM_FILES, ids=str)
def test_a_module_says_what_it_is_for_and_what_it_may_not_do(file: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / file).read_text()))
    assert docstring is not None, "a module begins with its purpose"
    assert sentences(docstring) >= 2, "one sentence of responsibility, one of what it may not do"


@pytest.mark.parametrize(
    "file", [file for file in PYTHON_FILES if file.parts[0] == "tests"], ids=str
)
def test_a_test_file_says_what_it_shows(file: Path) -> None:
    assert ast.get_docstring(ast.parse((ROOT / file).read_text())), "what do these tests show?"


@pytest.mark.parametrize("file", PYTHON_FILES, ids=str)
def test_a_file_can_be_held_in_the_head(file: Path) -> None:
    length = len((ROOT / file).read_text().splitlines())
    assert length <= LINES_MAX or str(file) in LONG_ON_PURPOSE, "split it by meaning"


def test_the_list_of_long_files_is_not_stale() -> None:
    for name, reason in LONG_ON_PURPOSE.items():
        assert reason
        assert len((ROOT / name).read_text().splitlines()) > LINES_MAX


VAGUE: Final = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}


@pytest.mark.parametrize("file", PYTHON_FILES, ids=str)
def test_a_file_is_named_for_what_is_in_it(file: Path) -> None:
    assert not VAGUE & {*file.parts[:-1], file.stem}


# A word we don't use -> the one we do. Several words stand for a phrase. Words that Stripe, SQL or
# a library use in a meaning of their own are on the list only as the phrase that would be ours.
NEVER_SAY: Final = {
    ("hook",): "event or delivery",
    ("queue",): "inbox",
    ("failed", "event"): "dead letter",
    ("failed", "events"): "dead letters",
    ("merchant",): "connected account",
    ("seller",): "connected account",
    ("vendor",): "connected account",
    ("pending", "refund"): "refund request",
    ("pending", "refunds"): "refund requests",
    ("required", "refund", "amount"): "need",
    ("funds",): "available",
    ("gap",): "shortfall",
    ("unhold",): "release",
    ("job",): "release attempt",
    ("start", "attempt"): "prepare",
    ("finish", "attempt"): "settle",
    ("sync",): "reconcile",
    ("risk", "amount"): "exposure",
    ("strategy",): "policy",
    ("override", "flag"): "waiver",
    ("cents",): "minor units",
}
# Where a word has its other meaning, and which.
SAID_ON_PURPOSE: Final = {
    "insufficient_funds": "Stripe's own code for it",
    "job": "APScheduler's word, in runtime/schedule.py",
}


def words(identifier: str) -> tuple[str, ...]:
    """The words of a snake_case or CamelCase name, in lower case."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier))


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Every name a module gives: what it merely uses was named by somebody else."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


def forbidden_words(name: str) -> list[str]:
    spoken = words(name)
    return [
        f"{name}: say {instead}"
        for never, instead in NEVER_SAY.items()
        if never
        in {spoken[start : start + len(never)] for start in range(len(spoken) - len(never) + 1)}
        and not any(allowed in name.lower() for allowed in SAID_ON_PURPOSE if "_" in allowed)
    ]


@pytest.mark.parametrize("file", OUR_FILES, ids=str)
def test_one_word_for_one_thing(file: Path) -> None:
    names = {file.stem, *bound_names(ast.parse((ROOT / file).read_text()))}
    complaints = [complaint for name in sorted(names) for complaint in forbidden_words(name)]
    if str(file) == "runtime/schedule.py":
        complaints = [each for each in complaints if "say release attempt" not in each]
    assert complaints == []


@pytest.mark.parametrize(
    "name",
    ["seller_id", "SellerBalance", "failed_events", "event_queue", "amount_cents", "RiskAmount"],
)
def test_a_forbidden_word_would_be_seen(name: str) -> None:
    assert forbidden_words(name)


@pytest.mark.parametrize("name", ["webhook", "insufficient_funds", "synchronous", "refund_request"])
def test_an_innocent_word_is_left_alone(name: str) -> None:
    assert not forbidden_words(name)


def floating_money(tree: ast.AST) -> list[str]:
    """Annotated names that hold an amount of money and a float."""
    return [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None
        for name in [node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)]
        if {"amount", "minor", "need", "shortfall", "spendable"} & set(words(name))
        and re.search(r"\b(float|Decimal)\b", ast.unparse(node.annotation))
    ]


@pytest.mark.parametrize("file", ROOM_FILES, ids=str)
def test_money_is_never_a_float(file: Path) -> None:
    assert floating_money(ast.parse((ROOT / file).read_text())) == []


def test_a_float_of_money_would_be_seen() -> None:
    source = "amount_minor: float = 1\ndef f(need: float | None, rate: float): ..."
    assert floating_money(ast.parse(source)) == ["amount_minor", "need"]
