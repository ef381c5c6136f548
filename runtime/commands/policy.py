"""`sluice policy`: which rules hold, for whom, and whether the file that says so is right.

It may not change a policy: the file is the operator's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.text import Text

from refunds.ids import AccountId
from refunds.policy import PolicyBook
from refunds.policy_text import plain_policy, plain_value, toml_line
from runtime.bootstrap import open_database
from runtime.commands.arguments import ACCOUNT, json_option
from runtime.display import plain, print_json, stderr, stdout
from runtime.policy_file import PolicyFile, load_policy
from runtime.settings import Settings, load_settings
from store.accounts import tier_of


@click.group()
def policy() -> None:
    """Show the policy that holds, or check a policy file.

    The policy is one TOML file, named by SLUICE_POLICY_FILE; without it the built-in policy holds,
    which costs the platform nothing. README.md explains each key.

    \b
      sluice policy show > policy.toml                     begin with what holds now
      SLUICE_POLICY_FILE=policy.toml sluice policy check   check it before it is used
      sluice policy show --account acct_1NhX...            what holds for one account, and why

    A running worker keeps the policy it began with: restart it after a change.
    """


@policy.command()
@click.option(
    "--account",
    type=ACCOUNT,
    metavar="ACCT",
    help="The policy that holds for this connected account, and where each key comes from.",
)
@json_option
def show(*, account: str | None, as_json: bool) -> None:
    """Show the policy that holds, as TOML.

    Every key is there; a remark behind a key says that nobody wrote it down.
    """
    settings = load_settings()
    loaded = load_policy(settings.sluice_policy_file)
    if account is not None:
        _show_account(settings, loaded.book, AccountId(account), as_json=as_json)
    elif as_json:
        print_json(_object(loaded))
    else:
        _print(_file_lines(loaded.book))


@policy.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check the policy file: its form, every key and every value.

    Exits with 1 and names the line of the first mistake. Remarks on what is right, but has no
    effect, are no mistakes.
    """
    loaded = load_policy(load_settings().sluice_policy_file)
    if as_json:
        print_json(
            {
                "object": "policy_check",
                "ok": True,
                "file": None if loaded.path is None else str(loaded.path),
                "remarks": list(loaded.remarks),
            }
        )
        return
    for remark in loaded.remarks:
        stdout().print(Text("! ", style="yellow") + Text(plain(remark)), soft_wrap=True)
    words = (
        "SLUICE_POLICY_FILE is not set: the built-in policy holds."
        if loaded.path is None
        else f"{loaded.path} is a policy."
    )
    stdout().print(Text(plain(words), style="green"), soft_wrap=True)


def _show_account(
    settings: Settings, book: PolicyBook, account: AccountId, *, as_json: bool
) -> None:
    with open_database(settings) as database, database.reading() as unit:
        tier = tier_of(unit, account)
    keys = plain_policy(book.policy_for(account, tier))
    sources = book.sources_for(account, tier)
    if as_json:
        print_json(
            {
                "object": "account_policy",
                "account": account,
                "risk": tier,
                "policy": keys,
                "sources": sources,
            }
        )
        return
    if tier is not None and tier not in book.tiers:
        stderr().print(Text(f"The policy has no section [risk.{tier}]: the default holds."))
    _print(
        [
            f"# what holds for {account}, {f'risk tier {tier}' if tier else 'in no risk tier'}",
            *(f"{toml_line(key, value)}  # {sources[key]}" for key, value in keys.items()),
        ]
    )


def _file_lines(book: PolicyBook) -> Iterator[str]:
    sources = book.sources_for(None, None)
    yield "[default]"
    for key, value in plain_policy(book.policy_for(None, None)).items():
        remark = "" if sources[key] == "default" else f"  # {sources[key]}"
        yield toml_line(key, value) + remark
    for kind, sections in (("risk", book.tiers), ("accounts", book.accounts)):
        for name, written in sections.items():
            yield ""
            yield f"[{kind}.{name}]"
            yield from (toml_line(key, plain_value(value)) for key, value in written.items())


def _object(loaded: PolicyFile) -> dict[str, object]:
    book = loaded.book
    return {
        "object": "policy",
        "file": None if loaded.path is None else str(loaded.path),
        "default": plain_policy(book.policy_for(None, None)),
        "risk": {tier: _plain(written) for tier, written in book.tiers.items()},
        "accounts": {account: _plain(written) for account, written in book.accounts.items()},
    }


def _plain(written: Mapping[str, Any]) -> dict[str, object]:
    return {key: plain_value(value) for key, value in written.items()}


def _print(lines: Iterator[str] | list[str]) -> None:
    console = stdout()
    for line in lines:
        console.print(Text(line), soft_wrap=True)
