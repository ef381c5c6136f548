"""`sluice refund`: ask for a refund, see what is decided and why, and wait for it if wanted.

It may not send a refund to Stripe; the worker's release run does.
"""

import time
from typing import Final

import click
from rich.text import Text

from handlers.intake import take_in
from handlers.preview import preview
from handlers.services import Services
from handlers.view import RequestView, view_request
from refunds.clock import monotonic_seconds, utc_now
from refunds.decision import Outcome
from refunds.ids import AccountId, RequestId, TransferId, mint
from refunds.lifecycle import Status
from refunds.wish import TransferWish, Wish
from runtime.bootstrap import open_services
from runtime.commands.arguments import (
    ACCOUNT,
    KEY,
    MINOR_UNITS,
    PAYMENT,
    TRANSFER,
    actor,
    json_option,
)
from runtime.commands.story import render_request
from runtime.display import print_json, stderr, stdout
from runtime.settings import load_settings
from store.tables.requests import Mode

WAIT_SECONDS: Final = 60.0
"""How long `--wait` waits; what is not done then goes on by itself."""
_LOOK_EVERY_SECONDS: Final = 0.2

_MOVING: Final = frozenset(
    {Status.REQUESTED, Status.HELD, Status.RELEASING, Status.REVERSED, Status.SUBMITTED}
)
"""A request in one of these goes on by itself."""


@click.command()
@click.argument("payment", type=PAYMENT, metavar="PAYMENT")
@click.option(
    "--amount",
    type=MINOR_UNITS,
    metavar="MINOR",
    help="How much, in minor units of the payment's currency (12.50 USD is 1250). Without it: "
    "whatever is left of the payment.",
)
@click.option(
    "--account",
    type=ACCOUNT,
    metavar="ACCT",
    help="The connected account a direct charge was made on.",
)
@click.option(
    "--transfer",
    "transfers",
    type=TRANSFER,
    multiple=True,
    help="Where a payment was split: a transfer to take back, and how much of it in minor units of "
    "its currency (without: its share). Once for each.",
)
@click.option(
    "--key",
    type=KEY,
    help="The idempotency key: the same key never refunds twice. Without it one is made, and "
    "printed, so that you can repeat the command safely.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be decided; record nothing.")
@click.option(
    "--wait",
    is_flag=True,
    help=f"Wait until the refund has succeeded or needs a person, at most {WAIT_SECONDS:.0f} s.",
)
@json_option
def refund(
    *,
    payment: str,
    amount: int | None,
    account: str | None,
    transfers: tuple[str, ...],
    key: str | None,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask for a refund of PAYMENT (pi_..., ch_... or py_...).

    It is recorded with its decision and answered at once: sent by the worker's next release run if
    the connected account's balance covers it, held with the reason if not. While Stripe is away it
    is recorded all the same, and decided as soon as Stripe answers.

    \b
      sluice refund pi_3Nx... --dry-run          what would happen?
      sluice refund pi_3Nx...                    all of it
      sluice refund ch_3Nx... --amount 1250      a part
      sluice refund pi_3Nx... --key order-1042   safe to repeat
      sluice refund pi_3Nx... --wait             until it has succeeded
      sluice refund pi_3Nx... --transfer tr_1Ab...:800 --transfer tr_1Cd...

    Exits with 1 if the wish is refused, or if --wait ends before the refund has succeeded (in
    shadow mode: before it would have been sent).
    """
    wish = Wish(
        payment=payment,
        amount_minor=amount,
        account=None if account is None else AccountId(account),
        transfers=tuple(map(_transfer_wish, transfers)),
    )
    if dry_run:
        if wait or key is not None:
            raise click.UsageError("--dry-run records nothing: leave out --key and --wait")
        with open_services(load_settings()) as services:
            view = preview(services, wish)
    else:
        with open_services(load_settings(), stripe_may_be_away=True) as services:
            view = _ask(services, wish, key)
            if wait:
                view = _wait(services, view)
    if as_json:
        print_json(view)
    else:
        stdout().print(render_request(view))
    done = _went_well(view) if wait else view["status"] != Status.REJECTED
    click.get_current_context().exit(0 if done else 1)


def _went_well(view: RequestView) -> bool:
    """Whether what was waited for has happened; in shadow mode, whether it would have."""
    decision = view["decision"]
    if view["mode"] == Mode.SHADOW and view["status"] == Status.CANCELED:
        return decision is not None and decision["outcome"] == Outcome.RELEASE
    return view["status"] == Status.SUCCEEDED


def _transfer_wish(text: str) -> TransferWish:
    transfer, _, amount = text.partition(":")
    return TransferWish(transfer=TransferId(transfer), amount_minor=int(amount) if amount else None)


def _ask(services: Services, wish: Wish, key: str | None) -> RequestView:
    say = stderr()
    if key is None:
        key = mint("cli", utc_now())
        # Before anything is recorded: whatever happens from here on, the person can repeat it.
        say.print(Text(f"Idempotency key: {key} (to repeat this safely, add --key {key})"))
    taken = take_in(services, wish, idempotency_key=key, actor=actor())
    if taken.replayed:
        say.print(Text("This key was used before: here is its request; nothing new is recorded."))
    with services.database.reading() as unit:
        return view_request(unit, taken.request)


def _wait(services: Services, view: RequestView) -> RequestView:
    """Poll until the request can't move on by itself, or the time is over."""
    request = view["id"]
    assert request is not None, "what was recorded has an id"
    say = stderr()
    deadline = monotonic_seconds() + WAIT_SECONDS
    said = None
    with say.status(Text("Waiting for the refund"), spinner="dots") as spinner:
        while view["status"] in _MOVING:
            if view["status"] != said:
                said = view["status"]
                words = _progress(view)
                spinner.update(Text(words))
                if not say.is_terminal:
                    say.print(Text(words))
            if monotonic_seconds() >= deadline:
                say.print(
                    Text(
                        f"Not done after {WAIT_SECONDS:.0f} s, and not lost: it goes on by itself. "
                        f"See how it stands: sluice requests {request}"
                    )
                )
                break
            time.sleep(_LOOK_EVERY_SECONDS)
            with services.database.reading() as unit:
                view = view_request(unit, RequestId(request))
    return view


def _progress(view: RequestView) -> str:
    why = view["decision"]["why"] if view["decision"] is not None else "Stripe is asked first."
    return f"{view['id']} is {view['status']}: {why}"
