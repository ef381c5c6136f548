"""Double-entry books in minor units: what left one party reached another, per currency.

It counts money and knows neither objects nor the reasons why money moves.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.shapes import AccountId


class Party(StrEnum):
    """Those outside Stripe's balances with whom money is exchanged."""

    BUYERS = "buyers"
    BANKS = "banks"
    STRIPE = "stripe"
    EXCHANGE = "exchange"
    RESERVE = "reserve"
    """Stripe's hold on the platform for connected accounts with a negative balance."""
    STAGE = "stage"
    """The control verbs that set a balance by decree."""


class BooksError(AssertionError):
    """Money was made or lost: a defect of the sandbox itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the books; `account` is an account's id or a `Party`."""

    account: str
    currency: str
    amount_minor: int
    txn: str | None = None


@dataclass(slots=True)
class Line:
    """The money of one balance transaction: whose, how much, and whether it can be used."""

    owner: AccountId
    currency: str
    net_minor: int
    lot: str | None
    available_on: int
    pending: bool


class Books:
    """Entries, and the balances that follow from them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._available: defaultdict[tuple[AccountId, str], int] = defaultdict(int)
        self._pending: defaultdict[tuple[AccountId, str], int] = defaultdict(int)
        self._lines: dict[str, Line] = {}
        self._lots: defaultdict[str, list[str]] = defaultdict(list)
        self._due: list[tuple[int, str]] = []
        self.in_the_red: set[tuple[AccountId, str]] = set()
        """Whose available and pending money together is below zero, and in which currency."""

    def post(self, entries: Iterable[Entry]) -> None:
        """Write entries that must sum to zero in every currency."""
        batch = list(entries)
        sums: defaultdict[str, int] = defaultdict(int)
        for entry in batch:
            sums[entry.currency] += entry.amount_minor
        if any(sums.values()):
            raise BooksError(f"entries don't sum to zero: {dict(sums)} in {batch}")
        self.entries.extend(batch)

    def open_line(self, txn: str, line: Line) -> None:
        """Let a balance transaction count in its owner's balance."""
        self._lines[txn] = line
        side = self._pending if line.pending else self._available
        side[line.owner, line.currency] += line.net_minor
        if self.total(line.owner, line.currency) < 0:
            self.in_the_red.add((line.owner, line.currency))
        else:
            self.in_the_red.discard((line.owner, line.currency))
        if line.lot is not None:
            self._lots[line.lot].append(txn)
        if line.pending:
            heapq.heappush(self._due, (line.available_on, txn))

    def settle(self, now: int) -> list[tuple[str, Line]]:
        """Make what is due by `now` available; answers the lines that changed, oldest first."""
        settled = []
        while self._due and self._due[0][0] <= now:
            _, txn = heapq.heappop(self._due)
            line = self._lines[txn]
            if line.pending and line.available_on <= now:
                line.pending = False
                self._pending[line.owner, line.currency] -= line.net_minor
                self._available[line.owner, line.currency] += line.net_minor
                settled.append((txn, line))
        return settled

    def bring_forward(self, owner: AccountId, currency: str | None, moment: int) -> list[str]:
        """Make one account's pending money due at `moment`; answers the transactions."""
        moved = []
        for txn, line in self._lines.items():
            if line.pending and line.owner == owner and currency in (None, line.currency):
                line.available_on = moment
                heapq.heappush(self._due, (moment, txn))
                moved.append(txn)
        return moved

    def next_due(self) -> int | None:
        """When the next pending money becomes available."""
        while self._due and not self._lines[self._due[0][1]].pending:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def available(self, owner: AccountId, currency: str) -> int:
        """Money that can be used now; may be negative."""
        return self._available[owner, currency]

    def pending(self, owner: AccountId, currency: str) -> int:
        """Money that can be used later."""
        return self._pending[owner, currency]

    def total(self, owner: AccountId, currency: str) -> int:
        """Available and pending money together."""
        return self.available(owner, currency) + self.pending(owner, currency)

    def currencies(self, owner: AccountId) -> list[str]:
        """Every currency in which the account ever had money, in order of the alphabet."""
        return sorted(
            {c for side in (self._available, self._pending) for o, c in side if o == owner}
        )

    def lot_pending(self, lot: str) -> tuple[int, int | None]:
        """What of one payment is still pending, and when it becomes available."""
        lines = [self._lines[txn] for txn in self._lots[lot]]
        waiting = [line for line in lines if line.pending]
        if not waiting:
            return 0, None
        return sum(line.net_minor for line in waiting), waiting[0].available_on

    def check(self) -> list[str]:
        """What is wrong with the books; empty when nothing is."""
        problems = []
        sums: defaultdict[str, int] = defaultdict(int)
        by_account: defaultdict[tuple[str, str], int] = defaultdict(int)
        for entry in self.entries:
            sums[entry.currency] += entry.amount_minor
            by_account[entry.account, entry.currency] += entry.amount_minor
        problems += [f"{currency} sums to {total}" for currency, total in sums.items() if total]
        for owner, currency in {*self._available, *self._pending}:
            shown = self.total(owner, currency)
            if shown != by_account[owner, currency]:
                problems.append(f"{owner} shows {shown} {currency}, entries say otherwise")
        return problems
