"""`sluice requests`: list them, show one, and do what a person may do with one.

It may not ask Stripe anything: an operator must be able to act while Stripe is away.
"""

from typing import Any

import click
from rich.text import Text

from handlers.listing import PageWanted, list_page, show_request
from handlers.operate import Action, act
from handlers.view import RequestView
from refunds.clock import utc_now
from refunds.ids import AccountId, RequestId
from refunds.lifecycle import Status
from runtime.bootstrap import open_database, open_desk
from runtime.commands.arguments import (
    ACCOUNT,
    NOTE,
    REQUEST,
    actor,
    json_option,
    limit_option,
)
from runtime.commands.history import history_object
from runtime.commands.narrative import render_narrative
from runtime.commands.story import load_story, render_books, render_request, render_standing
from runtime.display import (
    NOTHING,
    coloured,
    moment,
    money,
    print_json,
    stderr,
    stdout,
    table,
)
from runtime.settings import load_settings

_SHOW = "show"


class _Requests(click.Group):
    """A group that also takes an id where a command's name is expected."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Read `requests rr_…` as showing that request."""
        if args and args[0].startswith("rr_"):
            return _SHOW, self.get_command(ctx, _SHOW), args
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Requests,
    invoke_without_command=True,
    subcommand_metavar="[ID | ACTION ID --note TEXT]",
)
@click.option(
    "--status", type=click.Choice([str(status) for status in Status]), help="Only with this status."
)
@click.option("--account", type=ACCOUNT, metavar="ACCT", help="Only of this connected account.")
@click.option(
    "--starting-after",
    type=REQUEST,
    metavar="ID",
    help="Only requests older than this one: the next page.",
)
@limit_option
@json_option
@click.pass_context
def requests(
    context: click.Context,
    *,
    status: str | None,
    account: str | None,
    starting_after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List refund requests, show one with its whole story, or act on one.

    \b
      sluice requests                          the newest 20
      sluice requests --status held            those on hold
      sluice requests --account acct_1NhX...   those of one connected account
      sluice requests rr_01m...                one, with every decision, call and ledger entry
      sluice requests approve rr_01m... --note "the dispute is settled"
      sluice requests release rr_01m... --note "a good customer; we carry it"

    An action needs a note: it is kept for ever, with your user name, beside the request.
    """
    if context.invoked_subcommand is not None:
        return
    wanted = PageWanted(
        status=None if status is None else Status(status),
        account=None if account is None else AccountId(account),
        starting_after=None if starting_after is None else RequestId(starting_after),
        limit=limit,
    )
    with open_database(load_settings()) as database:
        page = list_page(database, wanted)
    if as_json:
        print_json(page)
        return
    _print_list(page["data"], has_more=page["has_more"])


@requests.command(_SHOW, hidden=True)
@click.argument("request_id", metavar="ID", type=REQUEST)
@click.option("--all", "whole", is_flag=True, help="Leave nothing out of a long history.")
@json_option
def show(*, request_id: str, whole: bool, as_json: bool) -> None:
    """Show one request with its whole story."""
    with open_database(load_settings()) as database, database.reading() as unit:
        story = load_story(unit, RequestId(request_id), utc_now())
    if as_json:
        print_json(history_object(story))
        return
    console = stdout()
    console.print(render_standing(story))
    for part in (render_narrative(story, whole=whole), *render_books(story)):
        console.print()
        console.print(part)


def _action(action: Action, does: str, explanation: str) -> None:
    """Add the command of one action to the group."""

    @requests.command(str(action), short_help=does, help=explanation)
    @click.argument("request_id", metavar="ID", type=REQUEST)
    @click.option(
        "--note", type=NOTE, required=True, help="Why: one sentence, kept with the request."
    )
    @json_option
    def command(*, request_id: str, note: str, as_json: bool) -> None:
        _act(action, RequestId(request_id), note, as_json=as_json)


_action(
    Action.APPROVE,
    "Put a request in review back on hold.",
    "Put a request that is in review back on hold: the rule that stopped it is waived, and it goes "
    "out when the balance covers it.",
)
_action(
    Action.RELEASE,
    "Send a request now, covered or not.",
    "Send a request now, covered or not: what the connected account can't pay, the platform pays. "
    "The next release run sends it.",
)
_action(
    Action.CANCEL,
    "Withdraw a request before it is sent.",
    "Withdraw a request before anything was sent to Stripe.",
)
_action(
    Action.CLOSE,
    "End a request that needs no refund any more.",
    "End a request because the buyer was paid another way, or it is given up.",
)


def _act(action: Action, request: RequestId, note: str, *, as_json: bool) -> None:
    with open_desk(load_settings()) as services:
        act(services, action, request, note=note, actor=actor())
        view = show_request(services.database, request)
    if as_json:
        print_json(view)
        return
    stderr().print(Text(_DONE[action]))
    stdout().print(render_request(view, with_steps=False))


_DONE = {
    Action.APPROVE: "Approved: it is on hold again and goes out when the balance covers it.",
    Action.RELEASE: "Released: the next release run sends it, covered or not.",
    Action.CANCEL: "Canceled: it will not be sent.",
    Action.CLOSE: "Closed: it will not be sent.",
}


def _print_list(views: list[RequestView], *, has_more: bool) -> None:
    if not views:
        stderr().print(Text("No refund request matches."))
        return
    stdout().print(table("Refund requests", _COLUMNS, [_row(view) for view in views]))
    if has_more:
        last = views[-1]["id"]
        stderr().print(Text(f"There are older ones: add --starting-after {last}"))


_COLUMNS = ("id", "status", "amount", "account", "shortfall", "created", "why")


def _row(view: RequestView) -> tuple[Any, ...]:
    need, decision = view["need"], view["decision"]
    shortfall = None if need is None else view["shortfall"] or None
    return (
        view["id"],
        coloured(view["status"]),
        money(view["amount"], view["currency"]),
        view["account"] or "platform",
        money(shortfall, need["currency"] if need else None),
        moment(view["created"]),
        NOTHING if decision is None else decision["why"],
    )
