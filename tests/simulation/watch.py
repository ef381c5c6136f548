"""What must hold after every step, judged from outside: by the books, and by Stripe's own figures.

It may not ask the handlers what they believe, nor repair anything.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from sqlmodel import col, select

from refunds.attempt import AttemptState
from refunds.facts import METADATA_ATTEMPT, METADATA_REQUEST
from refunds.invariants import violations
from refunds.steps import StepKind
from sandbox.world.refunds import _reversal_amount
from store.attempts import steps_of
from store.database import Database, Unit
from store.reports import load_books
from store.tables.attempts import ReleaseAttempt
from store.tables.inbox import AttemptOutcome, EventAttempt
from store.tables.requests import RefundRequest
from tests.simulation.crew import Turn, current
from tests.simulation.scene import Scene

_IN_BOOKS: Final = frozenset(
    {"ledger_entry", "request_bucket", "refund", "reservation", "release_run", "charge"}
)
_NOT_LIVE: Final = ("failed", "canceled")


@dataclass(slots=True)
class Ceiling:
    """The most that was there at any moment since a run began: no run may promise more."""

    available: dict[tuple[str, str], int]
    own_pending: dict[str, int]

    def raise_to(self, scene: Scene) -> None:
        """Take in what is there now."""
        for purse, minor in scene.available().items():
            self.available[purse] = max(self.available.get(purse, 0), minor)
        for paid in scene.paid:
            before = self.own_pending.get(paid.charge, 0)
            self.own_pending[paid.charge] = max(before, scene.own_pending(paid.charge))


@dataclass(slots=True)
class Watch:
    """Notes every violation; `database` is a way to the same database without boundaries."""

    scene: Scene
    database: Database
    broken: list[str] = field(default_factory=list)
    requeued: Counter[str] = field(default_factory=Counter)
    _ceilings: dict[Turn, Ceiling] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _asked: dict[str, int] = field(default_factory=dict)

    def follow(self, turn: Turn) -> None:
        """Watch what a release run has to spend from now on."""
        ceiling = Ceiling(self.scene.available(), {})
        ceiling.raise_to(self.scene)
        self._ceilings[turn] = ceiling

    def leave(self, turn: Turn) -> None:
        """Stop watching a turn that ended."""
        self._ceilings.pop(turn, None)

    def on_world(self) -> None:
        """Something may have happened at Stripe's side."""
        for ceiling in self._ceilings.values():
            ceiling.raise_to(self.scene)
        self.broken += self.scene.sandbox.world.books.check()
        self._check_names()

    def on_commit(self, tables: Set[str]) -> None:
        """A unit of work was committed that wrote to these tables."""
        if not tables & {*_IN_BOOKS, "refund_request", "release_attempt", "event_attempt"}:
            return
        with self.database.reading() as unit:
            if tables & _IN_BOOKS:
                self.broken += [f for books in load_books(unit) for f in violations(books)]
            if "refund_request" in tables:
                self._learn_amounts(unit)
            if "release_attempt" in tables:
                self._check_promises(unit)
            if "event_attempt" in tables:
                self._check_once(unit)

    def _learn_amounts(self, unit: Unit) -> None:
        rows = unit.exec(select(RefundRequest.id, RefundRequest.amount_minor))
        self._asked = {request: minor or 0 for request, minor in rows}

    def _check_names(self) -> None:
        """No attempt made two refunds, and nobody was paid more than was asked for them."""
        paid: dict[str, int] = defaultdict(int)
        made: Counter[str] = Counter()
        for refund in self.scene.refunds():
            name = refund.body["metadata"].get(METADATA_ATTEMPT)
            if name is None:
                continue
            made[name] += 1
            if refund.body["status"] not in _NOT_LIVE:
                paid[refund.body["metadata"][METADATA_REQUEST]] += refund.body["amount"]
        self.broken += [f"{name}: {n} refunds at the sandbox" for name, n in made.items() if n > 1]
        self.broken += [
            f"{request}: {minor} paid of {self._asked[request]} asked for"
            for request, minor in paid.items()
            if minor > self._asked[request]
        ]

    def _check_once(self, unit: Unit) -> None:
        """Each event had its effect once, and once more for each time a person asked for it."""
        ended = unit.exec(
            select(EventAttempt.event_id).where(
                col(EventAttempt.outcome).in_([AttemptOutcome.DONE, AttemptOutcome.IGNORED])
            )
        )
        for event, times in Counter(ended).items():
            if times > 1 + self.requeued[event]:
                self.broken.append(f"{event}: processed {times} times")

    def _check_promises(self, unit: Unit) -> None:
        """Nothing new is promised beyond what was there since the run that promised it began."""
        prepared = unit.exec(
            select(ReleaseAttempt)
            .where(col(ReleaseAttempt.state) == AttemptState.PREPARED)
            .order_by(col(ReleaseAttempt.id))
        ).all()
        fresh = [each for each in prepared if each.id not in self._known]
        self._known |= {each.id for each in prepared}
        turn = current()
        if not fresh:
            return
        if turn is None or turn not in self._ceilings:
            self.broken.append(f"{fresh[0].id}: prepared outside a release run")
            return
        ceiling = self._ceilings[turn]
        older = [each for each in prepared if each not in fresh]
        owed_before = self._owed(unit, older, ceiling)
        for (owner, currency), minor in self._owed(unit, prepared, ceiling).items():
            has_minor = ceiling.available.get((owner, currency), 0)
            # What was promised earlier may have been paid out since; a refund that its payment's
            # own pending money pays for takes nothing more of that.
            takes_more = minor > owed_before.get((owner, currency), 0)
            if takes_more and minor > max(0, has_minor):
                self.broken.append(
                    f"{fresh[0].id}: {minor} {currency} of {owner} promised, never more than "
                    f"{has_minor} was there since the run began"
                )

    def _owed(
        self, unit: Unit, prepared: Sequence[ReleaseAttempt], top: Ceiling
    ) -> dict[tuple[str, str], int]:
        """What attempts without an outcome will take from whom, by Stripe's arithmetic."""
        owed: dict[tuple[str, str], int] = defaultdict(int)
        drawn: dict[tuple[str, str, str], int] = defaultdict(int)
        executed = {r.body["metadata"].get(METADATA_ATTEMPT) for r in self.scene.refunds()}
        for attempt in prepared:
            refund, *more = steps_of(unit, attempt.id)
            charge = self.scene.sandbox.world.shelves.get(attempt.charge_id)
            taken_minor = 0
            if attempt.id not in executed:
                owed["platform", charge.body["currency"]] += attempt.amount_minor
                if refund.params.get("reverse_transfer"):
                    transfer = self.scene.transfer_of(charge.id)
                    taken_minor += _reversal_amount(charge, transfer, attempt.amount_minor)
            done = {
                r.body["metadata"].get(METADATA_ATTEMPT) for r in self.scene.reversals(charge.id)
            }
            if more and more[0].kind is StepKind.REVERSAL and attempt.id not in done:
                taken_minor += int(more[0].params["amount"])
            debit = self.scene.debit_of(charge.id, taken_minor) if taken_minor else None
            if debit is not None:
                account, currency, minor = debit
                drawn[charge.id, account, currency] += minor
        for (charge_id, account, currency), minor in drawn.items():
            rest = max(0, minor - top.own_pending.get(charge_id, 0))
            owed[account, currency] += rest
        return {purse: minor for purse, minor in owed.items() if minor}
