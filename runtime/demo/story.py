"""The demo's story, told while it happens: requested, held, money arrives, released, succeeded.

It may not move a refund along itself: it asks, brings money to the account, and watches.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from handlers.view import RequestView, view_request
from refunds.clock import utc_now
from refunds.invariants import violations
from refunds.lifecycle import Status
from runtime.demo.stage import DemoError, Stage
from runtime.demo.timeline import print_timeline, read_timeline
from runtime.demo.world import (
    ALSO_PAID_MINOR,
    CURRENCY,
    LEFT_MINOR,
    PAID_MINOR,
    World,
    bring_money,
    build_world,
)
from runtime.display import money
from store.database import Database
from store.reports import load_books

Say = Callable[[str], None]

_RELEASE_SECONDS: Final = 60.0
_BROKEN: Final = frozenset({Status.REVIEW, Status.REJECTED, Status.FAILED, Status.CANCELED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is when the story has ended."""

    world: World
    request: str


def tell(stage: Stage, console: Console, say: Say) -> Told:
    """Tell the story and print its timeline; raise `SluiceError` where it takes another turn."""
    say("Registering webhook endpoints; buyers pay, and the connected account is paid out")
    world = build_world(stage.sandbox_url, stage.web_url, stage.secret)
    paid, left = money(PAID_MINOR, CURRENCY), money(LEFT_MINOR, CURRENCY)
    say(f"A buyer wants {paid} back; {world.account} has {left} left")
    say(f"Asking for it: sluice refund {world.payment}")
    view: RequestView = json.loads(stage.sluice("refund", world.payment, "--json"))
    _check_held(view)
    _say_held(view, say)

    arriving = PAID_MINOR - LEFT_MINOR
    say(f"{money(arriving, CURRENCY)} arrive in {world.account}; Stripe sends balance.available")
    arrived = utc_now()
    bring_money(stage.sandbox_url, world.account, arriving)
    request = str(view["id"])
    with _opened(stage) as database:
        stage.wait_until(
            "the refund to succeed", lambda: _succeeded(database, request), _RELEASE_SECONDS
        )
        say("Released, and succeeded at Stripe")
        with database.reading() as unit:
            timeline = read_timeline(unit, request, world.account, arrived)
            found = [each for books in load_books(unit) for each in violations(books)]
    if found:
        raise DemoError(f"the books are not in order: {'; '.join(found)}")
    say("The books are in order: every minor unit is in one place, one refund was sent")
    console.print()
    print_timeline(console, timeline)
    console.print()
    return Told(world=world, request=request)


def _check_held(view: RequestView) -> None:
    if view["status"] != Status.HELD:
        raise DemoError(f"the request should be held and is {view['status']}: {view['decision']}")


def _say_held(view: RequestView, say: Say) -> None:
    need, decision = view["need"], view["decision"]
    assert need is not None, "a held request has a need"
    assert decision is not None, "a held request was decided"
    currency = need["currency"]
    say(
        f"Held: need {money(need['amount'], currency)}, "
        f"spendable {money(view['spendable'], currency)}, "
        f"shortfall {money(view['shortfall'], currency)}"
    )
    say(f"Why: {decision['why']}")


@contextmanager
def _opened(stage: Stage) -> Iterator[Database]:
    database = Database(stage.database_url)
    try:
        yield database
    finally:
        database.dispose()


def _succeeded(database: Database, request: str) -> bool | None:
    with database.reading() as unit:
        view = view_request(unit, request)
    if view["status"] in _BROKEN:
        raise DemoError(f"the request is {view['status']}: {view['decision']}")
    return True if view["status"] == Status.SUCCEEDED else None


def invite(stage: Stage, told: Told, console: Console) -> None:
    """Print where everything is, and commands that work as printed while it serves on."""
    world, amount = told.world, money(ALSO_PAID_MINOR, CURRENCY)
    earn = f"{stage.sandbox_url}/_sandbox/accounts/{world.account}/earn"
    lines = (
        "Still serving. Ctrl-C stops, and removes everything.",
        f"  web       {stage.web_url} (/healthz, /readyz, POST /webhooks/stripe)",
        f"  sandbox   {stage.sandbox_url} (/_sandbox/state shows all of this Stripe)",
        f"  database  {stage.database_url}",
        "",
        "To try in another terminal, from this folder:",
        f"  {stage.as_typed('requests', told.request)}",
        f"  {stage.as_typed('status')}",
        f"  {stage.as_typed('refund', world.other_payment)}",
        "",
        f"The last one is held, too: it needs {amount}, and nothing is left. Bring the money, and",
        "see it go out (sluice requests):",
        f"  curl -X POST {earn} -d '{{\"amount\": {ALSO_PAID_MINOR}}}'",
        "",
    )
    for line in lines:
        # Never folded: a command that is cut in two can't be copied.
        console.print(Text(line), soft_wrap=True)
