"""One play of a crash: attempts caught at known points of their calls, kill -9, and the restart.

It may not judge more than that the crash hit where it was meant to; the scenarios judge the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from handlers.chores import CHORES
from handlers.operate import Action, act
from refunds.clock import utc_now
from refunds.ids import ChargeId, RequestId
from store.charges import lock_charge
from store.chores import list_chores
from store.database import Database
from tests.support.processes import Platform, WorkerProcess
from tests.support.soundness import settled_at, unfinished
from tests.support.waiting import eventually
from tests.support.wire import Mishap, Snare


class Point(StrEnum):
    """Where in a call the worker dies."""

    BEFORE_STRIPE = "prepared, and the call never reaches Stripe"
    STRIPE_BUSY = "Stripe has the call, its effect comes later"
    ANSWER_LOST = "Stripe's effect is there, its answer is not"
    BEFORE_SETTLE = "the answer is there, and not settled"


_MISHAPS = {
    Point.BEFORE_STRIPE: Mishap.SWALLOWED,
    Point.STRIPE_BUSY: Mishap.CALL_HELD,
    Point.ANSWER_LOST: Mishap.ANSWER_HELD,
    Point.BEFORE_SETTLE: Mishap.ANSWER_HELD,
}


class Call(StrEnum):
    """Which call of an attempt."""

    REFUND = "/v1/refunds"
    REVERSAL = "/v1/transfers"
    """The second call of an attempt that a person released uncovered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """One request whose attempt is caught at a point of one of its calls."""

    point: Point
    call: Call
    account: str
    charge: str
    words: str
    """What its call is known by."""
    request: RequestId
    amount: int
    debit: int
    """What the account has to lose in the end: all it had."""
    snare: Snare


class CrashPlay:
    """Attempts of one platform that are all under way when its workers are killed."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.caught: list[Caught] = []
        self._workers: list[WorkerProcess] = []
        self._restarted: datetime | None = None

    def begin(self, *, workers: int = 1) -> None:
        """Start the workers that will be killed, and wait until they are idle.

        What comes round by the clock is done first: a catch-up right after the restart would settle
        from events what this play wants to see settled by the same key.
        """
        self._workers = [self.platform.spawn_worker() for _ in range(workers)]
        for worker in self._workers:
            self.platform.await_worker(worker)
        database = self.platform.stage.services.database
        eventually(lambda: _rounds_done(database), "every chore is done")

    def catch(self, point: Point, call: Call = Call.REFUND, *, two_calls: bool = False) -> Caught:
        """Take in a request and lay the snare that its attempt will run into.

        With `two_calls` a person releases it though the account has a part of it only: the refund
        is one call, taking back that part another. A reversal is always of such an attempt.
        """
        stage = self.platform.stage
        # Each its own amount: one refund in another's place would show.
        amount = 5_000 + 100 * len(self.caught)
        uncovered = two_calls or call is Call.REVERSAL
        debit = 1_000 if uncovered else amount
        account = stage.account()
        # Half of the payment: Stripe itself would refuse to refund the whole of it twice.
        payment = stage.paid(account, 2 * amount)
        stage.has(account, debit)
        words = self._transfer_to(account) if call is Call.REVERSAL else payment
        snare = self.platform.wire.snare(_MISHAPS[point], call, words)
        request = stage.wish(payment, amount)
        if uncovered:
            act(stage.services, Action.RELEASE, request, note="the buyer waits", actor="ann")
        caught = Caught(
            point=point,
            call=call,
            account=account,
            charge=payment,
            words=words,
            request=request,
            amount=amount,
            debit=debit,
            snare=snare,
        )
        self.caught.append(caught)
        return caught

    def crash(self) -> None:
        """Kill the workers when every attempt is at its point."""
        snares = [each.snare for each in self.caught]
        eventually(lambda: all(s.sprung.is_set() for s in snares), "every attempt is at its point")
        last = [each for each in self.caught if each.point is Point.BEFORE_SETTLE]
        database = self.platform.stage.services.database
        with database.unit_of_work() as unit:
            # Whoever wants to settle waits for these rows, on SQLite for the whole database.
            for each in last:
                lock_charge(unit, ChargeId(each.charge))
            for each in last:
                each.snare.let_go()
            eventually(
                lambda: all(_answered(self._workers, each) for each in last), "answers arrive"
            )
            for worker in self._workers:
                worker.kill()
        busy = [each for each in self.caught if each.point is Point.STRIPE_BUSY]
        done = {refund["charge"] for refund in self.platform.stage.refunds()}
        early = [each for each in busy if each.call is Call.REFUND and each.charge in done]
        assert not early, "Stripe was done before the crash"
        for each in busy:
            each.snare.let_go()

    def restart(self, afterwards: Mapping[Point, Mishap]) -> None:
        """Start one worker; the next try of an attempt at these points meets this mishap."""
        for each in self.caught:
            if each.point in afterwards:
                self.platform.wire.snare(afterwards[each.point], each.call, each.words)
        self._restarted = utc_now()
        self.platform.spawn_worker()

    def seconds_to_rest(self) -> float:
        """Wait until nothing is unfinished; return how long that took from the restart on."""
        database = self.platform.stage.services.database
        eventually(lambda: not unfinished(database), "everything is settled", within_seconds=90)
        assert self._restarted is not None
        return (max(settled_at(database)) - self._restarted).total_seconds()

    def _transfer_to(self, account: str) -> str:
        state = self.platform.stage.sandbox.control("GET", "state")["objects"]
        (transfer,) = [each for each in state["transfer"] if each["destination"] == account]
        return str(transfer["id"])


def _rounds_done(database: Database) -> bool:
    with database.reading() as unit:
        chores = list_chores(unit)
    return len(chores) == len(CHORES) and all(chore.due_at is None for chore in chores)


def _answered(workers: list[WorkerProcess], caught: Caught) -> bool:
    name = "refund.create" if caught.call is Call.REFUND else "reversal.create"
    return any(worker.said(name, f'"{caught.words}"', '"answered"') for worker in workers)
