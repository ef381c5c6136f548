"""`sluice audit` and `sluice reconcile`: are our books in order, and do they agree with Stripe's?

It may not correct a book by overwriting; reconcile appends, audit only reads.
"""

import click
from rich.text import Text

from handlers.reconcile import Reconciled
from handlers.reconcile import reconcile as reconcile_all
from refunds.invariants import violations
from runtime.bootstrap import open_database, open_services
from runtime.commands.arguments import json_option
from runtime.display import plain, print_json, stderr, stdout
from runtime.settings import load_settings
from store.reports import load_books

_REPORT_EVERY: int = 1_000
"""Without a terminal, a line of progress for so many."""


@click.command()
@json_option
def audit(*, as_json: bool) -> None:
    """Check every invariant over all books: is each cent in one place, was nothing sent twice?

    Reads one moment of the database and changes nothing. Exits with 1 and names each violation if
    there is one.
    """
    found: list[str] = []
    requests = refunds = charges = 0
    say = stderr()
    with (
        open_database(load_settings()) as database,
        database.reading() as unit,
        say.status(Text("Reading the books")) as spinner,
    ):
        for books in load_books(unit):
            found += violations(books)
            before = requests
            requests += len(books.requests)
            refunds += len(books.refunds)
            charges += len(books.charges)
            words = f"{requests} requests checked"
            spinner.update(Text(words))
            if not say.is_terminal and requests // _REPORT_EVERY > before // _REPORT_EVERY:
                say.print(Text(words))
    counted = {"requests": requests, "refunds": refunds, "charges": charges}
    if as_json:
        print_json({"object": "audit", "ok": not found, **counted, "violations": found})
    else:
        _print_audit(found, counted)
    click.get_current_context().exit(1 if found else 0)


def _print_audit(found: list[str], counted: dict[str, int]) -> None:
    console = stdout()
    for violation in found:
        console.print(Text("! ", style="bold red") + Text(plain(violation)), soft_wrap=True)
    scope = ", ".join(f"{count} {name}" for name, count in counted.items())
    if found:
        console.print(Text(f"{len(found)} violations in {scope}.", style="red"))
        stderr().print(
            Text(
                "Next:  Stop the workers, compare the requests named above with Stripe "
                "(sluice requests ID), then run: sluice reconcile"
            )
        )
    else:
        console.print(Text(f"In order: {scope}.", style="green"))


@click.command()
@json_option
def reconcile(*, as_json: bool) -> None:
    """Compare our books with Stripe's and append what is missing.

    Lists the refunds of every payment whose business is unfinished. Safe at any time, beside
    workers. Exits with 1 if Stripe could not be asked about every payment.
    """
    say = stderr()
    with (
        open_services(load_settings()) as services,
        say.status(Text("Asking Stripe")) as spinner,
    ):

        def on_progress(charges: int) -> None:
            words = f"{charges} payments compared"
            spinner.update(Text(words))
            if not say.is_terminal and charges % _REPORT_EVERY == 0:
                say.print(Text(words))

        done = reconcile_all(services, on_progress=on_progress)
    if as_json:
        print_json(
            {
                "object": "reconciliation",
                "complete": done.complete,
                "charges": done.charges,
                "refunds": done.refunds,
                "corrected": done.corrected,
                "unreadable": done.unreadable,
            }
        )
    else:
        _print_reconciled(done)
    click.get_current_context().exit(0 if done.complete else 1)


def _print_reconciled(done: Reconciled) -> None:
    words = (
        f"{done.charges} payments compared with Stripe, {done.refunds} refunds seen there, "
        f"{done.corrected} corrections appended."
    )
    stdout().print(Text(words))
    if not done.complete:
        stderr().print(
            Text(
                f"Not complete: Stripe did not answer for {done.unreadable} payments or stopped "
                "answering. Next: run it again in a few minutes."
            )
        )
