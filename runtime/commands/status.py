"""`sluice status`: one look at the installation, and what in it needs somebody.

It may not repair anything or ask Stripe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import click
from rich.text import Text

from refunds.clock import utc_now
from refunds.facts import PlatformFacts
from refunds.lifecycle import Status
from refunds.money import Money
from refunds.shadow import summarise
from runtime.bootstrap import open_database
from runtime.commands.arguments import json_option
from runtime.commands.guards import (
    Guards,
    guards_object,
    guards_problem,
    guards_rows,
    guards_sentence,
    look_at_guards,
)
from runtime.commands.shadow import show_shadow
from runtime.commands.stripe_pending import (
    HeldByStripe,
    look_at_held_by_stripe,
    object_of,
    problem_of,
    rows_of,
    sentence_of,
)
from runtime.display import coloured, facts, moment, money, print_json, span, stdout, table
from runtime.health import WORKER_SILENT_AFTER
from runtime.settings import load_settings
from store.chores import list_chores
from store.database import Unit
from store.inbox import InboxCounts, counts
from store.installation import pinned_platform
from store.lanes import open_circuits
from store.receivers import list_receivers
from store.reports import counts_by_status, held_sums
from store.shadow import shadow_requests
from store.tables.inbox import InboxState
from store.tables.installation import Chore
from store.tables.lanes import CircuitRow
from store.tables.outbox import DispatchState
from store.tables.requests import Mode
from store.told import dispatch_counts
from store.workers import live_workers

LAG_WORTH_A_LOOK: Final = timedelta(minutes=1)
"""An event that waits longer than this means that the workers are away or can't keep up."""

_MODES: Final[Mapping[Mode, str]] = {
    Mode.LIVE: "live",
    Mode.SHADOW: "shadow: nothing is sent; see sluice status --shadow",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """The installation at one moment."""

    at: datetime
    mode: Mode
    platform: PlatformFacts | None
    inbox: InboxCounts
    workers: int
    chores: Sequence[Chore]
    held: Sequence[Money]
    requests: Mapping[Status, int]
    circuits: Sequence[CircuitRow]
    by_stripe: HeldByStripe
    undelivered: int
    """Notifications that were given up."""
    disabled: Sequence[str]
    """Receivers of notifications that said they were gone."""
    guards: Guards

    @property
    def lag(self) -> timedelta:
        """How long the oldest event has waited."""
        oldest = self.inbox.oldest_pending
        return timedelta(0) if oldest is None else max(timedelta(0), self.at - oldest)

    def problems(self) -> list[str]:
        """What is wrong, each with what to do."""
        found = []
        dead = self.inbox.by_state[InboxState.DEAD]
        if not self.workers:
            found.append("No worker is alive: nothing is released. Run: sluice worker")
        if self.lag > LAG_WORTH_A_LOOK:
            found.append(
                f"The oldest event has waited {span(self.lag)}: run a worker, or one more."
            )
        if dead:
            found.append(f"{dead} dead letters wait for a person: sluice events list --state dead")
        if self.undelivered:
            found.append(
                f"{self.undelivered} notifications were given up: sluice notify list --state dead"
            )
        found += [
            f"{receiver} gets no notifications: sluice notify enable {receiver}"
            for receiver in self.disabled
        ]
        found += [
            f"Stripe is not asked ({row.scope}: {row.last_trouble}) before "
            f"{moment(row.open_until)}, when it is tried again."
            for row in self.circuits
        ]
        more = (problem_of(self.by_stripe, self.at), guards_problem(self.guards))
        return [*found, *(problem for problem in more if problem is not None)]


@click.command()
@click.option(
    "--shadow", is_flag=True, help="Report what shadow mode would have released, held and covered."
)
@json_option
def status(*, shadow: bool, as_json: bool) -> None:
    """Show how the installation stands, and what needs somebody.

    Exits with 1 if something is wrong: no worker alive, dead letters, an inbox that lags, Stripe
    not reachable, a refund that Stripe holds and is about to fail, a payout guard that somebody
    else changed. Requests in review wait for a person, which is no fault.

    \b
      sluice status              is everything well?
      sluice status --shadow     after a while with SLUICE_MODE=shadow: what would have happened?
    """
    settings = load_settings()
    with open_database(settings) as database, database.reading() as unit:
        if shadow:
            show_shadow(summarise(shadow_requests(unit)), as_json=as_json)
            return
        picture = _look(unit, settings.sluice_mode, utc_now())
    problems = picture.problems()
    if as_json:
        print_json(_object(picture, problems))
    else:
        _print(picture, problems)
    click.get_current_context().exit(1 if problems else 0)


def _look(unit: Unit, mode: Mode, now: datetime) -> _Picture:
    return _Picture(
        at=now,
        mode=mode,
        platform=pinned_platform(unit),
        inbox=counts(unit),
        workers=live_workers(unit, now, within=WORKER_SILENT_AFTER),
        chores=list_chores(unit),
        held=held_sums(unit, mode),
        requests=counts_by_status(unit, mode),
        circuits=open_circuits(unit, now),
        by_stripe=look_at_held_by_stripe(unit),
        undelivered=dispatch_counts(unit)[DispatchState.DEAD],
        disabled=[row.receiver for row in list_receivers(unit) if row.disabled_at is not None],
        guards=look_at_guards(unit),
    )


def _object(picture: _Picture, problems: list[str]) -> dict[str, object]:
    platform = picture.platform
    return {
        "object": "status",
        "mode": picture.mode,
        "platform": None
        if platform is None
        else {"account": platform.account, "livemode": platform.livemode},
        "workers": picture.workers,
        "inbox": {
            **{str(state): count for state, count in picture.inbox.by_state.items()},
            "lag_seconds": int(picture.lag.total_seconds()),
        },
        "requests": {str(status): count for status, count in picture.requests.items()},
        "held": [{"amount": sum_.amount_minor, "currency": sum_.currency} for sum_ in picture.held],
        "held_by_stripe": object_of(picture.by_stripe, picture.at),
        "payout_guards": guards_object(picture.guards),
        "circuits": [
            {
                "scope": row.scope,
                "trouble": row.last_trouble,
                "open_until": None if row.open_until is None else int(row.open_until.timestamp()),
            }
            for row in picture.circuits
        ],
        "chores": [
            {
                "name": row.name,
                "finished": None if row.finished_at is None else int(row.finished_at.timestamp()),
                "note": row.note,
            }
            for row in picture.chores
        ],
        "problems": problems,
    }


def _print(picture: _Picture, problems: list[str]) -> None:
    console = stdout()
    platform, inbox = picture.platform, picture.inbox
    whose = (
        "not known yet: the first worker asks Stripe"
        if platform is None
        else f"{platform.account} ({'live' if platform.livemode else 'test'} mode)"
    )
    lag = f", the oldest for {span(picture.lag)}" if inbox.oldest_pending else ""
    console.print(
        facts(
            "Sluice",
            [
                ("mode", _MODES[picture.mode]),
                ("platform", whose),
                ("workers alive", picture.workers),
                ("events waiting", f"{inbox.by_state[InboxState.PENDING]}{lag}"),
                ("dead letters", inbox.by_state[InboxState.DEAD]),
                ("on hold", ", ".join(map(_sum, picture.held)) or "nothing"),
                ("held by Stripe", sentence_of(picture.by_stripe, picture.at)),
                ("payout guards", guards_sentence(picture.guards)),
                ("in review", _in_review(picture.requests[Status.REVIEW])),
            ],
        )
    )
    present = [(coloured(s), count) for s, count in picture.requests.items() if count]
    if present:
        console.print()
        console.print(table("Refund requests", ("status", "how many"), present))
    if picture.by_stripe.first:
        console.print()
        console.print(rows_of(picture.by_stripe, picture.at))
    if picture.guards.without_effect:
        console.print()
        console.print(guards_rows(picture.guards))
    if picture.chores:
        console.print()
        rows = [(row.name, moment(row.finished_at), row.note or "") for row in picture.chores]
        console.print(table("By the clock", ("chore", "last done", "result"), rows))
    console.print()
    for problem in problems:
        console.print(Text("! ", style="bold red") + Text(problem))
    if not problems:
        console.print(Text("Nothing is wrong.", style="green"))


def _in_review(count: int) -> str:
    return f"{count}, for a person to decide: sluice requests --status review" if count else "none"


def _sum(held: Money) -> str:
    return money(held.amount_minor, held.currency)
