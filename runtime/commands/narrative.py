"""Tells a request's history line by line, from the first wish to the end.

It may not load a row or leave one out: what is shortened says so, and how to see all of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from rich.console import RenderableType

from refunds.attempt import Purpose
from refunds.decision import Outcome
from runtime.commands.story import Story, Tried
from runtime.display import moment, money, table
from store.tables.attempts import AttemptStep, StepCallRow
from store.tables.installation import OperatorAction
from store.tables.ledger import SHADOW_CAUSE, LedgerEntry
from store.tables.requests import EvaluationRow

FIRST_LINES: Final = 10
LAST_LINES: Final = 30
"""Of a longer history these are shown: how it began, and how it stands."""

_SLUICE: Final = "sluice"
_STRIPE: Final = "Stripe"
_DECIDED: Final[Mapping[Outcome, str]] = {
    Outcome.RELEASE: "It may go",
    Outcome.HOLD: "It is held",
    Outcome.REVIEW: "It needs a person",
    Outcome.REJECT: "It is rejected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that happened, and whose doing it was."""

    at: datetime
    who: str
    what: str


def narrate(story: Story) -> list[Line]:
    """Return everything that happened to a request, in order."""
    asked = Line(
        at=story.created,
        who=story.actor,
        what=f"A refund of {_amount(story)} was asked for, with the key {story.key}.",
    )
    lines = [
        asked,
        *(_did(action) for action in story.actions),
        *(line for tried in story.attempts for line in _heard(tried)),
        *_news(story.entries),
        *(_decided(row) for row in story.decisions),
        *(line for tried in story.attempts for line in _framed(tried)),
    ]
    # Stable: what has one time was done in one unit of work, and follows from what is above it.
    return sorted(lines, key=lambda line: line.at)


def render_narrative(story: Story, *, whole: bool) -> RenderableType:
    """Return the history as a table, shortened in the middle unless all of it is wanted."""
    lines = narrate(story)
    rows = [(moment(line.at), line.who, line.what) for line in lines]
    left_out = len(rows) - FIRST_LINES - LAST_LINES
    if left_out > 1 and not whole:
        request = story.view["id"]
        middle = (f"… {left_out} more", "", f"All of it: sluice requests {request} --all")
        rows = [*rows[:FIRST_LINES], middle, *rows[-LAST_LINES:]]
    return table("What happened", ("when", "who", "what"), rows)


def _amount(story: Story) -> str:
    view = story.view
    if view["currency"] is None:
        return "what is left" if view["amount"] is None else f"{view['amount']} minor units"
    return money(view["amount"], view["currency"])


def _did(action: OperatorAction) -> Line:
    before, after = action.before.get("status"), action.after.get("status")
    changed = f" ({before} → {after})" if before != after else ""
    return Line(at=action.at, who=action.actor, what=f"{action.action}{changed}: {action.note}")


def _decided(row: EvaluationRow) -> Line:
    figures = ", ".join(_figures(row))
    what = f"{_DECIDED[row.outcome]}, by {row.rule} after {row.cause}: {row.why}"
    return Line(at=row.at, who=_SLUICE, what=f"{what} [{figures}]" if figures else what)


def _figures(row: EvaluationRow) -> Iterator[str]:
    if row.need_minor is None:
        return
    yield f"need {money(row.need_minor, row.need_currency)}"
    if row.fx_buffer_minor:
        yield f"FX buffer {money(row.fx_buffer_minor, row.need_currency)}"
    if row.spendable_minor is not None:
        yield f"spendable {money(row.spendable_minor, row.need_currency)}"
    if row.shortfall_minor:
        yield f"short {money(row.shortfall_minor, row.need_currency)}"
    if row.eta_at is not None:
        yield f"covered {moment(row.eta_at)}, {row.eta_confidence}"


def _framed(tried: Tried) -> Iterator[Line]:
    """Yield how an attempt began and ended."""
    attempt = tried.attempt
    if attempt.purpose is Purpose.COMPENSATION:
        aim = "giving back what was reversed"
    else:
        kind = "uncovered" if attempt.uncovered else "covered"
        aim = f"{money(attempt.amount_minor, attempt.currency)}, {kind}"
    yield Line(
        at=attempt.prepared_at,
        who=_SLUICE,
        what=f"{attempt.id} is prepared: {aim}, as {_calls(tried.steps)}.",
    )
    if attempt.settled_at is not None:
        what = f"{attempt.id} is settled: {_words(attempt.state)}."
        yield Line(at=attempt.settled_at, who=_SLUICE, what=what)


def _heard(tried: Tried) -> Iterator[Line]:
    """Yield what Stripe answered to each call of an attempt, or told in another way."""
    steps = {step.ordinal: step for step in tried.steps}
    for call in tried.calls:
        yield _called(call, steps[call.ordinal])
    for step in tried.steps:
        # Known without a call of ours that was answered: an event or a listing told of it.
        if step.settled_at is not None and not any(_answers(call, step) for call in tried.calls):
            what = f"The {step.kind} of {tried.attempt.id} is {_words(step.state)}{_object(step)}."
            yield Line(at=step.settled_at, who=_STRIPE, what=what)


def _calls(steps: Sequence[AttemptStep]) -> str:
    return ", then ".join(f"a {step.kind} with the key {step.idempotency_key}" for step in steps)


def _called(call: StepCallRow, step: AttemptStep) -> Line:
    status = f"HTTP {call.http_status}" if call.http_status else "no answer"
    request = f", request {call.stripe_request}" if call.stripe_request else ""
    said = f": {call.message}" if call.message else ""
    what = f"Asked for the {step.kind}: {_words(call.outcome)} ({status}{request}){said}"
    return Line(at=call.at, who=_STRIPE, what=what)


def _answers(call: StepCallRow, step: AttemptStep) -> bool:
    return call.ordinal == step.ordinal and not call.outcome.startswith("unknown")


def _object(step: AttemptStep) -> str:
    return f": {step.object_id}" if step.object_id else ""


def _news(entries: Sequence[LedgerEntry]) -> Iterator[Line]:
    """Yield the moves of money that are news by themselves; the others follow from a decision.

    Moves that one piece of news led to are one line.
    """
    telling = (entry for entry in entries if entry.refund_id or entry.cause == SHADOW_CAUSE)
    for (at, why, cause), moves in groupby(telling, key=lambda e: (e.at, e.why, e.cause)):
        first, *rest = moves
        path = " → ".join([first.from_bucket, first.to_bucket, *(each.to_bucket for each in rest)])
        who = _STRIPE if first.refund_id else _SLUICE
        yield Line(at=at, who=who, what=f"{why} ({path}, after {cause})")


def _words(word: str) -> str:
    return word.replace("_", " ").replace(":", ": ")
