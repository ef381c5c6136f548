"""Processes due inbox events: claim a few, hand each to its handler, record how it ended.

It may not know an event type, and no event may stop the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

import structlog

from gateway.port import (
    ListingTooLongError,
    NotFoundError,
    RejectedReadError,
    UnavailableError,
)
from handlers import circuit
from handlers.events.payload import read_event
from handlers.events.reaction import Ending, Event, Handler, UnusableEventError
from handlers.registry import handler_for
from handlers.services import Services
from refunds.errors import LeaseLostError, SluiceError
from refunds.facts import AccountStanding
from refunds.retry import EVENT_BACKOFF, GiveUp, RetryAt
from store.event_claims import (
    EventClaim,
    claim_due_events,
    fail_event,
    finish_event,
    postpone_event,
)
from store.installation import pinned_platform
from store.observations import standing_of
from store.tables.inbox import AttemptOutcome, InboxState

EVENT_BATCH: Final = 20
EVENT_LEASE: Final = timedelta(seconds=10)
"""A worker that died blocks its events for no longer than this."""
_TIME_FOR_ONE: Final = timedelta(seconds=5)
"""Less than this left of the lease, and the rest of a batch is handed back."""
NOT_FOUND_TRIES: Final = 3
"""An object may not be readable yet when its event comes; later it is not there."""
WAIT_FOR_STRIPE: Final = timedelta(days=30)
"""How long an event outlasts trouble at Stripe; Stripe itself forgets events after that."""

_PERMANENT: Final = (UnusableEventError, RejectedReadError, ListingTooLongError)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How one attempt ended, for the log. `None`: it goes on later, and the attempt doesn't
    count.
    """

    outcome: AttemptOutcome | None
    note: str


def process_due_events(
    services: Services,
    *,
    limit: int = EVENT_BATCH,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Handle up to `limit` due events, the longest due first; return how many were handled.

    Zero means that nothing is due. Between two events `stopping` is asked: what is left is handed
    back, due at once, as is what the lease leaves no time for. Raise `DatabaseUnavailableError`
    where not even a failure can be recorded; leases then bring the events back.
    """
    with services.database.unit_of_work() as unit:
        claims = claim_due_events(
            unit, worker=services.worker, now=services.clock(), limit=limit, lease=EVENT_LEASE
        )
        platform = pinned_platform(unit)
    if not claims:
        return 0
    assert platform is not None, "a worker pins the platform before it processes events"
    handled = 0
    for claim in claims:
        no_time = services.clock() > claim.lease_expires_at - _TIME_FOR_ONE
        if stopping() or no_time:
            _hand_back(services, claim)
        else:
            _handle(services, claim, livemode=platform.livemode)
            handled += 1
    return handled


def _handle(services: Services, claim: EventClaim, *, livemode: bool) -> None:
    log = _log.bind(event_id=claim.event, event_type=claim.type, account=claim.account)
    try:
        ended = _attempt(services, claim, livemode=livemode)
    except LeaseLostError:
        # Another worker has the event now; nothing of ours was committed.
        log.warning("event.lease_lost")
        return
    if ended.outcome in (AttemptOutcome.RETRY, AttemptOutcome.DEAD):
        log.warning("event.not_handled", outcome=ended.outcome, note=ended.note)
    else:
        log.info("event.handled", outcome=ended.outcome or "later", note=ended.note)


def _attempt(services: Services, claim: EventClaim, *, livemode: bool) -> _Ended:
    try:
        return _react(services, claim, livemode=livemode)
    except LeaseLostError:
        raise
    except _PERMANENT as error:
        return _fail(services, claim, error, None)
    except Exception as error:  # noqa: BLE001 - one poison event must not stop the others
        _log.error("event.error", event_id=claim.event, exc_info=error)
        return _fail(services, claim, error, _retry_at(services, claim))


def _react(services: Services, claim: EventClaim, *, livemode: bool) -> _Ended:
    handler = handler_for(claim.type)
    if handler is None:
        return _ignore(services, claim, "Sluice does not react to this type.")
    if claim.livemode != livemode:
        return _ignore(services, claim, _other_mode(claim))
    if EVENT_BACKOFF.attempts is not None and claim.attempts > EVENT_BACKOFF.attempts:
        raise UnusableEventError(
            f"{claim.attempts - 1} attempts to process it ended without a word: it may be what "
            "ends its worker."
        )
    event = read_event(claim)
    until = circuit.closed_until(services, event.account) if handler.asks_stripe else None
    if until is not None:
        return _wait(services, claim, until)
    return _look_and_apply(services, claim, handler, event)


def _look_and_apply(
    services: Services, claim: EventClaim, handler: Handler[Any], event: Event
) -> _Ended:
    try:
        apply = handler.look_at(event, services)
    except UnavailableError as error:
        return _after_trouble(services, claim, event, error)
    except NotFoundError as error:
        return _after_not_found(services, claim, event, error)
    with services.database.unit_of_work() as unit:
        now = services.clock()
        verdict = apply(unit, now)
        match verdict.ending:
            case Ending.DONE:
                finish_event(unit, claim, now=now, state=InboxState.DONE, note=verdict.note)
                return _Ended(outcome=AttemptOutcome.DONE, note=verdict.note)
            case Ending.IGNORED:
                finish_event(unit, claim, now=now, state=InboxState.IGNORED, note=verdict.note)
                return _Ended(outcome=AttemptOutcome.IGNORED, note=verdict.note)
            case Ending.MORE:
                postpone_event(unit, claim, until=now, note=verdict.note)
                return _Ended(outcome=None, note=verdict.note)
            case _:
                assert_never(verdict.ending)


def _after_trouble(
    services: Services, claim: EventClaim, event: Event, error: UnavailableError
) -> _Ended:
    """Try again later. While a circuit is open the attempt doesn't count: Stripe is unwell, not
    this event.
    """
    circuit.note_trouble(services, event.account, error.trouble)
    with services.database.reading() as unit:
        gone = standing_of(unit, event.account) is AccountStanding.DEAUTHORIZED
    if gone:
        return _ignore(services, claim, f"{event.account} has left the platform.")
    now = services.clock()
    waited_enough = now - claim.received_at > WAIT_FOR_STRIPE
    until = circuit.closed_until(services, event.account)
    if until is not None and not waited_enough:
        return _wait(services, claim, until)
    at = None if waited_enough else _retry_at(services, claim)
    if at is not None and error.retry_after_seconds is not None:
        asked = timedelta(seconds=min(error.retry_after_seconds, EVENT_BACKOFF.cap_seconds))
        at = max(at, now + asked)
    return _fail(services, claim, error, at)


def _after_not_found(
    services: Services, claim: EventClaim, event: Event, error: NotFoundError
) -> _Ended:
    circuit.note_success(services, event.account)
    if claim.attempts >= NOT_FOUND_TRIES:
        return _ignore(services, claim, f"Stripe knows no such object: {error}")
    return _fail(services, claim, error, _retry_at(services, claim))


def _ignore(services: Services, claim: EventClaim, note: str) -> _Ended:
    with services.database.unit_of_work() as unit:
        finish_event(unit, claim, now=services.clock(), state=InboxState.IGNORED, note=note)
    return _Ended(outcome=AttemptOutcome.IGNORED, note=note)


def _wait(services: Services, claim: EventClaim, until: datetime) -> _Ended:
    """Make the event due when the circuit lets a call through."""
    note = f"Waits until {until:%Y-%m-%d %H:%M:%S} UTC: Stripe can't be asked before."
    with services.database.unit_of_work() as unit:
        postpone_event(unit, claim, until=until, note=note)
    return _Ended(outcome=None, note=note)


def _hand_back(services: Services, claim: EventClaim) -> None:
    try:
        with services.database.unit_of_work() as unit:
            postpone_event(unit, claim, until=services.clock(), note=None)
    except LeaseLostError:
        _log.warning("event.lease_lost", event_id=claim.event)


def _fail(
    services: Services, claim: EventClaim, error: Exception, next_attempt_at: datetime | None
) -> _Ended:
    """Record what went wrong in a unit of its own: the row survives the rollback of the work."""
    safe = _safe(error)
    with services.database.unit_of_work() as unit:
        now = services.clock()
        fail_event(unit, claim, now=now, error=safe, next_attempt_at=next_attempt_at)
    outcome = AttemptOutcome.DEAD if next_attempt_at is None else AttemptOutcome.RETRY
    return _Ended(outcome=outcome, note=safe)


def _retry_at(services: Services, claim: EventClaim) -> datetime | None:
    """Return when to try again; `None`: the attempts are used up."""
    following = EVENT_BACKOFF.after(claim.attempts, services.clock(), services.jitter())
    match following:
        case RetryAt(at=at):
            return at
        case GiveUp():
            return None
        case _:
            assert_never(following)


def _safe(error: Exception) -> str:
    """Return the error's class, and its sentence where we wrote it: others may quote a body."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, SluiceError) else f"{name}: see the log."


def _other_mode(claim: EventClaim) -> str:
    mode = "live" if claim.livemode else "test"
    return f"A {mode} mode event; this installation belongs to the other mode."
