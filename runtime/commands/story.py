"""One refund request with its whole story: what was decided and why, tried, moved and by whom.

It may not decide or change anything; every line is a stored row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from handlers.view import RequestView, view_request
from refunds.ids import RequestId
from refunds.stripe_pending import StripePending
from runtime.commands.stripe_pending import one_sentence
from runtime.display import NOTHING, coloured, facts, moment, money, table
from store.attempts import attempts_of, calls_of, steps_of
from store.database import Unit
from store.installation import actions_on
from store.ledger import entries_of
from store.observations import refunds_of_request
from store.requests import evaluations_of, get_request, waivers_of
from store.stripe_pending import stripe_pending
from store.tables.attempts import AttemptStep, ReleaseAttempt, StepCallRow
from store.tables.installation import OperatorAction
from store.tables.ledger import LedgerEntry
from store.tables.observations import Refund
from store.tables.requests import EvaluationRow, Mode, Waiver

_REFUNDS_OF_A_REQUEST: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One release attempt with its steps and every call made for them."""

    attempt: ReleaseAttempt
    steps: Sequence[AttemptStep]
    calls: Sequence[StepCallRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything stored about one request."""

    view: RequestView
    at: datetime
    """When it was looked at."""
    created: datetime
    actor: str
    key: str
    decisions: Sequence[EvaluationRow]
    attempts: Sequence[Tried]
    refunds: Sequence[Refund]
    entries: Sequence[LedgerEntry]
    actions: Sequence[OperatorAction]
    waivers: Sequence[Waiver]
    held_by_stripe: Sequence[StripePending]


def load_story(unit: Unit, request: RequestId, now: datetime) -> Story:
    """Return a request's story; raise `RequestNotFoundError`."""
    row = get_request(unit, request)
    return Story(
        view=view_request(unit, request),
        at=now,
        created=row.created,
        actor=row.actor,
        key=row.idempotency_key,
        decisions=evaluations_of(unit, request),
        attempts=[
            Tried(
                attempt=attempt,
                steps=steps_of(unit, attempt.id),
                calls=calls_of(unit, attempt.id),
            )
            for attempt in attempts_of(unit, request)
        ],
        refunds=refunds_of_request(unit, request),
        entries=entries_of(unit, request),
        actions=actions_on(unit, request),
        waivers=waivers_of(unit, request),
        held_by_stripe=stripe_pending(unit, request=request, limit=_REFUNDS_OF_A_REQUEST),
    )


def render_request(
    view: RequestView, *extra: tuple[str, str], with_steps: bool = True
) -> RenderableType:
    """Return the request as it stands: what it is, what was decided, why, what a person can do."""
    need, decision = view["need"], view["decision"]
    need_currency = None if need is None else need["currency"]
    buffer = need["fx_buffer"] if need else 0
    steps = view["next_steps"] if with_steps else []
    decided = "Stripe could not be asked yet; it is decided as soon as it can be"
    return facts(
        view["id"] or "Preview: nothing is recorded",
        [
            ("status", coloured(view["status"])),
            ("amount", money(view["amount"], view["currency"])),
            ("where", _buckets(view)),
            (
                "payment",
                " / ".join(part for part in (view["payment_intent"], view["charge"]) if part),
            ),
            ("kind", view["charge_type"]),
            ("account", view["account"] or "none: the platform's own payment"),
            ("need", None if need is None else money(need["amount"], need_currency)),
            ("FX buffer", money(buffer, need_currency) if buffer else None),
            ("spendable", None if need is None else money(view["spendable"], need_currency)),
            ("shortfall", None if need is None else money(view["shortfall"], need_currency)),
            ("why", decided if decision is None else decision["why"]),
            ("rule", None if decision is None else f"{decision['rule']} → {decision['outcome']}"),
            *(("next step", step) for step in steps),
            ("refunds", ", ".join(view["refunds"]) or None),
            ("expected", _expected(view)),
            ("deadline", None if view["deadline"] is None else moment(view["deadline"])),
            ("reason", view["reason"]),
            *((f"metadata {name}", value) for name, value in view["metadata"].items()),
            ("mode", None if view["mode"] == Mode.LIVE else "shadow: decided, never sent"),
            ("Stripe", "live mode" if view["livemode"] else "test mode"),
            ("created", moment(view["created"])),
            *extra,
        ],
    )


def _expected(view: RequestView) -> str | None:
    if view["eta"] is None:
        return None
    return f"{moment(view['eta'])}, {view['eta_confidence']}, from what is pending today"


def render_standing(story: Story) -> RenderableType:
    """Return the request as it stands, with who asked and what Stripe itself holds of it."""
    return render_request(
        story.view,
        ("asked for by", story.actor),
        ("idempotency key", story.key),
        *(("held by Stripe", one_sentence(each, story.at)) for each in story.held_by_stripe),
    )


def render_books(story: Story) -> Iterator[RenderableType]:
    """Yield a table for what is kept of a request beside its history: refunds, ledger, waivers."""
    for part in (_refunds(story), _entries(story), _waivers(story)):
        if part is not None:
            yield part


def _buckets(view: RequestView) -> str | None:
    amounts = view["amounts"]
    if list(amounts) == [view["status"]]:
        return None
    return ", ".join(f"{money(m, view['currency'])} {b}" for b, m in amounts.items()) or None


def _refunds(story: Story) -> RenderableType | None:
    rows = [
        (
            row.id,
            coloured(row.status),
            money(row.amount_minor, row.currency),
            row.reversal or NOTHING,
            row.failure_reason or row.pending_reason or NOTHING,
            moment(row.created),
            moment(row.read_at),
        )
        for row in story.refunds
    ]
    columns = ("refund", "status", "amount", "reversal", "Stripe's reason", "created", "last read")
    return table("Refunds at Stripe", columns, rows) if rows else None


def _entries(story: Story) -> RenderableType | None:
    rows = [
        (
            moment(row.at),
            Text.assemble(str(row.from_bucket), " → ", coloured(row.to_bucket)),
            money(row.amount_minor, row.currency),
            row.cause,
            row.actor,
            row.why,
        )
        for row in story.entries
    ]
    columns = ("moved", "from → to", "amount", "cause", "by", "why")
    return table("Ledger", columns, rows) if rows else None


def _waivers(story: Story) -> RenderableType | None:
    rows = [
        (
            moment(row.created),
            row.actor,
            row.rule,
            money(row.amount_minor, row.currency),
            row.note,
            moment(row.used_at) if row.used_at else "not yet",
        )
        for row in story.waivers
    ]
    return (
        table("Waivers", ("given", "by", "rule", "amount", "note", "used"), rows) if rows else None
    )
