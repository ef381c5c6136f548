"""Many deliveries, one commit: what arrives while a commit is under way shares the next one.

It may not answer before the commit: who gets a verdict from here may tell Stripe that we have it.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from store.database import Database, DatabaseUnavailableError
from store.inbox import Delivery, record_deliveries, record_delivery

MAX_BATCH: Final = 64


@dataclass(slots=True, eq=False)
class _Waiting:
    """One caller's delivery, and in the end its verdict or the error that kept it out."""

    delivery: Delivery
    woken: threading.Event = field(default_factory=threading.Event)
    first: bool | None = None
    error: Exception | None = None

    @property
    def settled(self) -> bool:
        return self.first is not None or self.error is not None


class InboxRecorder:
    """Records deliveries for the threads of one process, as many as wait in one transaction.

    A durable commit waits for the disk; one commit per delivery would make that wait the limit of
    throughput. There is no thread of its own, so nothing to start, stop or lose in a fork: the
    first caller writes for everybody who waits, and hands the pen to the next one waiting.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathering = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._someone_writes = False

    def record(self, delivery: Delivery) -> bool:
        """Return whether this was the event's first delivery, once that is durable.

        Raise `DatabaseUnavailableError` when it could not be stored.
        """
        mine = _Waiting(delivery)
        with self._gathering:
            self._waiting.append(mine)
            wait, self._someone_writes = self._someone_writes, True
        if wait:
            # Bounded by the writer's own limits: its lock and statement timeouts.
            mine.woken.wait()
        if not mine.settled:
            self._write_batch()
        if mine.error is not None:
            # A fresh one: many threads share the cause, and raising writes to its traceback.
            raise DatabaseUnavailableError(str(mine.error)) from mine.error
        return mine.first is True

    def _write_batch(self) -> None:
        batch: list[_Waiting] = []
        try:
            try:
                with self._database.unit_of_work() as unit:
                    unit.connection()
                    # Only now: whoever came while this unit waited for its turn to write shares it.
                    batch = self._take_waiting()
                    verdicts = record_deliveries(unit, [one.delivery for one in batch])
            except Exception as error:  # noqa: BLE001 - raised again, in each caller's own thread
                batch = batch or self._take_waiting()
                self._settle_failed(batch, error)
            else:
                for one, first in zip(batch, verdicts, strict=True):
                    one.first = first
        finally:
            self._hand_on(batch or self._take_waiting())

    def _take_waiting(self) -> list[_Waiting]:
        with self._gathering:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        return batch

    def _settle_failed(self, batch: Sequence[_Waiting], error: Exception) -> None:
        if len(batch) == 1 or isinstance(error, DatabaseUnavailableError):
            for one in batch:
                one.error = error
            return
        # One row that the database refuses must not keep out the others.
        for one in batch:
            try:
                with self._database.unit_of_work() as unit:
                    first = record_delivery(unit, one.delivery)
            except Exception as own_error:  # noqa: BLE001 - raised again in its caller's thread
                one.error = own_error
            else:
                one.first = first

    def _hand_on(self, batch: Sequence[_Waiting]) -> None:
        with self._gathering:
            if self._waiting:
                self._waiting[0].woken.set()
            else:
                self._someone_writes = False
        for one in batch:
            if not one.settled:
                # Only an exit of the interpreter gets here: nobody may take it for stored.
                one.error = RuntimeError("the process ended before the commit")
            one.woken.set()
