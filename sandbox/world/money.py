"""Moving money: every leg on an account becomes a balance transaction, every movement balances.

It may not decide who owes what; the verbs do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from sandbox.shapes import AccountId, JsonObject
from sandbox.world.books import Entry, Line, Party
from sandbox.world.core import World
from sandbox.world.shelves import Record

# What Stripe files a transaction type under (documentation: "Reporting categories").
_CATEGORIES = {
    "payment": "charge",
    "payment_refund": "refund",
    "refund_failure": "refund_failure",
    "application_fee": "platform_earning",
    "application_fee_refund": "platform_earning_refund",
    "transfer_refund": "transfer_reversal",
    "payout_failure": "payout_reversal",
    "payout_cancel": "payout_reversal",
    "adjustment": "other_adjustment",
    "reserved_funds": "connect_reserved_funds",
    "reserve_transaction": "connect_reserved_funds",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One side of a movement on a Stripe balance; net = amount less fee, minor units."""

    owner: AccountId
    amount_minor: int
    currency: str
    type: str
    source: str | None
    stripe_fee_minor: int = 0
    application_fee_minor: int = 0
    available_on: int | None = None
    lot: str | None = None
    """The payment whose pending money this belongs to."""
    description: str | None = None
    rate: Fraction | None = None
    category: str | None = None

    @property
    def fee_minor(self) -> int:
        """All that is taken off the amount."""
        return self.stripe_fee_minor + self.application_fee_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One side of a movement that isn't a Stripe balance."""

    party: Party
    amount_minor: int
    currency: str


def move(world: World, legs: Sequence[Leg], outside: Sequence[Outside] = ()) -> list[Record]:
    """Move money; answers one balance transaction per leg, in order."""
    ids = [world.new_id("txn") for _ in legs]
    entries = [
        Entry(
            account=leg.owner,
            currency=leg.currency,
            amount_minor=leg.amount_minor - leg.fee_minor,
            txn=txn,
        )
        for txn, leg in zip(ids, legs, strict=True)
    ]
    entries += [
        Entry(account=side.party.value, currency=side.currency, amount_minor=side.amount_minor)
        for side in outside
        if side.amount_minor
    ]
    world.books.post(entries)
    return [_record(world, txn, leg) for txn, leg in zip(ids, legs, strict=True)]


def _record(world: World, txn: str, leg: Leg) -> Record:
    now = world.now()
    available_on = now if leg.available_on is None else leg.available_on
    pending = available_on > now
    net = leg.amount_minor - leg.fee_minor
    body: JsonObject = {
        "id": txn,
        "object": "balance_transaction",
        "amount": leg.amount_minor,
        "available_on": available_on,
        "balance_type": "payments",
        "created": now,
        "currency": leg.currency,
        "description": leg.description,
        "exchange_rate": None if leg.rate is None else float(round(leg.rate, 6)),
        "fee": leg.fee_minor,
        "fee_details": _fee_details(world, leg),
        "net": net,
        "reporting_category": leg.category or _CATEGORIES.get(leg.type, leg.type),
        "source": leg.source,
        "status": "pending" if pending else "available",
        "type": leg.type,
    }
    line = Line(
        owner=leg.owner,
        currency=leg.currency,
        net_minor=net,
        lot=leg.lot,
        available_on=available_on,
        pending=pending,
    )
    world.books.open_line(txn, line)
    return world.put("balance_transaction", leg.owner, body, links=(leg.source,))


def _fee_details(world: World, leg: Leg) -> list[JsonObject]:
    rows = (
        ("stripe_fee", leg.stripe_fee_minor, None, "Stripe processing fees"),
        ("application_fee", leg.application_fee_minor, world.application, "Application fee"),
    )
    return [
        {
            "amount": amount_minor,
            "application": application,
            "currency": leg.currency,
            "description": description,
            "type": kind,
        }
        for kind, amount_minor, application, description in rows
        if amount_minor
    ]


@dataclass(frozen=True, slots=True)
class Portion:
    """Part of a debit: taken from pending money that is due at a moment, or from what is there."""

    amount_minor: int
    available_on: int | None


def own_pending(world: World, lot: str) -> int:
    """What of one payment's own money is still pending, never below zero."""
    return max(0, world.books.lot_pending(lot)[0])


def draw(world: World, lot: str | None, amount_minor: int) -> list[Portion]:
    """Split a debit: the payment's own pending part first, the rest from what is available."""
    waiting, due = world.books.lot_pending(lot) if lot else (0, None)
    first = min(amount_minor, max(0, waiting))
    portions = [Portion(first, due)] if first else []
    return portions + ([Portion(amount_minor - first, None)] if amount_minor > first else [])


def convert(
    world: World, amount_minor: int, source: str, target: str
) -> tuple[int, Fraction | None]:
    """Today's worth of an amount in another currency, rounded half up, and the rate used."""
    if source == target:
        return amount_minor, None
    rate = world.switches.rate(source, target)
    return int((amount_minor * rate * 2 + 1) // 2), rate


def exchange(source: str, source_minor: int, target: str, target_minor: int) -> tuple[Outside, ...]:
    """The exchange desk's sides of a conversion: it takes `source` and gives `target`."""
    if source == target:
        return ()
    return (
        Outside(party=Party.EXCHANGE, amount_minor=source_minor, currency=source),
        Outside(party=Party.EXCHANGE, amount_minor=-target_minor, currency=target),
    )
