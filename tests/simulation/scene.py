"""A random world on a stage: accounts, payments and money at the sandbox, and the time there.

It makes things happen at Stripe's side and may not know what Sluice makes of them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from handlers.registry import EVENT_TYPES
from sandbox.inprocess import InProcessSandbox
from sandbox.world import transfers
from sandbox.world.money import convert, own_pending
from sandbox.world.shelves import Record

URL: Final = "http://receiver.invalid/"
_FATES: Final = (
    ("succeed",) * 6 + ("pending", "pending_fail", "fail_now", "fail_late") + ("requires_action",)
)
_MISHAPS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "drop", "chance": 0.12},
    {"kind": "duplicate", "chance": 0.12, "copies": 2},
    {"kind": "delay", "chance": 0.2, "seconds": 400},
    {"kind": "delay", "chance": 0.05, "seconds": 90_000},
    {"kind": "reorder", "chance": 0.2, "size": 3},
)


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment somebody may want back."""

    charge: str
    account: str | None
    amount_minor: int


@dataclass(slots=True)
class Trace:
    """What happened, line by line; the same seed gives the same lines."""

    lines: list[str] = field(default_factory=list)
    start: int = 0

    def note(self, now: int, text: str) -> None:
        """Add a line with the seconds since the beginning."""
        self.lines.append(f"{now - self.start:>9} {text}")


@dataclass(slots=True)
class Scene:
    """Stripe's side of a simulation. Amounts are minor units."""

    chance: random.Random
    sandbox: InProcessSandbox
    trace: Trace = field(default_factory=Trace)
    accounts: list[str] = field(default_factory=list)
    paid: list[Paid] = field(default_factory=list)

    # --- verbs ------------------------------------------------------------------------------

    def order(self, verb: str, /, **body: object) -> dict[str, Any] | None:
        """Carry out a control verb; `None` where the world refuses it."""
        try:
            answer = self.sandbox.control("POST", verb, body)
        except ValueError as error:
            self.note(f"world   {verb} {_short(body)}: refused ({str(error)[:70]})")
            return None
        self.note(f"world   {verb} {_short(body)}")
        return answer

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.note(self.sandbox.world.now(), text)

    def now(self) -> datetime:
        """The time, for everybody."""
        return datetime.fromtimestamp(self.sandbox.world.now(), UTC)

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self.order("clock", advance=seconds)

    # --- what is there ----------------------------------------------------------------------

    def records(self, kind: str) -> Iterator[Record]:
        """Every object of a kind, oldest first."""
        return (each for each in self.sandbox.world.shelves.everything() if each.kind == kind)

    def refunds(self) -> list[Record]:
        """Every refund to a buyer, oldest first."""
        return [each for each in self.records("refund") if each.id.startswith("re_")]

    def connected(self, account: str) -> bool:
        """Whether the platform still has access to the account."""
        return bool(self.sandbox.world.shelves.get(account).hidden["connected"])

    def available(self) -> dict[tuple[str, str], int]:
        """What each account, `platform` included, has available per currency."""
        world = self.sandbox.world
        owners = {"platform": world.platform, **{a: a for a in self.accounts}}
        return {
            (name, currency): world.books.available(type(world.platform)(owner), currency)
            for name, owner in owners.items()
            for currency in ("usd", "eur")
        }

    def own_pending(self, charge: str) -> int:
        """What of a payment's own money is still pending in its account."""
        payment = self._payment(charge)
        return 0 if payment is None else own_pending(self.sandbox.world, payment.id)

    def debit_of(self, charge: str, in_transfer_minor: int) -> tuple[str, str, int] | None:
        """Account, currency and amount that taking back a part of the transfer debits."""
        payment = self._payment(charge)
        if payment is None:
            return None
        world = self.sandbox.world
        settled = world.shelves.get(payment.body["balance_transaction"]).body["currency"]
        amount, _ = convert(world, in_transfer_minor, payment.body["currency"], settled)
        return str(payment.owner), settled, amount

    def transfer_of(self, charge: str) -> Record | None:
        """The transfer that carried a payment on."""
        shelves = self.sandbox.world.shelves
        transfer = shelves.get(charge).body.get("transfer")
        return shelves.get(transfer) if transfer else None

    def reversals(self, charge: str) -> list[Record]:
        """Every reversal of a payment's transfer."""
        transfer = self.transfer_of(charge)
        return [] if transfer is None else transfers.reversals_of(self.sandbox.world, transfer)

    def _payment(self, charge: str) -> Record | None:
        transfer = self.transfer_of(charge)
        if transfer is None:
            return None
        return self.sandbox.world.shelves.get(transfer.body["destination_payment"])


def build_scene(seed: int) -> Scene:
    """A world that depends on nothing but the seed."""
    chance = random.Random(f"{seed}:scene")
    scene = Scene(chance=chance, sandbox=InProcessSandbox(seed=seed))
    scene.trace.start = scene.sandbox.world.now()
    for connect in (False, True):
        scene.order("endpoints", url=URL, connect=connect, enabled_events=[*EVENT_TYPES])
    scene.order(
        "switches",
        short=chance.choice(["error", "negative"]),
        short_code=chance.choice(["balance_insufficient", "insufficient_funds", None]),
    )
    scene.order("accounts/platform/balance", available=chance.choice([1_000_000, 20_000, 9_000]))
    for _ in range(chance.choice([1, 1, 2])):
        open_account(scene)
    for _ in range(chance.randint(3, 5)):
        pay(scene)
    for rule in _MISHAPS:
        if chance.random() < 0.7:
            scene.order("deliveries/rules", times=None, **rule)
    return scene


def open_account(scene: Scene) -> None:
    """Connect one more account."""
    chance = scene.chance
    europe = chance.random() < 0.25
    made = scene.order(
        "accounts",
        country="DE" if europe else "US",
        default_currency="eur" if europe else "usd",
        losses=chance.choice(["application", "application", "stripe"]),
        payouts=chance.choice(["manual", "manual", "daily"]),
        available=chance.choice([0, 0, 2_000, 6_000]),
    )
    assert made is not None, "a new account is never refused"
    scene.accounts.append(made["id"])


def pay(scene: Scene) -> None:
    """A buyer pays the platform or, through it, a connected account that may spend it at once."""
    chance = scene.chance
    amount = chance.randrange(1_000, 10_000, 7)
    body: dict[str, Any] = {
        "amount": amount,
        "refund_fate": chance.choice(_FATES),
        "funds": chance.choice(["available", "available", "pending"]),
    }
    account = chance.choice([None, *scene.accounts * 3])
    if account is not None:
        body |= {"charge_type": "destination", "account": account}
        body |= chance.choice(
            [{}, {"application_fee_amount": amount // 10}, {"transfer_amount": amount * 4 // 5}]
        )
    made = scene.order("payments", **body)
    if made is None:
        return
    scene.paid.append(Paid(made["charge"]["id"], account, amount))
    if account is not None and body["funds"] == "available" and chance.random() < 0.7:
        scene.order(f"accounts/{account}/payout")


def _short(body: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in body.items())
