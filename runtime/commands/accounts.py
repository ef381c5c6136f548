"""`sluice accounts`: how connected accounts stand in our books, and which risk tier each is in.

It may not ask Stripe anything: an operator must be able to look and act while Stripe is away.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import click
from rich.text import Text

from handlers.accounts import AccountView, AmountView, set_risk, view_account
from refunds.ids import AccountId
from runtime.bootstrap import open_database, open_desk
from runtime.commands.arguments import ACCOUNT, NOTE, TIER, actor, json_option, limit_option
from runtime.display import NOTHING, facts, moment, money, print_json, stderr, stdout, table
from runtime.settings import load_settings
from store.account_figures import accounts_after

_SHOW: Final = "show"


class _Accounts(click.Group):
    """A group that also takes an id where a command's name is expected."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Read `accounts acct_…` as showing that account."""
        if args and args[0].startswith("acct_"):
            return _SHOW, self.get_command(ctx, _SHOW), args
        return super().resolve_command(ctx, args)


@click.group(cls=_Accounts, invoke_without_command=True, subcommand_metavar="[ID | risk ID TIER]")
@click.option(
    "--starting-after", type=ACCOUNT, metavar="ID", help="Only accounts after this id: a page on."
)
@limit_option
@json_option
@click.pass_context
def accounts(
    context: click.Context, *, starting_after: str | None, limit: int, as_json: bool
) -> None:
    """List connected accounts, show one, or put one into a risk tier.

    \b
      sluice accounts                              those that Sluice knows, by id
      sluice accounts acct_1NhX...                 one: what waits, what is promised, what it owes
      sluice accounts risk acct_1NhX... high       the policy of [risk.high] holds for it
      sluice accounts risk acct_1NhX... none       it is in no tier any more
    """
    if context.invoked_subcommand is not None:
        return
    after = None if starting_after is None else AccountId(starting_after)
    with open_database(load_settings()) as database, database.reading() as unit:
        ids = accounts_after(unit, after, limit + 1)
        views = [view_account(unit, account) for account in ids[:limit]]
    has_more = len(ids) > limit
    if as_json:
        print_json({"object": "list", "url": "/api/accounts", "has_more": has_more, "data": views})
    elif views:
        stdout().print(table("Connected accounts", _COLUMNS, [_row(view) for view in views]))
        if has_more:
            stderr().print(Text(f"There are more: add --starting-after {views[-1]['id']}"))
    else:
        stderr().print(Text("No connected account is known yet: none had a refund request."))


@accounts.command(_SHOW, hidden=True)
@click.argument("account", metavar="ID", type=ACCOUNT)
@json_option
def show(*, account: str, as_json: bool) -> None:
    """Show one connected account."""
    with open_database(load_settings()) as database, database.reading() as unit:
        view = view_account(unit, AccountId(account))
    if as_json:
        print_json(view)
    else:
        _print(view)


@accounts.command("risk")
@click.argument("account", metavar="ID", type=ACCOUNT)
@click.argument("tier", metavar="TIER", type=TIER)
@click.option("--note", type=NOTE, help="Why: one sentence, kept with the account.")
@json_option
def risk(*, account: str, tier: str, note: str | None, as_json: bool) -> None:
    """Put a connected account into a risk tier of the policy, or into none.

    TIER is a section [risk.…] of the policy file, or `none`. Deadlines of what waits are counted
    anew from creation, and the next release run judges by the new rules.
    """
    with open_desk(load_settings()) as services:
        set_risk(services, AccountId(account), tier, note=note or "", actor=actor())
        with services.database.reading() as unit:
            view = view_account(unit, AccountId(account))
    if as_json:
        print_json(view)
        return
    holds = "no risk tier" if view["risk"] is None else f"risk tier {view['risk']}"
    stderr().print(Text(f"{account} is in {holds}: sluice policy show --account {account}"))
    _print(view)


_COLUMNS = ("id", "standing", "risk", "open", "need", "exposure", "available", "read", "eta")


def _row(view: AccountView) -> tuple[object, ...]:
    balance = view["balance"]
    return (
        view["id"],
        view["standing"],
        view["risk"] or NOTHING,
        _open(view) or NOTHING,
        _sums(view["need"]) or NOTHING,
        _sums(view["exposure"]) or NOTHING,
        NOTHING if balance is None else _per_currency(balance["available"]),
        NOTHING if balance is None else moment(balance["at"]),
        _eta(view) or NOTHING,
    )


def _print(view: AccountView) -> None:
    balance = view["balance"]
    read = None if balance is None else f"as read {moment(balance['at'])}"
    stdout().print(
        facts(
            view["id"],
            [
                ("standing", view["standing"]),
                ("risk tier", view["risk"] or "none"),
                ("waiting or in review", _open(view) or "nothing"),
                ("need", _sums(view["need"]) or "nothing"),
                ("reserved", _sums(view["reserved"]) or "nothing"),
                ("exposure", _sums(view["exposure"]) or "none"),
                (
                    "available",
                    None if balance is None else f"{_per_currency(balance['available'])}, {read}",
                ),
                ("pending", None if balance is None else _per_currency(balance["pending"])),
                ("payout guard", _guard(view)),
                ("covered by", _eta(view)),
            ],
        )
    )


def _open(view: AccountView) -> str:
    return ", ".join(
        f"{money(each['amount'], each['currency'])} in {each['requests']}"
        f" request{'' if each['requests'] == 1 else 's'}"
        for each in view["open"]
    )


def _sums(amounts: Sequence[AmountView]) -> str:
    return ", ".join(money(each["amount"], each["currency"]) for each in amounts)


def _per_currency(amounts: Mapping[str, int]) -> str:
    return ", ".join(money(minor, currency) for currency, minor in amounts.items()) or "nothing"


def _guard(view: AccountView) -> str:
    guard = view["guard"]
    if guard is None:
        return "none"
    held = [
        f"{each['setting']}: {_setting(each['setting'], each['written'])}"
        f" instead of {_setting(each['setting'], each['own'])}"
        for each in guard["settings"]
    ]
    stands = ", ".join([f"{guard['state']} since {moment(guard['since'])}", *held])
    return f"{stands}. {guard['why']}".strip()


def _setting(setting: str, value: int | str | None) -> str:
    if value is None:
        return "none"
    return money(value, setting) if isinstance(value, int) else value


def _eta(view: AccountView) -> str | None:
    return None if view["eta"] is None else f"{moment(view['eta'])} ({view['eta_confidence']})"
