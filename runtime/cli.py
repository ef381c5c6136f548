"""`sluice`: the project's commands, by name.

It may not do anything itself; each command lives in `runtime/commands/` and is imported when it is
called, because the libraries behind the work take a second to load and `--help` should not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import click

from refunds.errors import SluiceError


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command lives, and what it does in a few words."""

    module: str
    does: str


COMMANDS: Final[Mapping[str, _Place]] = {
    "demo": _Place("development", "Watch a refund being held, and released when it is covered."),
    "sandbox": _Place("development", "Serve a local Stripe with Connect balances."),
    "serve": _Place("service", "Run the web and a worker together."),
    "worker": _Place("service", "Process events, release what is covered, until SIGTERM."),
    "migrate": _Place("service", "Bring the database to the newest schema."),
    "refund": _Place("refund", "Ask for a refund of a payment."),
    "requests": _Place("requests", "List refund requests, show one, or act on one."),
    "accounts": _Place("accounts", "Show how connected accounts stand; set a risk tier."),
    "status": _Place("status", "Show how the installation stands, and what needs somebody."),
    "events": _Place("events", "Look into the inbox of Stripe's events; requeue dead letters."),
    "policy": _Place("policy", "Show the policy that holds, or check a policy file."),
    "recovery": _Place("recovery", "Show what accounts owe; pause and resume taking it back."),
    "notify": _Place("notify", "Tell people and systems; try the channels, bring back dead ones."),
    "export": _Place("export", "Write the facts of a period as CSV, for the month-end close."),
    "audit": _Place("books", "Check every invariant over all books."),
    "reconcile": _Place("books", "Compare our books with Stripe's and append what is missing."),
}


class _Sluice(click.Group):
    """The group of all commands, which are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order in which one meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; `None` if there is none of this name."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(
            import_module(f"runtime.commands.{place.module}"), cmd_name
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.does) for name, place in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn an error that was foreseen into lines for a person."""
        try:
            return super().invoke(ctx)
        except SluiceError as error:
            from runtime.commands.failures import failure_of

            raise failure_of(error, ctx) from error


@click.group(
    cls=_Sluice, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(version("sluice"), prog_name="sluice")
def main() -> None:
    """Refunds for Stripe Connect platforms, sent when the connected account can pay.

    A refund whose connected account is short is held, with the reason, and released exactly once
    when the balance covers it.

    \b
      sluice demo                       see it happen; needs no key
      sluice migrate && sluice serve    run it
      sluice refund pi_3Nx... --wait    ask for a refund
      sluice requests                   what became of them
      sluice status                     is everything well?

    Each command explains itself: sluice refund --help

    Data goes to stdout, logs and remarks to stderr; --json prints the API's objects. Exit codes: 0
    done, 1 refused or something is wrong, 2 wrong usage. Settings come from the environment or from
    the file .env of the working directory: DATABASE_URL, STRIPE_API_KEY, STRIPE_WEBHOOK_SECRETS and
    others (README.md).
    """
    from runtime.logs import configure_logs

    # Long-running commands lower it again; a person who asks one question wants no diary.
    configure_logs("ERROR")


if __name__ == "__main__":
    main()
