"""`sluice notify`: who is told of what; trying the channels, and bringing back what was given up.

It may not send what the outbox holds: the worker does.
"""

from collections.abc import Sequence

import click
from rich.text import Text

from handlers.notifications.channel import Channel, Delivered, Message
from handlers.notifications.operate import enable_receiver, requeue_notification
from handlers.notifications.samples import sample
from handlers.notifications.wording import write_letter
from refunds.clock import utc_now
from refunds.errors import SluiceError
from refunds.notifications import LETTERS, Audience, Kind
from runtime.bootstrap import open_database, open_desk
from runtime.channels import build_channels
from runtime.commands.arguments import NOTE, actor, json_option, limit_option
from runtime.display import coloured, moment, print_json, stderr, stdout, table
from runtime.settings import load_settings
from store.receivers import list_receivers
from store.tables.outbox import DispatchState, Receiver
from store.told import DispatchSummary, get_dispatch, list_dispatches

_COLUMNS = ("number", "type", "about", "to", "state", "tries", "note")


class NoLetterError(SluiceError):
    """Nobody is written to about this."""


@click.group()
def notify() -> None:
    """Tell people and the platform's own systems what happens.

    What is told is written with the fact itself; a worker sends it to every channel of the settings
    (SLUICE_NOTIFY_...) and tries again, for three days, until it arrives.

    \b
      sluice notify preview refund_request.held --audience account
      sluice notify test                       one message through each channel
      sluice notify list --state dead          what could not be sent
      sluice notify requeue 17 --note "the server is back"
      sluice notify enable webhook:shop --note "moved, and back"
    """


@notify.command()
@click.argument("kind", metavar="TYPE", type=click.Choice([str(kind) for kind in Kind]))
@click.option(
    "--audience",
    type=click.Choice([str(each) for each in Audience]),
    help="Whose letter; by default the first that gets one.",
)
@click.option("--html", is_flag=True, help="The letter's HTML instead of its text.")
@click.option("--payload", is_flag=True, help="The JSON that webhooks get, instead of a letter.")
def preview(*, kind: str, audience: str | None, html: bool, payload: bool) -> None:
    """Show what would be sent about made-up facts of a TYPE, in the locale of the settings."""
    told = sample(Kind(kind), utc_now())
    if payload:
        print_json(dict(told.payload))
        return
    reader = _reader(told.kind, audience)
    locale = load_settings().sluice_notify_email_locale
    letter = write_letter(told.kind, reader, told.payload, locale=locale)
    if html:
        stdout().print(Text(letter.html), soft_wrap=True)
        return
    stdout().print(Text(f"To: {reader}\nSubject: {letter.subject}\n\n{letter.text}"))


@notify.command()
@json_option
def test(*, as_json: bool) -> None:
    """Send one test message through each channel, and say what happened.

    Nothing is stored, and connected accounts get nothing. Exits with 1 if a channel failed.
    """
    settings = load_settings()
    with open_desk(settings) as services:
        channels = build_channels(settings, services.gateway)
    results = [result for channel in channels for result in _try(channel)]
    failed = any(not result["delivered"] for result in results)
    if as_json:
        print_json({"object": "list", "url": None, "has_more": False, "data": results})
    else:
        rows = [
            (each["receiver"], each["address"] or "-", _verdict(each), each["note"])
            for each in results
        ]
        stdout().print(table("Test messages", ("receiver", "to", "result", "note"), rows))
        if len(channels) == 1:
            stderr().print(Text("Only the log is configured: see SLUICE_NOTIFY_... in README.md."))
    click.get_current_context().exit(1 if failed else 0)


@notify.command("list")
@click.option(
    "--state",
    type=click.Choice([str(state) for state in DispatchState]),
    help="Only in this state.",
)
@click.option(
    "--starting-after", type=int, metavar="NUMBER", help="Only older ones: the next page."
)
@limit_option
@json_option
def list_(*, state: str | None, starting_after: int | None, limit: int, as_json: bool) -> None:
    """List what is on its way and what became of it, the newest first."""
    with open_database(load_settings()) as database, database.reading() as unit:
        found = list_dispatches(
            unit,
            state=None if state is None else DispatchState(state),
            before=starting_after,
            limit=limit + 1,
        )
        receivers = list_receivers(unit)
    shown, has_more = found[:limit], len(found) > limit
    if as_json:
        data = [_object(each) for each in shown]
        print_json({"object": "list", "url": None, "has_more": has_more, "data": data})
        return
    _warn_of(receivers)
    if not shown:
        stderr().print(Text("Nothing matches."))
        return
    stdout().print(table("Notifications", _COLUMNS, [_row(each) for each in shown]))
    if has_more:
        stderr().print(Text(f"There are older ones: add --starting-after {shown[-1].dispatch}"))


@notify.command()
@click.argument("number", metavar="NUMBER", type=int)
@click.option("--note", type=NOTE, required=True, help="Why: one sentence, which is kept.")
@json_option
def requeue(*, number: int, note: str, as_json: bool) -> None:
    """Send again what was given up or dropped: the message of a NUMBER in the list."""
    with open_desk(load_settings()) as services:
        requeue_notification(services, number, note=note, actor=actor())
        with services.database.reading() as unit:
            found = get_dispatch(unit, number)
    if as_json:
        print_json(_object(found))
        return
    stdout().print(Text(f"{found.notification} to {found.receiver} is due again."))


@notify.command()
@click.argument("receiver", metavar="RECEIVER")
@click.option("--note", type=NOTE, required=True, help="Why: one sentence, which is kept.")
def enable(*, receiver: str, note: str) -> None:
    """Let a RECEIVER (webhook:NAME, email) take part again that said it was gone, or rests."""
    with open_desk(load_settings()) as services:
        enable_receiver(services, receiver, note=note, actor=actor())
    stdout().print(Text(f"{receiver} takes part again."))


def _reader(kind: Kind, audience: str | None) -> Audience:
    readers = sorted(LETTERS[kind])
    if audience is not None and Audience(audience) in readers:
        return Audience(audience)
    if audience is None and readers:
        return readers[0]
    who = " and ".join(readers) or "nobody"
    raise NoLetterError(f"letters about {kind} go to {who}; webhooks and the log hear of it")


def _try(channel: Channel) -> list[dict[str, object]]:
    told = sample(Kind.TEST, utc_now())
    results = []
    for address in channel.test_addresses():
        outcome = channel.send(Message(told=told, address=address))
        results.append(
            {
                "id": told.id,
                "object": "test_message",
                "receiver": channel.receiver,
                "address": address,
                "delivered": isinstance(outcome, Delivered),
                "note": outcome.note,
            }
        )
    return results


def _verdict(result: dict[str, object]) -> Text:
    return coloured("done" if result["delivered"] else "dead")


def _warn_of(receivers: Sequence[Receiver]) -> None:
    for each in receivers:
        if each.disabled_at is not None:
            stderr().print(
                Text(f"{each.receiver} is disabled since {moment(each.disabled_at)}: {each.note}")
            )


def _row(each: DispatchSummary) -> tuple[object, ...]:
    to = f"{each.receiver} {each.address}".strip()
    note = each.note or "-"
    state = coloured(each.state)
    return (each.dispatch, each.kind, each.subject, to, state, each.attempts, note)


def _object(each: DispatchSummary) -> dict[str, object]:
    """Return a dispatch for programs: times in seconds since 1970."""
    waits = each.finished_at is None
    return {
        "id": each.dispatch,
        "object": "dispatch",
        "notification": each.notification,
        "type": each.kind,
        "subject": each.subject,
        "created": int(each.at.timestamp()),
        "receiver": each.receiver,
        "address": each.address,
        "state": each.state,
        "attempts": each.attempts,
        "next_attempt": int(each.next_attempt_at.timestamp()) if waits else None,
        "finished": None if each.finished_at is None else int(each.finished_at.timestamp()),
        "note": each.note,
    }
