"""A request's history as JSON: every stored row that tells what happened to it.

It may not shorten anything or add what is not stored.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runtime.commands.story import Story, Tried
from runtime.commands.stripe_pending import one_object
from store.tables.base import Row


def history_object(story: Story) -> dict[str, object]:
    """Return the request with its whole history beside it; times in seconds since 1970."""
    return {
        **story.view,
        "history": {
            "asked_by": story.actor,
            "idempotency_key": story.key,
            "decisions": _rows(story.decisions, without=("request_id",)),
            "attempts": [_attempt(tried) for tried in story.attempts],
            "refunds": _rows(story.refunds, without=("request_id",)),
            "ledger": _rows(story.entries, without=("request_id",)),
            "actions": _rows(story.actions, without=("subject",)),
            "waivers": _rows(story.waivers, without=("request_id",)),
            "held_by_stripe": [one_object(each, story.at) for each in story.held_by_stripe],
        },
    }


def _attempt(tried: Tried) -> dict[str, object]:
    [attempt] = _rows([tried.attempt], without=("request_id", "claimed_by", "fence"))
    steps = _rows(tried.steps, without=("attempt_id",))
    calls = _rows(tried.calls, without=("attempt_id",))
    return {**attempt, "steps": steps, "calls": calls}


def _rows(rows: Sequence[Row], *, without: Sequence[str]) -> list[dict[str, object]]:
    return [_plain(row.model_dump(exclude=set(without))) for row in rows]


def _plain(values: Mapping[str, Any]) -> dict[str, object]:
    return {
        name: int(value.timestamp()) if isinstance(value, datetime) else value
        for name, value in sorted(values.items())
    }
