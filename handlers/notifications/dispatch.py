"""Brings what the outbox holds to its receivers: addresses it, tries it, records how that ended.

It may not word anything or know a channel; whatever a channel does, the outcome is one of five.
"""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog

from handlers.notifications.channel import (
    Channel,
    Delivered,
    Gone,
    Message,
    NotWanted,
    Outcome,
    TryLater,
    Undeliverable,
)
from handlers.services import Services
from refunds.errors import LeaseLostError
from refunds.retry import Backoff
from store.database import Unit
from store.dispatches import (
    DispatchClaim,
    address,
    claim_dispatches,
    end_dispatch,
    postpone_dispatch,
    something_to_tell,
    take_unaddressed,
    told_by,
)
from store.receivers import disable, failures_of, note_well, pause
from store.tables.outbox import DispatchState

ADDRESS_BATCH: Final = 100
GIVE_UP_AFTER: Final = timedelta(days=3)
"""As long as Stripe itself tries; after that a person has to look."""
DISPATCH_BACKOFF: Final = Backoff(base_seconds=5, cap_seconds=3600)
RECEIVER_BACKOFF: Final = Backoff(base_seconds=1, cap_seconds=60)

_log = structlog.get_logger(__name__)


class Dispatcher:
    """Sends what is due through the channels of one process.

    Any number of threads and processes may do this side by side. Within a process a channel is used
    by one thread at a time: a slow receiver holds up one thread and nobody else's messages.
    """

    def __init__(self, services: Services, channels: Sequence[Channel]) -> None:
        self._services = services
        self._channels = tuple(channels)
        self._busy = {channel.receiver: threading.Lock() for channel in self._channels}
        assert len(self._busy) == len(self._channels), "receivers have names of their own"

    def run_due(self) -> bool:
        """Do a piece of what is due; return whether there was any."""
        services = self._services
        with services.database.reading() as unit:
            if not something_to_tell(unit, tuple(self._busy), services.clock()):
                return False
        busy = self._address_due()
        for channel in self._channels:
            if services.stopping():
                return busy
            if self._busy[channel.receiver].acquire(blocking=False):
                try:
                    busy = self._send_due(channel) or busy
                finally:
                    self._busy[channel.receiver].release()
        return busy

    def _address_due(self) -> bool:
        with self._services.database.unit_of_work() as unit:
            now = self._services.clock()
            rows = take_unaddressed(unit, ADDRESS_BATCH)
            for row in rows:
                told = told_by(row)
                to = [
                    (channel.receiver, whom)
                    for channel in self._channels
                    for whom in channel.addresses(told)
                ]
                address(unit, row, to, now)
        return bool(rows)

    def _send_due(self, channel: Channel) -> bool:
        services = self._services
        with services.database.unit_of_work() as unit:
            claims = claim_dispatches(
                unit,
                channel.receiver,
                services.worker,
                services.clock(),
                lease=channel.lease,
                limit=channel.batch,
            )
        ended = [(claim, self._try(channel, claim)) for claim in claims]
        if ended:
            self._record(ended)
        return bool(ended)

    def _try(self, channel: Channel, claim: DispatchClaim) -> Outcome:
        try:
            return channel.send(Message(told=claim.told, address=claim.address))
        except Exception as error:  # noqa: BLE001 - one message that breaks a channel must not stop the others
            _log.error(
                "notification.error",
                id=claim.told.id,
                receiver=claim.receiver,
                exc_info=error,
            )
            return TryLater(note=f"{type(error).__name__}: see the log.")

    def _record(self, ended: Sequence[tuple[DispatchClaim, Outcome]]) -> None:
        for claim, outcome in ended:
            try:
                with self._services.database.unit_of_work() as unit:
                    record_outcome(unit, self._services, claim, outcome)
            except LeaseLostError:
                # It took longer than the lease; the receiver knows the second one by its id.
                _log.warning("notification.lease_lost", id=claim.told.id, receiver=claim.receiver)


def record_outcome(unit: Unit, services: Services, claim: DispatchClaim, outcome: Outcome) -> None:
    """Write how a try ended. Raise `LeaseLostError` where another worker took over."""
    now = services.clock()
    log = _log.bind(
        id=claim.told.id, type=claim.told.kind, receiver=claim.receiver, note=outcome.note
    )
    match outcome:
        case Delivered(note=note):
            end_dispatch(unit, claim, DispatchState.DONE, now, note)
            note_well(unit, claim.receiver)
        case NotWanted(note=note):
            end_dispatch(unit, claim, DispatchState.DROPPED, now, note)
        case Undeliverable(note=note):
            end_dispatch(unit, claim, DispatchState.DEAD, now, note)
            log.error("notification.undeliverable")
        case Gone(note=note):
            _try_later(unit, services, claim, TryLater(note=note), now)
            disable(unit, claim.receiver, now, note)
            log.error("notification.receiver_disabled")
        case TryLater():
            _try_later(unit, services, claim, outcome, now)
        case _:
            assert_never(outcome)


def _try_later(
    unit: Unit, services: Services, claim: DispatchClaim, outcome: TryLater, now: datetime
) -> None:
    log = _log.bind(id=claim.told.id, receiver=claim.receiver, note=outcome.note)
    if now - claim.since >= GIVE_UP_AFTER:
        end_dispatch(unit, claim, DispatchState.DEAD, now, outcome.note)
        log.error("notification.given_up")
    else:
        wait = DISPATCH_BACKOFF.delay(claim.attempts, services.jitter())
        if outcome.after_seconds is not None:
            wait = max(wait, DISPATCH_BACKOFF.capped(outcome.after_seconds))
        postpone_dispatch(unit, claim, now + wait, outcome.note)
        log.warning("notification.not_delivered", attempt=claim.attempts)
    if outcome.receiver_unwell:
        failures = failures_of(unit, claim.receiver) + 1
        rest = RECEIVER_BACKOFF.delay(failures, services.jitter())
        pause(unit, claim.receiver, now + rest, outcome.note)
