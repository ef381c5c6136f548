"""Release attempts and the money kept for them: intent before the call, outcome after it.

It may not call Stripe or decide what an outcome means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, func, or_, update
from sqlmodel import col, select

from refunds.attempt import AttemptState, StepState
from refunds.errors import LeaseLostError
from refunds.facts import ReversalFacts, SentFacts
from refunds.ids import AccountId, AttemptId, ChargeId, IdempotencyKey, RequestId
from refunds.money import Currency, Money
from refunds.steps import StripeCall
from store.caps import settle_uncovered
from store.database import Unit
from store.tables.attempts import (
    AttemptStep,
    ReleaseAttempt,
    ReleaseRun,
    Reservation,
    ReservationEnd,
    StepCallRow,
)
from store.tables.lanes import Purse
from store.upsert import insert_or_ignore

ATTEMPT_LEASE: Final = timedelta(seconds=10)
"""How long a caller has an attempt to itself, from prepare or claim on."""

# Built once: building a statement takes longer than running it.
_OPEN_RESERVATIONS: Final = select(
    Reservation.id, Reservation.currency, Reservation.amount_minor
).where(col(Reservation.holder) == bindparam("holder"), col(Reservation.closed_at).is_(None))
_PURSES: Final = select(Purse.currency).where(col(Purse.holder) == bindparam("holder"))
_NEWEST_PROMISE: Final = select(func.max(Reservation.id)).where(
    col(Reservation.holder) == bindparam("holder"),
    col(Reservation.currency) == bindparam("currency"),
)
_LOCKED: Final = (
    select(ReleaseAttempt)
    .where(col(ReleaseAttempt.id) == bindparam("attempt"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_STEPS: Final = (
    select(AttemptStep)
    .where(col(AttemptStep.attempt_id) == bindparam("attempt"))
    .order_by(col(AttemptStep.ordinal))
    .execution_options(populate_existing=True)
)
_UNSETTLED: Final = (
    select(ReleaseAttempt)
    .where(col(ReleaseAttempt.state) == AttemptState.PREPARED)
    .where(col(ReleaseAttempt.next_try_at) <= bindparam("now"))
    .order_by(col(ReleaseAttempt.next_try_at), col(ReleaseAttempt.id))
    .limit(1)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationMark:
    """The reservations of one holder at one moment, taken before its balance is read.

    Whatever was open then, or is made later, may or may not be in that balance: it is deducted.
    """

    holder: str
    open_ids: frozenset[int]
    last_ids: Mapping[Currency, int]
    """The newest promise of each currency. Ids grow in order of commits within one purse only: of
    another currency's, a later one may be seen before an earlier one is.
    """
    open_minor: Mapping[Currency, int]


def mark_reservations(unit: Unit, holder: str) -> ReservationMark:
    """Return what is reserved of a holder's money now."""
    sums: dict[Currency, int] = {}
    ids = set()
    for number, word, minor in unit.exec(_OPEN_RESERVATIONS, params={"holder": holder}):
        assert number is not None
        ids.add(number)
        currency = Currency(word)
        sums[currency] = sums.get(currency, 0) + minor
    return ReservationMark(
        holder=holder,
        open_ids=frozenset(ids),
        last_ids=_newest_promises(unit, holder),
        open_minor=sums,
    )


def _newest_promises(unit: Unit, holder: str) -> dict[Currency, int]:
    newest = {}
    for currency in unit.exec(_PURSES, params={"holder": holder}).all():
        of_purse = {"holder": holder, "currency": currency}
        newest[Currency(currency)] = unit.exec(_NEWEST_PROMISE, params=of_purse).one() or 0
    return newest


def lock_purses(unit: Unit, purses: Sequence[tuple[str, Currency]]) -> None:
    """Lock the purses, in one order for everybody, so that promises made of them queue up."""
    for holder, currency in sorted(set(purses)):
        insert_or_ignore(unit, Purse, holder=holder, currency=currency)
        statement = select(Purse).where(
            col(Purse.holder) == holder, col(Purse.currency) == currency
        )
        unit.exec(statement.with_for_update()).one()


def reserved_since(unit: Unit, mark: ReservationMark, currency: Currency) -> int:
    """Return what must be deducted from a balance read after `mark`; call it with the purse locked.

    Freed promises made since are not counted: the money never left.
    """
    made_since = (col(Reservation.id) > mark.last_ids.get(currency, 0)) & (
        col(Reservation.end).is_(None) | (col(Reservation.end) != ReservationEnd.FREED)
    )
    statement = (
        select(func.coalesce(func.sum(Reservation.amount_minor), 0))
        .where(col(Reservation.holder) == mark.holder, col(Reservation.currency) == currency)
        .where(or_(made_since, col(Reservation.id).in_(mark.open_ids)))
    )
    return int(unit.exec(statement).one())


def add_run(unit: Unit, run: ReleaseRun) -> bool:
    """Store a run unless it is stored; return whether it was new."""
    return insert_or_ignore(unit, ReleaseRun, **run.model_dump())


def add_attempt(
    unit: Unit,
    attempt: ReleaseAttempt,
    calls: Sequence[StripeCall],
    reserve: Sequence[tuple[str, Money]],
) -> None:
    """Store the intent: the attempt, its calls as they will be sent, and the money kept for it."""
    unit.add(attempt)
    unit.flush()
    for ordinal, call in enumerate(calls, start=1):
        unit.add(
            AttemptStep(
                attempt_id=attempt.id,
                ordinal=ordinal,
                kind=call.kind,
                idempotency_key=call.idempotency_key,
                params=dict(call.params),
                target=call.target,
                stripe_account=call.account,
            )
        )
    for holder, amount in reserve:
        unit.add(
            Reservation(
                attempt_id=attempt.id,
                holder=holder,
                currency=amount.currency,
                amount_minor=amount.amount_minor,
                opened_at=attempt.prepared_at,
            )
        )
    unit.flush()


def get_attempt(unit: Unit, attempt: AttemptId | str) -> ReleaseAttempt | None:
    """Return an attempt, if there is one by this id."""
    return unit.get(ReleaseAttempt, attempt)


def lock_attempt(unit: Unit, attempt: AttemptId | str) -> ReleaseAttempt | None:
    """Return an attempt, its row locked until the unit ends."""
    return unit.exec(_LOCKED, params={"attempt": attempt}).one_or_none()


def attempts_of(unit: Unit, request: RequestId | str) -> list[ReleaseAttempt]:
    """Return a request's attempts, oldest first."""
    statement = select(ReleaseAttempt).where(col(ReleaseAttempt.request_id) == request)
    return list(unit.exec(statement.order_by(col(ReleaseAttempt.id))))


def steps_of(unit: Unit, attempt: AttemptId | str) -> list[AttemptStep]:
    """Return an attempt's steps in the order they are called."""
    return list(unit.exec(_STEPS, params={"attempt": attempt}))


def call_of(step: AttemptStep) -> StripeCall:
    """Return a stored step as the call it is, parameter for parameter."""
    return StripeCall(
        kind=step.kind,
        params=step.params,
        target=step.target,
        account=AccountId(step.stripe_account) if step.stripe_account else None,
        idempotency_key=IdempotencyKey(step.idempotency_key),
    )


def add_call(unit: Unit, row: StepCallRow) -> None:
    """Append one try to the attempt's timeline."""
    unit.add(row)


def calls_of(unit: Unit, attempt: AttemptId | str, limit: int = 500) -> list[StepCallRow]:
    """Return an attempt's tries in order."""
    statement = select(StepCallRow).where(col(StepCallRow.attempt_id) == attempt)
    return list(unit.exec(statement.order_by(col(StepCallRow.id)).limit(limit)))


def claim_unsettled(unit: Unit, worker: str, now: datetime) -> tuple[AttemptId, int] | None:
    """Take the attempt without an outcome that is due longest; return it with its fence."""
    row = unit.exec(_UNSETTLED, params={"now": now}).first()
    if row is None:
        return None
    row.claimed_by = worker
    row.fence += 1
    row.next_try_at = now + ATTEMPT_LEASE
    unit.add(row)
    return AttemptId(row.id), row.fence


def renew_attempt(unit: Unit, attempt: AttemptId, fence: int, now: datetime) -> None:
    """Lengthen the caller's time with an attempt; raise `LeaseLostError` if another has it."""
    row = lock_attempt(unit, attempt)
    if row is None or row.fence != fence or row.state is not AttemptState.PREPARED:
        raise LeaseLostError(attempt)
    row.next_try_at = now + ATTEMPT_LEASE
    unit.add(row)


def postpone_attempt(unit: Unit, attempt: AttemptId, until: datetime, trouble: str) -> None:
    """Note that the outcome is still unknown and when to look again."""
    row = lock_attempt(unit, attempt)
    if row is None or row.state is not AttemptState.PREPARED:
        return
    row.tries += 1
    row.next_try_at = until
    row.last_trouble = trouble
    row.claimed_by = None
    unit.add(row)


def settle_attempt(unit: Unit, row: ReleaseAttempt, state: AttemptState, now: datetime) -> None:
    """Write what became of an attempt, once."""
    assert row.state is AttemptState.PREPARED, "an attempt is settled once"
    assert state is not AttemptState.PREPARED, "settling says what became of it"
    row.state = state
    row.settled_at = now
    row.claimed_by = None
    unit.add(row)
    if state is not AttemptState.DONE:
        settle_uncovered(unit, row.id, {}, now)


def settle_step(
    unit: Unit,
    step: AttemptStep,
    state: StepState,
    now: datetime,
    *,
    object_id: str | None = None,
) -> None:
    """Write what became of a step, once."""
    assert step.state is StepState.PLANNED, "a step is settled once"
    step.state = state
    step.object_id = object_id
    step.settled_at = now
    unit.add(step)
    unit.flush()


def settle_made(
    unit: Unit, step: AttemptStep, made: ReversalFacts | SentFacts, now: datetime
) -> None:
    """Write that a step's reversal or transfer was made, once."""
    step.object_minor = made.amount.amount_minor
    step.balance_transaction = made.balance_transaction
    made_id = made.reversal if isinstance(made, ReversalFacts) else made.transfer
    settle_step(unit, step, StepState.DONE, now, object_id=made_id)


def close_reservations(
    unit: Unit,
    attempt: AttemptId | str,
    end: ReservationEnd,
    now: datetime,
    *,
    besides: str | None = None,
) -> None:
    """Stop keeping money for an attempt: it left the balance, or it never will.

    What is kept of the holder `besides` stays.
    """
    statement = update(Reservation).where(
        col(Reservation.attempt_id) == attempt, col(Reservation.closed_at).is_(None)
    )
    if besides is not None:
        statement = statement.where(col(Reservation.holder) != besides)
    unit.exec(statement.values(closed_at=now, end=end))


def has_unsettled(unit: Unit, charge: ChargeId | str) -> bool:
    """Whether an attempt on this charge has no outcome yet."""
    statement = (
        select(ReleaseAttempt.id)
        .where(col(ReleaseAttempt.charge_id) == charge)
        .where(col(ReleaseAttempt.state) == AttemptState.PREPARED)
        .limit(1)
    )
    return unit.exec(statement).first() is not None
