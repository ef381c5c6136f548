"""`sluice recovery`: what accounts owe after uncovered releases, and whether it is taken back.

It may not ask Stripe anything or take anything back itself; a worker does.
"""

from collections.abc import Sequence

import click
from rich.text import Text

from handlers.accounts import AmountView
from handlers.recovery_pause import pause_recovery, resume_recovery
from handlers.recovery_view import DebtView, view_debt, view_pause
from handlers.services import Services
from refunds.ids import AccountId
from runtime.bootstrap import open_desk
from runtime.commands.arguments import ACCOUNT, NOTE, actor, json_option, limit_option
from runtime.display import NOTHING, moment, money, print_json, stderr, stdout, table
from runtime.settings import load_settings
from store.recovery_figures import accounts_concerned
from store.recovery_switch import pause_of_all


@click.group()
def recovery() -> None:
    """Show what accounts owe; pause and resume taking it back.

    After a release that the account didn't cover, the platform stands in for the rest. Sluice takes
    it back by reversing the original transfer as the account's balance allows.

    \b
      sluice recovery list
      sluice recovery pause acct_1NhX... --note "they pay by invoice"
      sluice recovery resume acct_1NhX... --note "the invoice was not paid"
      sluice recovery pause --note "all accounts, while we look into it"
    """


@recovery.command("list", short_help="List what accounts owe, and why it waits.")
@click.option(
    "--starting-after", type=ACCOUNT, metavar="ID", help="Only accounts after this id: a page on."
)
@limit_option
@json_option
def list_command(*, starting_after: str | None, limit: int, as_json: bool) -> None:
    """List accounts that owe something, and those from which recovery is paused.

    Exposed is what the platform still stands in for, recovered what came back so far.
    """
    after = None if starting_after is None else AccountId(starting_after)
    with open_desk(load_settings()) as services, services.database.reading() as unit:
        ids = accounts_concerned(unit, after, limit + 1)
        views = [view_debt(services, unit, account) for account in ids[:limit]]
        switch = pause_of_all(unit)
        paused = None if switch is None else view_pause(switch)
    has_more = len(ids) > limit
    if as_json:
        page = {"object": "list", "url": "/api/recovery", "has_more": has_more, "data": views}
        print_json({**page, "paused": paused})
        return
    if paused is not None:
        since = moment(paused["at"])
        stderr().print(
            Text(f"All recovery is paused since {since} by {paused['by']}: {paused['note']}")
        )
    if not views:
        stderr().print(Text("No account owes anything."))
        return
    stdout().print(table("What accounts owe", _COLUMNS, [_row(view) for view in views]))
    if has_more:
        stderr().print(Text(f"There are more: add --starting-after {views[-1]['account']}"))


@recovery.command("pause", short_help="Stop taking back, from one account or from all.")
@click.argument("account", metavar="[ACCOUNT]", type=ACCOUNT, required=False)
@click.option("--note", type=NOTE, required=True, help="Why: one sentence, which is kept.")
@json_option
def pause_command(*, account: str | None, note: str, as_json: bool) -> None:
    """Stop taking back what an account owes, or without one what all accounts owe.

    A reversal that was asked for already is followed until its outcome is known.
    """
    with open_desk(load_settings()) as services:
        chosen = None if account is None else AccountId(account)
        pause_recovery(services, chosen, note=note, actor=actor())
        _say(services, chosen, as_json=as_json)


@recovery.command("resume", short_help="Take back again, from one account or from all.")
@click.argument("account", metavar="[ACCOUNT]", type=ACCOUNT, required=False)
@click.option("--note", type=NOTE, required=True, help="Why: one sentence, which is kept.")
@json_option
def resume_command(*, account: str | None, note: str, as_json: bool) -> None:
    """Take back again what an account owes, or without one what all accounts owe.

    An account that was paused by itself stays so until it is resumed by itself.
    """
    with open_desk(load_settings()) as services:
        chosen = None if account is None else AccountId(account)
        resume_recovery(services, chosen, note=note, actor=actor())
        _say(services, chosen, as_json=as_json)


def _say(services: Services, account: AccountId | None, *, as_json: bool) -> None:
    """Say how it stands now, which another switch may decide."""
    with services.database.reading() as unit:
        switch = pause_of_all(unit)
        view = None if account is None else view_debt(services, unit, account)
    paused = None if switch is None else view_pause(switch)
    if as_json:
        print_json({"object": "recovery_switch", "paused": paused} if view is None else view)
    elif view is not None:
        stdout().print(table("What it owes", _COLUMNS, [_row(view)]))
    elif paused is None:
        stderr().print(Text("Recovery goes on, but from accounts that were paused by themselves."))
    else:
        stderr().print(Text("Recovery is paused for all accounts: sluice recovery list"))


_COLUMNS = ("account", "exposed", "recovered", "next try", "waits for", "why")


def _row(view: DebtView) -> tuple[object, ...]:
    next_try = view["next_try"]
    return (
        view["account"],
        _sums(view["exposed"]) or NOTHING,
        _sums(view["recovered"]) or NOTHING,
        NOTHING if next_try is None else moment(next_try),
        view["waits_for"],
        view["why"],
    )


def _sums(amounts: Sequence[AmountView]) -> str:
    return ", ".join(money(each["amount"], each["currency"]) for each in amounts)
