"""`sluice events`: what Stripe told us, how it was processed, and bringing back dead letters.

It may not process an event; requeuing makes it due, and a worker takes it.
"""

import json
from collections.abc import Sequence
from datetime import datetime

import click
from rich.text import Text

from handlers.requeue import requeue
from refunds.ids import EventId
from runtime.bootstrap import open_database, open_desk
from runtime.commands.arguments import (
    EVENT,
    EVENT_TYPE,
    NOTE,
    actor,
    json_option,
    limit_option,
)
from runtime.display import (
    NOTHING,
    coloured,
    facts,
    moment,
    plain,
    print_json,
    stderr,
    stdout,
    table,
)
from runtime.settings import load_settings
from store.inbox import EventSummary, event_attempts, event_deliveries, get_event, list_events
from store.tables.inbox import EventAttempt, EventDelivery, InboxEvent, InboxState


@click.group()
def events() -> None:
    """Look into the inbox: the events that Stripe delivered.

    \b
      sluice events list                     the newest 20
      sluice events list --state dead        dead letters: events that could not be processed
      sluice events show evt_1Nx...          one, with every delivery and attempt
      sluice events requeue evt_1Nx... --note "the account is back"
    """


@events.command("list")
@click.option(
    "--state", type=click.Choice([str(state) for state in InboxState]), help="Only in this state."
)
@click.option("--type", "event_type", type=EVENT_TYPE, metavar="TYPE", help="Only of this type.")
@click.option(
    "--starting-after",
    type=EVENT,
    metavar="ID",
    help="Only events received before this one: the next page.",
)
@limit_option
@json_option
def list_(
    *,
    state: str | None,
    event_type: str | None,
    starting_after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the last received first."""
    with open_database(load_settings()) as database, database.reading() as unit:
        found = list_events(
            unit,
            state=None if state is None else InboxState(state),
            type=event_type,
            limit=limit + 1,
            before=None if starting_after is None else EventId(starting_after),
        )
    shown, has_more = found[:limit], len(found) > limit
    if as_json:
        print_json(
            {
                "object": "list",
                "url": None,
                "has_more": has_more,
                "data": [_object(event) for event in shown],
            }
        )
        return
    if not shown:
        stderr().print(Text("No event matches."))
        return
    stdout().print(table("Events", _COLUMNS, [_row(event) for event in shown]))
    if has_more:
        stderr().print(Text(f"There are older ones: add --starting-after {shown[-1].event}"))


_COLUMNS = ("id", "type", "account", "received", "state", "deliveries", "attempts", "last error")


@events.command()
@click.argument("event_id", metavar="ID", type=EVENT)
@click.option(
    "--body",
    is_flag=True,
    help="Print the event's JSON as Stripe sent it; it may hold personal data.",
)
@json_option
def show(*, event_id: str, body: bool, as_json: bool) -> None:
    """Show one event with its deliveries and the attempts to process it."""
    with open_database(load_settings()) as database, database.reading() as unit:
        event = get_event(unit, EventId(event_id))
        attempts = event_attempts(unit, EventId(event_id))
        deliveries = event_deliveries(unit, EventId(event_id))
    if body:
        # Parsed and written anew: escape sequences in it must not reach the terminal.
        print_json(json.loads(event.body))
    elif as_json:
        print_json(_object(_summary(event), attempts))
    else:
        _print_event(event, attempts, deliveries)


@events.command("requeue")
@click.argument("event_id", metavar="ID", type=EVENT)
@click.option("--note", type=NOTE, help="Why: one sentence, kept with the event's id.")
@json_option
def requeue_command(*, event_id: str, note: str | None, as_json: bool) -> None:
    """Make a dead or ignored event due again, its attempts counted anew.

    See why it ended there first (sluice events show ID): an event that fails for the same reason
    will end there again.
    """
    with open_desk(load_settings()) as services:
        requeue(services, EventId(event_id), note=note or "", actor=actor())
        with services.database.reading() as unit:
            event = get_event(unit, EventId(event_id))
    if as_json:
        print_json(_object(_summary(event)))
        return
    stdout().print(Text(f"{event_id} is due again: a worker takes it next."))


def _summary(event: InboxEvent) -> EventSummary:
    return EventSummary(
        event=EventId(event.id),
        **{
            name: getattr(event, name)
            for name in EventSummary.__dataclass_fields__
            if name != "event"
        },
    )


def _object(
    event: EventSummary, attempts: Sequence[EventAttempt] | None = None
) -> dict[str, object]:
    """Return an inbox event for programs: times in seconds since 1970, without the body."""
    made: dict[str, object] = {
        "id": event.event,
        "object": "inbox_event",
        "type": event.type,
        "account": event.account,
        "livemode": event.livemode,
        "created": _seconds(event.created),
        "received": _seconds(event.received_at),
        "door": event.door,
        "deliveries": event.deliveries,
        "state": event.state,
        "attempts": event.attempts,
        "next_attempt": _seconds(event.next_attempt_at) if event.finished_at is None else None,
        "finished": _seconds(event.finished_at),
        "last_error": event.last_error,
    }
    if attempts is not None:
        made["history"] = [
            {
                "number": attempt.number,
                "started": _seconds(attempt.started_at),
                "finished": _seconds(attempt.finished_at),
                "worker": attempt.worker,
                "outcome": attempt.outcome,
                "note": attempt.note,
            }
            for attempt in attempts
        ]
    return made


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _row(event: EventSummary) -> tuple[object, ...]:
    return (
        event.event,
        event.type,
        event.account or "platform",
        moment(event.received_at),
        coloured(event.state),
        event.deliveries,
        event.attempts,
        event.last_error or NOTHING,
    )


def _print_event(
    event: InboxEvent, attempts: Sequence[EventAttempt], deliveries: Sequence[EventDelivery]
) -> None:
    console = stdout()
    due = moment(event.next_attempt_at) if event.state is InboxState.PENDING else None
    again = f"sluice events requeue {event.id}" if event.state is InboxState.DEAD else None
    console.print(
        facts(
            event.id,
            [
                ("state", coloured(event.state)),
                ("type", event.type),
                ("account", event.account or "platform"),
                ("mode", "live" if event.livemode else "test"),
                ("API version", event.api_version),
                ("created", moment(event.created)),
                ("received", f"{moment(event.received_at)}, by {plain(event.door)}"),
                ("secret", _which_secret(event.secret_index)),
                ("deliveries", event.deliveries),
                ("attempts", event.attempts),
                ("due", due),
                ("finished", None if event.finished_at is None else moment(event.finished_at)),
                ("last error", event.last_error),
                ("next step", again),
            ],
        )
    )
    if attempts:
        rows = [
            (
                moment(row.started_at),
                row.number,
                coloured(row.outcome),
                f"{(row.finished_at - row.started_at).total_seconds() * 1000:.0f} ms",
                row.worker,
                row.note or NOTHING,
            )
            for row in attempts
        ]
        console.print()
        columns = ("started", "number", "outcome", "took", "worker", "note")
        console.print(table("Attempts", columns, rows))
    if deliveries:
        rows_again = [
            (moment(row.received_at), _which_secret(row.secret_index)) for row in deliveries
        ]
        console.print()
        console.print(table("Delivered again", ("received", "secret"), rows_again))


def _which_secret(index: int | None) -> str:
    return NOTHING if index is None else f"number {index + 1} of STRIPE_WEBHOOK_SECRETS"
