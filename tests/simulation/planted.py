"""Bugs to plant, one function each: what a hurried hand might have written instead.

Each works as long as nothing goes wrong, and counts how often it was called: one that no longer
plugs into the code proves nothing. They are planted by tests only, never by the project.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final, ParamSpec, TypeVar
from unittest.mock import patch

import handlers.carry_out
import handlers.prepare
import handlers.release
import handlers.unsettled
import store.inbox
from gateway.port import Gateway
from handlers.carry_out import Carried
from handlers.ground import Ground, read_ground
from handlers.services import Services
from refunds.attempt import AttemptState, StepState
from refunds.candidate import Candidate
from refunds.facts import BalanceFacts, RefundFacts, RefundStatus
from refunds.ids import AccountId, AttemptId, IdempotencyKey, RequestId
from refunds.lifecycle import Bucket
from refunds.policy import Policy
from refunds.steps import Done, StripeCall
from store.attempts import (
    add_attempt,
    call_of,
    close_reservations,
    lock_attempt,
    settle_attempt,
    settle_step,
    steps_of,
)
from store.database import Unit
from store.lanes import LaneClaim
from store.ledger import Because, move
from store.observations import add_refund
from store.requests import lock_request
from store.tables.attempts import AttemptStep, ReleaseAttempt, ReservationEnd
from store.tables.inbox import InboxEvent, InboxState

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Calls:
    """How often what was planted has been called."""

    number: int = 0

    def counted(self, careless: Callable[P, R]) -> Callable[P, R]:
        """Return the same function, counting."""

        def counting(*args: P.args, **named: P.kwargs) -> R:
            self.number += 1
            return careless(*args, **named)

        return counting


@contextmanager
def fresh_key_on_retry() -> Iterator[Calls]:
    """Every call gets a key of its own, so that a retry is a new refund to Stripe."""
    numbers = count()

    def careless(step: AttemptStep) -> StripeCall:
        key = f"{step.idempotency_key}-{next(numbers)}"
        return replace(call_of(step), idempotency_key=IdempotencyKey(key))

    calls = Calls()
    with patch.object(handlers.carry_out, "call_of", calls.counted(careless)):
        yield calls


@contextmanager
def no_reservation() -> Iterator[Calls]:
    """No money is kept for an attempt: the balance alone decides, whatever is under way."""

    def careless(
        unit: Unit, attempt: ReleaseAttempt, calls: Sequence[StripeCall], _reserve: object
    ) -> None:
        add_attempt(unit, attempt, calls, [])

    calls = Calls()
    with patch.object(handlers.prepare, "add_attempt", calls.counted(careless)):
        yield calls


@contextmanager
def settle_before_call() -> Iterator[Calls]:
    """The attempt is done and the amount sent before Stripe was asked."""

    def careless(services: Services, attempt: AttemptId, fence: int) -> Carried:
        with services.database.unit_of_work() as unit:
            row = lock_attempt(unit, attempt)
            assert row is not None
            if row.state is not AttemptState.PREPARED:
                return Carried.SETTLED
            now = services.clock()
            steps = steps_of(unit, attempt)
            for step in steps:
                settle_step(unit, step, StepState.DONE, now)
            settle_attempt(unit, row, AttemptState.DONE, now)
            close_reservations(unit, attempt, ReservationEnd.SPENT, now)
            request = lock_request(unit, row.request_id)
            because = Because(at=now, cause="release", why="Sent.", attempt=attempt)
            move(unit, request, Bucket.RELEASING, Bucket.SUBMITTED, row.amount_minor, because)
        outcomes = [services.gateway.execute(call_of(step)) for step in steps]
        first = outcomes[0]
        if isinstance(first, Done) and isinstance(first.object, RefundFacts):
            facts = first.object
            assert facts.charge is not None
            with services.database.unit_of_work() as unit:
                request = lock_request(unit, row.request_id)
                named = RequestId(request.id)
                add_refund(unit, facts, facts.charge, request=named, attempt=attempt)
                if facts.status is RefundStatus.SUCCEEDED:
                    why = (unit, request, Bucket.SUBMITTED, Bucket.SUCCEEDED, row.amount_minor)
                    move(*why, because)
        return Carried.SETTLED

    calls = Calls()
    with (
        patch.object(handlers.release, "carry_out", calls.counted(careless)),
        patch.object(handlers.unsettled, "carry_out", calls.counted(careless)),
    ):
        yield calls


@contextmanager
def duplicate_event_processed_twice() -> Iterator[Calls]:
    """An event that comes again is due again, whatever became of it the first time."""
    proper = store.inbox._count_again

    def careless(unit: Unit, again: list[Any]) -> None:
        proper(unit, again)
        for delivery in again:
            row = unit.get(InboxEvent, delivery.event.event)
            assert row is not None
            row.state, row.finished_at = InboxState.PENDING, None
            row.next_attempt_at = delivery.received_at
            unit.add(row)

    calls = Calls()
    with patch.object(store.inbox, "_count_again", calls.counted(careless)):
        yield calls


class _Remembering:
    """A gateway that asks for each balance once."""

    def __init__(self, gateway: Gateway, known: dict[AccountId | None, BalanceFacts]) -> None:
        self._gateway = gateway
        self._known = known

    def read_balance(self, account: AccountId | None) -> BalanceFacts:
        if account not in self._known:
            self._known[account] = self._gateway.read_balance(account)
        return self._known[account]


@contextmanager
def stale_balance_trusted() -> Iterator[Calls]:
    """A run decides by the balance that the first run of its lane read."""
    proper = read_ground
    known: dict[AccountId | None, BalanceFacts] = {}

    def careless(
        services: Services, claim: LaneClaim, candidates: list[Candidate], policy: Policy
    ) -> Ground:
        gateway: Any = _Remembering(services.gateway, known)
        return proper(replace(services, gateway=gateway), claim, candidates, policy)

    calls = Calls()
    with patch.object(handlers.release, "read_ground", calls.counted(careless)):
        yield calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A bug, a seed that sees it, and what that seed then says."""

    plant: Callable[[], AbstractContextManager[Calls]]
    seed: int
    shows: str


PLANTED: Final[Mapping[str, Planted]] = {
    "fresh key on retry": Planted(
        plant=fresh_key_on_retry, seed=21, shows="2 refunds at the sandbox"
    ),
    "no reservation": Planted(plant=no_reservation, seed=4, shows="promised, never more than"),
    "settle before call": Planted(plant=settle_before_call, seed=2, shows="the sandbox says"),
    "duplicate event processed twice": Planted(
        plant=duplicate_event_processed_twice, seed=1, shows="processed 2 times"
    ),
    "stale balance trusted": Planted(
        plant=stale_balance_trusted, seed=6, shows="promised, never more than"
    ),
}
