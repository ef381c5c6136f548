"""The demo's timeline: what the database recorded of one request, with times to the millisecond.

It may not measure anything itself; each time is the one that was committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.text import Text

from refunds.errors import SluiceError
from refunds.ids import RequestId
from refunds.lifecycle import Bucket
from runtime.display import money, table
from store.attempts import attempts_of, calls_of, steps_of
from store.database import Unit
from store.inbox import EventSummary, list_events
from store.ledger import entries_of
from store.observations import refunds_of_request
from store.requests import evaluations_of, get_request


class StoryIncompleteError(SluiceError):
    """The request succeeded without what the story is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened."""

    at: datetime
    what: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The whole story, and how long the release took."""

    moments: Sequence[Moment]
    accepted_at: datetime
    """When the webhook was taken in."""
    prepared_at: datetime
    """When the refund call was about to be made: its key and parameters were committed."""
    answered_at: datetime
    """When Stripe's answer to it was in."""


def read_timeline(unit: Unit, request: str, account: str, arrived: datetime) -> Timeline:
    """Return what happened to the request; raise `StoryIncompleteError` where a part is missing."""
    row = get_request(unit, request)
    assert row.amount_minor is not None, "a request that succeeded has an amount"
    decided = evaluations_of(unit, RequestId(request))[0]
    event = _balance_event(unit, account, arrived)
    attempts = attempts_of(unit, request)
    refunds = refunds_of_request(unit, request)
    if len(attempts) != 1 or len(refunds) != 1:
        raise StoryIncompleteError(
            f"{len(attempts)} attempts and {len(refunds)} refunds; the story has one of each"
        )
    attempt, refund = attempts[0], refunds[0]
    step, call = steps_of(unit, attempt.id)[0], calls_of(unit, attempt.id)[-1]
    sent = [e for e in entries_of(unit, RequestId(request)) if e.to_bucket is Bucket.SUCCEEDED]
    amount = money(row.amount_minor, row.currency)
    moments = [
        Moment(at=row.created, what="requested", details=f"{amount} of {row.payment}: {request}"),
        Moment(at=decided.at, what="held", details=decided.why),
        Moment(at=arrived, what="money arrives", details=f"in {account}"),
        Moment(
            at=event.received_at,
            what="webhook accepted",
            details=f"{event.type} {event.event}, signature verified, stored",
        ),
        Moment(
            at=attempt.prepared_at,
            what="released",
            details=f"{attempt.id}: intent and key {step.idempotency_key} committed",
        ),
        Moment(
            at=call.at,
            what="refund made",
            details=f"{refund.id}, Stripe's answer to POST /v1/refunds ({call.http_status or 200})",
        ),
        Moment(at=sent[0].at, what="succeeded", details=sent[0].why),
    ]
    return Timeline(
        moments=moments,
        accepted_at=event.received_at,
        prepared_at=attempt.prepared_at,
        answered_at=call.at,
    )


def print_timeline(console: Console, timeline: Timeline) -> None:
    """Print the story as a table, and the time that matters below it."""
    began = timeline.moments[0].at
    rows = [
        (
            f"{moment.at:%H:%M:%S}.{moment.at.microsecond // 1000:03d}",
            f"{_ms(began, moment.at) / 1000:+.3f} s",
            Text(moment.what, style="bold"),
            moment.details,
        )
        for moment in timeline.moments
    ]
    console.print(table("Timeline (UTC)", ("time", "since", "what", "details"), rows))
    console.print(
        Text(
            f"From the accepted webhook to the refund call at Stripe: "
            f"{_ms(timeline.accepted_at, timeline.prepared_at)} ms (answered after "
            f"{_ms(timeline.accepted_at, timeline.answered_at)} ms).",
            style="bold green",
        )
    )


def _balance_event(unit: Unit, account: str, arrived: datetime) -> EventSummary:
    for event in list_events(unit, type="balance.available", limit=50):
        if event.account == account and event.received_at >= arrived:
            return event
    raise StoryIncompleteError(f"the inbox holds no balance.available of {account}")


def _ms(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
